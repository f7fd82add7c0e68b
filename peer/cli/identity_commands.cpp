#include "peer/cli/identity_commands.hpp"

#include "common/base/encoding.hpp"

#include <fmt/format.h>

namespace pinhole::cli {

namespace {

Exit report(Environment& environment, const Status& status) {
    if (status) {
        return Exit::done;
    }
    auto failure = explain(status.error(), {});
    if (failure.exit == Exit::failure) {
        failure.code = "contacts";
    }
    environment.output().fail(failure);
    return failure.exit;
}

void show(Output& output, const char* event, const peer_store::Contact& contact) {
    output.event(
        event,
        {{"name", contact.name}, {"id", contact.id.text()}, {"fingerprint", crypto::fingerprint_words(contact.id)}});
}

}  // namespace

Exit show_id(Environment& environment) {
    const auto& id = environment.identity().id();
    const auto words = crypto::fingerprint_words(id);
    environment.output().event("id", {{"id", id.text()}, {"fingerprint", words}});
    environment.output().say(id.text());
    environment.output().note(words);
    return Exit::done;
}

Exit list_contacts(Environment& environment) {
    const auto contacts = environment.database().contacts().list();
    if (!contacts) {
        return report(environment, std::unexpected(contacts.error()));
    }
    for (const auto& contact : *contacts) {
        show(environment.output(), "contact", contact);
        environment.output().say(fmt::format("{:<20} {}", contact.name, contact.id.text()));
    }
    if (contacts->empty()) {
        environment.output().note("no contacts yet; add one with pinhole contacts add NAME ID");
    }
    return Exit::done;
}

Exit add_contact(Environment& environment, const std::string& name, const std::string& id) {
    const auto peer = crypto::PeerId::parse(id);
    if (!peer || !crypto::noise_key(*peer)) {
        environment.output().fail({Exit::usage, "bad-id", printable(id) + " is not an ID",
                                   "an ID is the 52 characters that pinhole id prints on the other machine"});
        return Exit::usage;
    }
    if (*peer == environment.identity().id()) {
        environment.output().fail({Exit::usage, "own-id", "this is your own ID", "add the ID of the other machine"});
        return Exit::usage;
    }
    const auto status = environment.database().contacts().add(*peer, name, wall_now());
    if (status) {
        show(environment.output(), "contact", {.id = *peer, .name = name, .added_at = {}});
        environment.output().note(fmt::format("added {} ({})", name, crypto::fingerprint_words(*peer)));
    }
    return report(environment, status);
}

Exit remove_contact(Environment& environment, const std::string& name_or_id) {
    return report(environment, environment.database().contacts().remove(name_or_id));
}

Exit rename_contact(Environment& environment, const std::string& name_or_id, const std::string& name) {
    return report(environment, environment.database().contacts().rename(name_or_id, name));
}

}  // namespace pinhole::cli
