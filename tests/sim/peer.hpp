// One end of a simulated pair: a whole connection and the application on it.
#pragma once

#include "tests/sim/application.hpp"

#include <utility>

namespace pinhole::sim {

namespace detail {

/// Comes before the application that refers to it.
struct OwnedConnection {
    Connection owned;
};

}  // namespace detail

class Peer : private detail::OwnedConnection, public Application {
  public:
    Peer(transport::Config config, const crypto::SecretKey& send, const crypto::SecretKey& receive, Rng& rng,
         TimePoint now)
        : OwnedConnection{Connection{config, send, receive, rng, now}}, Application(owned) {}

    /// Does what an application does when it is woken: events, reads, writes.
    void take_turn(TimePoint now) {
        while (const auto event = connection.poll_event()) {
            handle_event(*event);
        }
        work(now);
    }
};

}  // namespace pinhole::sim
