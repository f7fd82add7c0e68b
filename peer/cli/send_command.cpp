#include "peer/cli/send_command.hpp"

#include "common/base/encoding.hpp"
#include "common/io/clock.hpp"
#include "peer/files/errors.hpp"
#include "peer/session/errors.hpp"

#include <boost/asio/post.hpp>
#include <fmt/format.h>
#include <unistd.h>

namespace pinhole::cli {

SendCommand::SendCommand(Environment& environment, SendOptions options)
    : NetworkCommand(environment, static_cast<std::uint8_t>(session::Service::files)), options_(std::move(options)) {}

Exit SendCommand::execute() {
    auto contact = find_contact(options_.to);
    if (!contact) {
        return contact.error();
    }
    contact_ = *std::move(contact);
    auto source = open_source();
    if (!source) {
        const auto failure = explain(source.error(), {});
        output_.fail(failure);
        return failure.exit;
    }
    source_ = *std::move(source);
    return run();
}

Result<std::shared_ptr<files::Source>> SendCommand::open_source() const {
    crypto::SystemRng rng;
    const auto id = signaling::TransferId::generate(rng);
    if (options_.paths == std::vector<std::string>{"-"}) {
        return files::open_stream(STDIN_FILENO, "stdin", id);
    }
    auto source = files::open_paths(options_.paths, id);
    if (!source) {
        return std::unexpected(source.error());
    }
    return std::shared_ptr<files::Source>{*std::move(source)};
}

void SendCommand::ready() {
    output_.note(fmt::format("calling {} ...", contact_.name));
    session_ = call(contact_);
}

void SendCommand::connected(shell::SessionId id) {
    auto& transport = *node_->transport(id);
    const auto stream = transport.open_stream(transport::Priority::file);
    if (!stream) {
        fail(stream.error(), contact_.name);
        return;
    }
    stream_ = *stream;
    sender_.emplace(source_->offer());
    report_.emplace(environment_, peer_store::Direction::outgoing, contact_.id, source_->offer());
    output_.note(fmt::format("offering {} to {}", describe(source_->offer()), contact_.name));
    pump();
}

void SendCommand::stream_event(shell::SessionId id, const transport::Event& event) {
    if (!stream_ || !sender_) {
        return;
    }
    if (std::holds_alternative<transport::Finished>(event) && concluding()) {
        finish(*concluding());  // the other side has our last word
        return;
    }
    if (const auto* readable = std::get_if<transport::Readable>(&event); readable && readable->stream == *stream_) {
        auto& transport = *node_->transport(id);
        for (auto bytes = read_some(transport, *stream_, 64 * 1024); !bytes.empty();
             bytes = read_some(transport, *stream_, 64 * 1024)) {
            sender_->handle_bytes(bytes);
        }
    } else if (std::holds_alternative<transport::Reset>(event) || std::holds_alternative<transport::Stopped>(event)) {
        sender_->handle_closed({.code = files::make_error_code(files::Errc::peer_gone), .detail = {}});
        pump();
        finish(concluding().value_or(Exit::transfer_failed));
        return;
    }
    pump();
}

void SendCommand::pump() {
    auto* transport = session_ ? node_->transport(*session_) : nullptr;
    if (!sender_) {
        return;
    }
    if (transport != nullptr) {
        write_output(*transport);
    }
    ask_disk();
    if (report_) {
        report_->progress(sender_->progress(), io::now());
    }
    while (const auto event = sender_->poll_event()) {
        handle_event(*event);
    }
    if (transport != nullptr && sender_->finished() && !finished_stream_) {
        finished_stream_ = true;
        transport->finish(*stream_);
    }
    node_->kick(*session_);
}

void SendCommand::write_output(transport::Connection& transport) {
    while (!sender_->output().empty()) {
        const auto written = transport.write(*stream_, sender_->output());
        if (!written) {
            sender_->handle_closed({.code = files::make_error_code(files::Errc::peer_gone), .detail = {}});
            return;
        }
        if (*written == 0) {
            return;  // Writable follows
        }
        sender_->consume_output(*written);
    }
}

void SendCommand::ask_disk() {
    std::vector<Worker::Job> jobs;
    for (auto demand = sender_->poll_demand(); demand > 0; --demand) {
        const auto buffer = std::make_shared<Bytes>(sender_->take_buffer());
        jobs.emplace_back([this, source = source_, items = items_, buffer] {
            if (items->put(source->next(std::move(*buffer)))) {
                boost::asio::post(io_, [this] { take_items(); });
            }
        });
    }
    worker_.post(std::move(jobs));
}

void SendCommand::take_items() {
    for (auto& item : items_->take()) {
        sender_->handle_item(std::move(item));
    }
    pump();
}

void SendCommand::handle_event(const files::Event& event) {
    if (std::holds_alternative<files::Accepted>(event)) {
        report_->started(io::now());
    } else if (const auto* stored = std::get_if<files::FileStored>(&event)) {
        report_->stored(*stored);
    } else if (const auto* skipped = std::get_if<files::Skipped>(&event)) {
        report_->skipped(*skipped);
    } else if (const auto* done = std::get_if<files::Done>(&event)) {
        report_->progress(sender_->progress(), io::now(), true);
        report_->done(*done, fmt::format("sent {} to {}", describe(report_->offer()), contact_.name));
        finish(Exit::done);
    } else if (const auto* failed = std::get_if<files::Failed>(&event)) {
        const auto failure = explain(failed->error, contact_.name);
        report_->failed(failure);
        output_.fail(failure);
        conclude(failure.exit);
    }
}

void SendCommand::interrupt() {
    if (sender_) {
        // The abort message would wait behind what the transport has buffered; the goodbye says it at once.
        sender_->cancel();
        while (const auto event = sender_->poll_event()) {
            handle_event(*event);
        }
        finish(Exit::interrupted);
    } else {
        fail({Exit::interrupted, "interrupted", "interrupted before the transfer began", ""});
    }
}

void SendCommand::ended(shell::SessionId id, const Error& error) {
    if (finishing() || session_ != id) {
        return;
    }
    if (concluding()) {
        finish(*concluding());
        return;
    }
    if (sender_) {
        sender_->handle_closed(broken_off(error));
        while (const auto event = sender_->poll_event()) {
            handle_event(*event);
        }
        finish(concluding().value_or(Exit::transfer_failed));
        return;
    }
    fail(error, contact_.name);
}

void SendCommand::server_lost(const Error& error) {
    if (!sender_) {
        fail(error, {});
    }
    // A transfer that flows needs no server.
}

shell::CallDecision SendCommand::incoming_call(const crypto::PeerId&, std::uint8_t) {
    return shell::CallDecision::not_here;
}

}  // namespace pinhole::cli
