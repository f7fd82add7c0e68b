// The list of relays as Protobuf, and its bounds (proto/README.md, 2.8). Part of codec.hpp's work, in a file of its own
// for its size. Nothing here is ever logged: it holds passwords.
#pragma once

#include "common/base/error.hpp"
#include "common/signaling/messages.hpp"

namespace pinhole::rendezvous::v1 {
class Relays;
}  // namespace pinhole::rendezvous::v1

namespace pinhole::signaling {

void put_relays(const Relays& from, rendezvous::v1::Relays& to);

[[nodiscard]] Result<Relays> to_relays(const rendezvous::v1::Relays& from);

}  // namespace pinhole::signaling
