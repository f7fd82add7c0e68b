// Protobuf at the edge: domain messages to bytes and back. Parsing checks every bound of limits.hpp and every enum, so
// that what comes out is usable as it is.
#pragma once

#include "common/base/error.hpp"
#include "common/signaling/messages.hpp"

namespace pinhole::signaling {

[[nodiscard]] Bytes serialize(const Hello& message);
[[nodiscard]] Bytes serialize(const ToServer& message);
[[nodiscard]] Bytes serialize(const ToPeer& message);

[[nodiscard]] Result<Hello> parse_hello(ByteView bytes);
[[nodiscard]] Result<ToServer> parse_to_server(ByteView bytes);
[[nodiscard]] Result<ToPeer> parse_to_peer(ByteView bytes);

}  // namespace pinhole::signaling
