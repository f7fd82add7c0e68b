// Two peers and a server in one simulated internet, from login to the last byte: what every test of connecting does.
#pragma once

#include "tests/sim/nat_kinds.hpp"
#include "tests/sim/peer_program.hpp"
#include "tests/sim/server_program.hpp"

#include <memory>
#include <string>

namespace pinhole::sim {

enum class Outcome : std::uint8_t {
    direct,     ///< both connected, and all bytes arrived in both directions
    no_path,    ///< both were told that there is no path, neither claimed one
    dishonest,  ///< anything else; `why` says what
};

struct Verdict {
    Outcome outcome = Outcome::dishonest;
    std::string strategy{};
    /// Where alice sends to, from outside of all NATs.
    net::Endpoint remote{};
    /// From the call until both were connected.
    Duration took{};
    /// Likewise, from the instant that the server has both start at.
    Duration after_go{};
    /// Datagrams of ICE and punching, of both sides.
    std::uint64_t probes = 0;
    std::string why{};
};

class ConnectWorld {
  public:
    /// The topology holds hosts "alice", "bob" and "server". Of the options the server is filled in.
    ConnectWorld(lab::Topology topology, std::uint64_t seed, const PeerOptions& options = {});

    /// Logs both in; false if that takes more than 20 s.
    bool log_in();
    /// Both tell the server what they would have measured behind these NATs, and it hears of it.
    void report(const std::optional<lab::NatConfig>& alices, const std::optional<lab::NatConfig>& bobs);
    /// alice calls bob; runs until it is decided.
    Verdict connect();
    /// Logs in, calls and runs until both are connected, and so much longer.
    [[nodiscard]] bool transfer(Duration time);
    /// Runs until both sides have all bytes.
    bool finish(Duration limit);

    World world;
    ServerProgram server;
    PeerProgram alice;
    PeerProgram bob;

  private:
    [[nodiscard]] Verdict judge(TimePoint called) const;
};

/// Delay, jitter and loss of an access line, drawn from the seed: 10 to 40 ms one way, jitter up to 5 ms.
[[nodiscard]] lab::LinkConfig access_line(Rng& rng, double loss);

}  // namespace pinhole::sim
