// One chat stream as a state machine: texts out and in, a receipt for each. Knows neither streams nor storage: the
// shell feeds bytes in order and writes out what poll_output gives. The session's initiator opens the chat stream. A
// text that comes twice (sent again on a new connection because its receipt was lost) is acknowledged and reported
// again; the store's unique id tells. Memory: kMaxBacklog of output, one frame of input.
#pragma once

#include "common/base/error.hpp"
#include "common/signaling/peer_frames.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace pinhole::chat {

using signaling::MessageId;

enum class Errc {
    text_too_long = 1,  ///< more than limits::kMaxChatText bytes
    text_not_utf8,
    text_empty,
    not_chat,  ///< a frame that does not belong on a chat stream
    backlog    ///< the other side sends but does not read
};
std::error_code make_error_code(Errc code);

/// The peer's message, for the store and the screen; its receipt is already queued.
struct Received {
    MessageId id;
    std::string text;
    WallTime sent_at;
};

/// The peer has our message.
struct Delivered {
    MessageId id;
};

using Event = std::variant<Received, Delivered>;

/// Who opened the stream: the opener's first byte says what the stream is.
enum class Side : std::uint8_t { opener, acceptor };

/// Bytes that may wait in the output: 64 texts of the largest size, or some 40 000 receipts. Beyond it a peer that
/// sends but does not read has broken the stream, and send() asks to drain first.
inline constexpr std::size_t kMaxBacklog = 1U << 20;

class Channel {
  public:
    /// An acceptor is fed from behind the stream's first byte.
    explicit Channel(Side side);

    /// Queues a text. Errors: text_too_long, text_not_utf8, text_empty, backlog (drain the output first).
    [[nodiscard]] Status send(std::string_view text, const MessageId& id, WallTime sent_at);
    /// After an error the stream is of no more use: reset it.
    [[nodiscard]] Status handle_bytes(ByteView bytes);
    /// Bytes for the stream, in order; empty when there are none. Ownership moves out.
    [[nodiscard]] Bytes poll_output();
    [[nodiscard]] std::optional<Event> poll_event();

    /// Texts without a receipt, oldest first: to be sent again, with the same ids, on the next connection.
    [[nodiscard]] const std::deque<signaling::ChatText>& unacknowledged() const { return unacknowledged_; }

  private:
    Status handle_message(signaling::PeerMessage message);
    void queue(const signaling::PeerMessage& message);

    signaling::FrameReader reader_;
    Bytes output_;
    std::deque<Event> events_;
    std::deque<signaling::ChatText> unacknowledged_;
};

}  // namespace pinhole::chat

template <>
struct std::is_error_code_enum<pinhole::chat::Errc> : std::true_type {};
