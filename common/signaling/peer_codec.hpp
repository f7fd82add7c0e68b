// Protobuf at the edge of the conversation between peers: domain messages to bytes and back. Parsing checks sizes and
// enums; whether a path is safe to write to is for the room that writes (files/path.hpp).
#pragma once

#include "common/base/error.hpp"
#include "common/signaling/peer_messages.hpp"

namespace pinhole::signaling {

[[nodiscard]] Bytes serialize(const PeerMessage& message);
[[nodiscard]] Result<PeerMessage> parse_peer_message(ByteView bytes);

}  // namespace pinhole::signaling
