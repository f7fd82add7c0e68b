#include "peer/chat/channel.hpp"

#include "common/base/encoding.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::chat {

namespace {

const char* describe(int value) {
    switch (static_cast<Errc>(value)) {
        case Errc::text_too_long:
            return "a message holds at most 16 KiB of text";
        case Errc::text_not_utf8:
            return "a message must be UTF-8 text";
        case Errc::text_empty:
            return "an empty message is not sent";
        case Errc::not_chat:
            return "the other side sent something that is not chat";
        case Errc::backlog:
            return "the other side does not read";
    }
    return "unknown error";
}

const EnumCategory kCategory{"chat", describe};

}  // namespace

std::error_code make_error_code(Errc code) {
    return {static_cast<int>(code), kCategory};
}

Channel::Channel(Side side) {
    if (side == Side::opener) {
        output_.push_back(std::to_underlying(signaling::StreamKind::chat));
    }
}

Status Channel::send(std::string_view text, const MessageId& id, WallTime sent_at) {
    if (text.empty()) {
        return fail(Errc::text_empty);
    }
    if (text.size() > limits::kMaxChatText) {
        return fail(Errc::text_too_long);
    }
    if (!is_utf8(text)) {
        return fail(Errc::text_not_utf8);
    }
    if (output_.size() + text.size() > kMaxBacklog) {
        return fail(Errc::backlog);
    }
    signaling::ChatText message{.id = id, .sent_at = sent_at, .text = std::string{text}};
    queue(message);
    unacknowledged_.push_back(std::move(message));
    return {};
}

Status Channel::handle_bytes(ByteView bytes) {
    while (!bytes.empty()) {
        auto frame = reader_.read(bytes);
        if (!frame) {
            return std::unexpected(std::move(frame.error()));
        }
        if (!*frame) {
            break;
        }
        auto* message = std::get_if<signaling::PeerMessage>(&**frame);
        if (message == nullptr) {
            return fail(Errc::not_chat);
        }
        if (auto handled = handle_message(std::move(*message)); !handled) {
            return handled;
        }
    }
    return {};
}

Status Channel::handle_message(signaling::PeerMessage message) {
    if (auto* text = std::get_if<signaling::ChatText>(&message)) {
        if (output_.size() > kMaxBacklog) {
            return fail(Errc::backlog);
        }
        queue(signaling::ChatReceipt{text->id});
        events_.push_back(Received{.id = text->id, .text = std::move(text->text), .sent_at = text->sent_at});
        return {};
    }
    if (const auto* receipt = std::get_if<signaling::ChatReceipt>(&message)) {
        // A receipt for something that was not sent here, or twice, tells nothing new.
        const auto sent = std::ranges::find(unacknowledged_, receipt->id, &signaling::ChatText::id);
        if (sent != unacknowledged_.end()) {
            unacknowledged_.erase(sent);
            events_.push_back(Delivered{receipt->id});
        }
        return {};
    }
    return fail(Errc::not_chat);
}

void Channel::queue(const signaling::PeerMessage& message) {
    const auto bytes = signaling::frame(message);
    output_.insert(output_.end(), bytes.begin(), bytes.end());
}

Bytes Channel::poll_output() {
    return std::exchange(output_, {});
}

std::optional<Event> Channel::poll_event() {
    if (events_.empty()) {
        return std::nullopt;
    }
    auto event = std::move(events_.front());
    events_.pop_front();
    return event;
}

}  // namespace pinhole::chat
