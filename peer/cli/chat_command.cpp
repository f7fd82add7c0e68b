#include "peer/cli/chat_command.hpp"

#include "common/base/encoding.hpp"
#include "common/base/limits.hpp"
#include "common/base/log.hpp"
#include "peer/session/errors.hpp"

#include <boost/asio/buffer.hpp>
#include <fmt/format.h>
#include <unistd.h>

namespace pinhole::cli {

namespace {

constexpr std::uint8_t kChatStream = 1;
constexpr std::size_t kInputChunk = 4096;

/// A call that could not be placed because nobody is there; waiting may help.
bool nobody_there(const std::error_code& code) {
    return code == session::make_error_code(session::Errc::peer_offline) ||
           code == session::make_error_code(session::Errc::peer_unwanting) ||
           code == session::make_error_code(session::Errc::no_answer);
}

}  // namespace

ChatCommand::ChatCommand(Environment& environment, ChatOptions options)
    : NetworkCommand(environment, static_cast<std::uint8_t>(session::Service::chat)),
      options_(std::move(options)),
      terminal_(::isatty(STDIN_FILENO) == 1),
      input_(io_),
      input_buffer_(kInputChunk) {}

Exit ChatCommand::execute() {
    if (options_.with) {
        auto contact = find_contact(*options_.with);
        if (!contact) {
            return contact.error();
        }
        contact_ = *std::move(contact);
    }
    return run();
}

void ChatCommand::ready() {
    if (!contact_) {
        output_.note(fmt::format("waiting for a contact to call; your ID is {}", environment_.identity().id().text()));
    } else if (!session_) {
        output_.note(fmt::format("calling {} ...", contact_->name));
        outgoing_ = true;
        session_ = call(*contact_);
    }
}

shell::CallDecision ChatCommand::incoming_call(const crypto::PeerId& from, std::uint8_t services) {
    if (!knows(from)) {
        return shell::CallDecision::refuse;
    }
    const bool wanted = !contact_ || contact_->id == from;
    if (services == 0 || finishing() || !wanted) {
        return shell::CallDecision::not_here;
    }
    if (!session_) {
        return shell::CallDecision::take;
    }
    // Both call each other at once: the call of the lower ID goes on, so that both decide alike.
    const bool ours_goes_on = environment_.identity().id() < from;
    if (!outgoing_ || channel_) {
        // A call while one is up: the other side started anew and its old connection has not timed out yet.
        return shell::CallDecision::take;
    }
    return ours_goes_on ? shell::CallDecision::ignore : shell::CallDecision::take;
}

void ChatCommand::connected(shell::SessionId id) {
    const auto& peer = peer_of(id);
    if (!contact_) {
        auto contact = environment_.database().contacts().find(peer);
        if (contact && *contact) {
            contact_ = **contact;
        }
    }
    if (!contact_ || contact_->id != peer) {
        node_->close(id);  // two called while we waited for anybody: the first one stays
        return;
    }
    if (session_ && *session_ != id && live(*session_)) {
        const auto old = *session_;
        session_ = id;
        node_->close(old);
    }
    const bool called = session_ == id && outgoing_;
    session_ = id;
    outgoing_ = called;
    channel_.reset();
    stream_.reset();
    output_.note(fmt::format("connected to {}{}", environment_.name_of(peer),
                             terminal_ ? "; type and press Enter, Ctrl-D to leave" : ""));
    if (called) {
        const auto stream = node_->transport(id)->open_stream(transport::Priority::chat);
        if (!stream) {
            fail(stream.error(), contact_->name);
            return;
        }
        open_channel(id, *stream, chat::Side::opener);
    }
    start_input();
}

void ChatCommand::open_channel(shell::SessionId id, transport::StreamId stream, chat::Side side) {
    node_->transport(id)->set_priority(stream, transport::Priority::chat);
    stream_ = stream;
    kind_read_ = side == chat::Side::opener;
    unwritten_.clear();
    channel_.emplace(side);
    send_pending();
    pump();
}

void ChatCommand::send_pending() {
    const auto pending = environment_.database().messages().pending(contact_->id);
    if (!pending) {
        log::warn("cannot read the messages that wait: {}", pending.error().message());
        return;
    }
    for (const auto& message : *pending) {
        if (const auto status = channel_->send(message.text, message.id, message.sent_at); !status) {
            log::warn("cannot send a message: {}", status.error().message());
        }
        take_output();
    }
}

void ChatCommand::take_output() {
    const auto output = channel_->poll_output();
    unwritten_.insert(unwritten_.end(), output.begin(), output.end());
}

void ChatCommand::stream_event(shell::SessionId id, const transport::Event& event) {
    if (session_ != id) {
        return;
    }
    if (const auto* opened = std::get_if<transport::Opened>(&event)) {
        if (!channel_ && !outgoing_) {
            open_channel(id, opened->stream, chat::Side::acceptor);
            read_stream();
        } else {
            node_->transport(id)->reset(opened->stream, 0);
            node_->transport(id)->stop(opened->stream, 0);
        }
    } else if (const auto* readable = std::get_if<transport::Readable>(&event)) {
        if (stream_ == readable->stream) {
            read_stream();
        }
    } else if (std::holds_alternative<transport::Writable>(event)) {
        pump();
        read_stream();
    } else if (std::holds_alternative<transport::Finished>(event) && leaving_) {
        finish(concluding().value_or(Exit::done));
    }
}

void ChatCommand::read_stream() {
    auto* transport = node_->transport(*session_);
    // Whoever does not read our receipts is not read either.
    while (transport != nullptr && channel_ && unwritten_.size() < chat::kMaxBacklog) {
        auto bytes = read_some(*transport, *stream_, limits::kMaxPeerMessage);
        if (bytes.empty()) {
            break;
        }
        ByteView view{bytes};
        if (!kind_read_) {
            kind_read_ = true;
            if (view.front() != kChatStream) {
                node_->close(*session_);
                return;
            }
            view = view.subspan(1);
        }
        if (const auto status = channel_->handle_bytes(view); !status) {
            log::warn("the other side does not speak chat: {}", status.error().message());
            node_->close(*session_);
            return;
        }
        take_output();
    }
    pump();
}

void ChatCommand::pump() {
    if (!channel_ || !session_) {
        return;
    }
    while (const auto event = channel_->poll_event()) {
        handle_event(*event);
    }
    auto* transport = node_->transport(*session_);
    if (transport == nullptr) {
        return;
    }
    take_output();
    if (!unwritten_.empty()) {
        const auto written = transport->write(*stream_, unwritten_).value_or(0);
        unwritten_.erase(unwritten_.begin(), unwritten_.begin() + static_cast<std::ptrdiff_t>(written));
    }
    leave_when_delivered();
    node_->kick(*session_);
}

void ChatCommand::handle_event(const chat::Event& event) {
    auto messages = environment_.database().messages();
    if (const auto* received = std::get_if<chat::Received>(&event)) {
        const auto fresh = messages.add({.id = received->id,
                                         .peer = contact_->id,
                                         .direction = peer_store::Direction::incoming,
                                         .state = peer_store::MessageState::delivered,
                                         .sent_at = received->sent_at,
                                         .text = received->text});
        if (fresh && !*fresh) {
            return;  // sent again because its receipt was lost
        }
        output_.event("message", {{"id", received->id.text()},
                                  {"from", contact_->id.text()},
                                  {"name", contact_->name},
                                  {"text", received->text},
                                  {"sent_at", rfc3339(received->sent_at)}});
        output_.say(fmt::format("{}: {}", contact_->name, printable(received->text)));
    } else if (const auto* delivered = std::get_if<chat::Delivered>(&event)) {
        if (const auto status = messages.mark_delivered(contact_->id, delivered->id); !status) {
            log::warn("cannot mark a message as delivered: {}", status.error().message());
        }
        output_.event("delivered", {{"id", delivered->id.text()}});
    }
}

void ChatCommand::start_input() {
    if (input_started_) {
        return;
    }
    input_started_ = true;
    if (input_.open()) {
        read_input();
    } else {
        end_of_input();
    }
}

void ChatCommand::read_input() {
    input_.descriptor().async_read_some(boost::asio::buffer(input_buffer_),
                                        [this](const boost::system::error_code& error, std::size_t count) {
                                            if (error == boost::asio::error::operation_aborted || finishing()) {
                                                return;
                                            }
                                            take_input(as_text(ByteView{input_buffer_}.first(count)));
                                            if (error) {
                                                end_of_input();
                                            } else {
                                                read_input();
                                            }
                                        });
}

void ChatCommand::take_input(std::string_view text) {
    for (const char c : text) {
        if (c == '\n') {
            handle_line(std::exchange(partial_line_, {}));
        } else if (partial_line_.size() <= limits::kMaxChatText) {
            partial_line_ += c;  // one byte more than may be sent is enough to know that the line is too long
        }
    }
}

void ChatCommand::handle_line(std::string line) {
    if (line.ends_with('\r')) {
        line.pop_back();
    }
    if (line.empty() || !contact_) {
        return;
    }
    const auto id = signaling::MessageId::generate(rng_);
    const auto sent_at = wall_now();
    // The channel checks the text; it must not be stored as pending when it can never be sent.
    chat::Channel checker{chat::Side::opener};
    if (const auto status = checker.send(line, id, sent_at); !status) {
        output_.fail({Exit::failure, "bad-message", status.error().message(), "it was not sent"});
        return;
    }
    const auto stored = environment_.database().messages().add({.id = id,
                                                                .peer = contact_->id,
                                                                .direction = peer_store::Direction::outgoing,
                                                                .state = peer_store::MessageState::pending,
                                                                .sent_at = sent_at,
                                                                .text = line});
    if (!stored) {
        output_.fail({Exit::failure, "store", "cannot store the message: " + stored.error().message(), ""});
    }
    if (channel_) {
        if (const auto status = channel_->send(line, id, sent_at); !status) {
            log::warn("cannot send a message: {}", status.error().message());
        }
        pump();
    }
}

void ChatCommand::end_of_input() {
    if (!partial_line_.empty()) {
        handle_line(std::exchange(partial_line_, {}));
    }
    input_ended_ = true;
    input_.close();
    pump();
}

void ChatCommand::leave_when_delivered() {
    const bool done = input_ended_ && !options_.wait && unwritten_.empty() && channel_->unacknowledged().empty();
    if (!done || leaving_ || !session_) {
        return;
    }
    // Receipts that we owe are on the stream too: leave when the other side has it all.
    leaving_ = true;
    conclude(Exit::done);
    node_->transport(*session_)->finish(*stream_);
}

void ChatCommand::interrupt() {
    finish(Exit::interrupted);
}

void ChatCommand::ended(shell::SessionId id, const Error& reason) {
    if (finishing()) {
        return;
    }
    if (!session_ && contact_ && contact_->id == peer_of(id) && stays() && may_try_again(reason)) {
        wait_for_path(*contact_, reason, session::RetryPolicy::Role::called);
        return;
    }
    if (session_ != id) {
        return;
    }
    // Ctrl-C is how people leave a chat: nothing was broken off.
    const bool left = reason.code == session::make_error_code(session::Errc::peer_cancelled);
    const Error error =
        left ? Error{.code = session::make_error_code(session::Errc::peer_closed), .detail = {}} : reason;
    const bool was_connected = channel_.has_value() || stream_.has_value();
    const auto role = outgoing_ ? session::RetryPolicy::Role::caller : session::RetryPolicy::Role::called;
    session_.reset();
    outgoing_ = false;
    stream_.reset();
    const bool undelivered = channel_ && !channel_->unacknowledged().empty();
    channel_.reset();
    if (leaving_) {
        finish(concluding().value_or(Exit::done));
    } else if (contact_ && stays() && may_try_again(error)) {
        wait_for_path(*contact_, error, role);
    } else if (options_.wait) {
        const auto failure = explain(error, contact_ ? contact_->name : "");
        if (was_connected && failure.code != "peer-closed") {
            output_.fail(failure);
        }
        output_.note(failure.message + "; waiting");
    } else if (was_connected && !undelivered && (terminal_ || input_ended_)) {
        output_.note(explain(error, contact_->name).message);
        finish(Exit::done);
    } else if (terminal_ && nobody_there(error.code)) {
        output_.note(explain(error, contact_->name).message + "; waiting for a call, Ctrl-C to leave");
    } else {
        fail(error, contact_ ? contact_->name : "");
    }
}

void ChatCommand::try_again(shell::CallOptions options) {
    if (!session_) {
        outgoing_ = true;
        session_ = call(*contact_, options);
    }
}

void ChatCommand::server_lost(const Error& error) {
    if (session_ && !channel_ && !options_.wait && !waiting_for_path()) {
        fail(error, {});
    } else {
        NetworkCommand::server_lost(error);
    }
}

}  // namespace pinhole::cli
