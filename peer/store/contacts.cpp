#include "common/base/encoding.hpp"
#include "peer/store/errors.hpp"
#include "peer/store/peer_database.hpp"
#include "peer/store/rows.hpp"

#include <algorithm>

namespace pinhole::peer_store {

namespace {

constexpr std::size_t kMaxCharacters = 64;
/// Characters of an ID in base32; a name of that length in its alphabet would be taken for one.
constexpr std::size_t kIdCharacters = 52;

constexpr std::string_view kColumns = "SELECT id, name, added_at FROM contacts ";

std::string query(std::string_view rest) {
    return std::string{kColumns} + std::string{rest};
}

Contact read_contact(const store::Statement& row) {
    return {.id = id_from<PeerId>(row, 0), .name = row.text(1), .added_at = {row.integer(2)}};
}

std::size_t characters(std::string_view utf8) {
    return static_cast<std::size_t>(
        std::ranges::count_if(utf8, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80; }));
}

}  // namespace

Status check_contact_name(std::string_view name) {
    if (!is_utf8(name) || printable(name) != name) {
        return fail(Errc::bad_name, "a name has printable characters only");
    }
    if (name.empty() || characters(name) > kMaxCharacters) {
        return fail(Errc::bad_name, "a name has 1 to 64 characters");
    }
    if (name.front() == ' ' || name.back() == ' ' || name.front() == '-') {
        return fail(Errc::bad_name, "a name starts neither with '-' nor a space, and does not end with one");
    }
    if (name.size() == kIdCharacters && from_base32(name)) {
        return fail(Errc::bad_name, "a name must not look like an ID");
    }
    return {};
}

Status Contacts::add(const PeerId& id, std::string_view name, WallTime now) {
    if (auto good = check_contact_name(name); !good) {
        return good;
    }
    auto transaction = store::Transaction::begin(database_);
    if (!transaction) {
        return std::unexpected(std::move(transaction.error()));
    }
    const auto by_id = find(id);
    if (!by_id) {
        return std::unexpected(by_id.error());
    }
    if (*by_id) {
        return fail(Errc::id_taken, (*by_id)->name);
    }
    const auto by_name = find(name);
    if (!by_name) {
        return std::unexpected(by_name.error());
    }
    if (*by_name) {
        return fail(Errc::name_taken, (*by_name)->name);
    }
    const auto added = run(database_, "INSERT INTO contacts (id, name, added_at) VALUES (?, ?, ?)",
                           [&](auto& statement) { statement.bind(ByteView{id.bytes}).bind(name).bind(now.unix_ms); });
    return added ? transaction->commit() : added;
}

Status Contacts::remove(std::string_view name_or_id) {
    const auto contact = find(name_or_id);
    if (!contact) {
        return std::unexpected(contact.error());
    }
    if (!*contact) {
        return fail(Errc::unknown_contact, printable(name_or_id));
    }
    return run(database_, "DELETE FROM contacts WHERE id = ?",
               [&](auto& statement) { statement.bind(ByteView{(*contact)->id.bytes}); });
}

Status Contacts::rename(std::string_view name_or_id, std::string_view name) {
    if (auto good = check_contact_name(name); !good) {
        return good;
    }
    auto transaction = store::Transaction::begin(database_);
    if (!transaction) {
        return std::unexpected(std::move(transaction.error()));
    }
    const auto contact = find(name_or_id);
    const auto other = find(name);
    if (!contact || !other) {
        return std::unexpected(contact ? other.error() : contact.error());
    }
    if (!*contact) {
        return fail(Errc::unknown_contact, printable(name_or_id));
    }
    if (*other && (*other)->id != (*contact)->id) {
        return fail(Errc::name_taken, (*other)->name);
    }
    const auto renamed = run(database_, "UPDATE contacts SET name = ? WHERE id = ?",
                             [&](auto& statement) { statement.bind(name).bind(ByteView{(*contact)->id.bytes}); });
    return renamed ? transaction->commit() : renamed;
}

Result<std::vector<Contact>> Contacts::list() {
    return rows(database_, query("ORDER BY name COLLATE NOCASE"), [](auto&) {}, read_contact);
}

Result<std::optional<Contact>> Contacts::find(std::string_view name_or_id) {
    if (const auto id = PeerId::parse(name_or_id)) {
        return find(*id);
    }
    return row(
        database_, query("WHERE name = ? COLLATE NOCASE"), [&](auto& statement) { statement.bind(name_or_id); },
        read_contact);
}

Result<std::optional<Contact>> Contacts::find(const PeerId& id) {
    return row(
        database_, query("WHERE id = ?"), [&](auto& statement) { statement.bind(ByteView{id.bytes}); }, read_contact);
}

}  // namespace pinhole::peer_store
