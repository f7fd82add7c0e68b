// Names that are valid on this server only.
#pragma once

#include "common/base/ids.hpp"
#include "common/signaling/messages.hpp"

namespace pinhole::rendezvous {

/// One TCP connection of a peer; never used again.
using ConnectionId = StrongId<struct ConnectionIdTag>;

/// A call as one connection knows it.
struct Side {
    ConnectionId connection;
    signaling::CallId call;

    friend constexpr auto operator<=>(const Side&, const Side&) = default;
};

}  // namespace pinhole::rendezvous
