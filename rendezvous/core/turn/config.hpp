// Every lifetime and bound of the TURN server, and what it counts.
#pragma once

#include "common/base/time.hpp"
#include "rendezvous/core/prefix_limiter.hpp"

#include <cstddef>
#include <cstdint>

namespace pinhole::turn {

struct TurnConfig {
    struct Lifetimes {
        Duration allocation = 600s;       ///< RFC 8656 §3.2: unless more is asked for
        Duration max_allocation = 3600s;  ///< RFC 8656 §7.2: recommended
        Duration permission = 300s;       ///< RFC 8656 §9
        Duration channel = 600s;          ///< RFC 8656 §12
        Duration channel_rest = 300s;     ///< RFC 8656 §12: before its number may mean another peer
        Duration reservation = 30s;       ///< RFC 8656 §7.2: at least
        Duration connect = 30s;           ///< RFC 6062 §5.2: at least
        Duration bind = 30s;              ///< RFC 6062 §5.2, §5.3
    };

    struct Limits {
        std::size_t allocations = 8192;
        /// One peer keeps one per server and transport; its calls share it.
        std::size_t allocations_per_account = 32;
        /// Of one IPv4 address or IPv6 /56: a whole office behind one NAT.
        std::size_t allocations_per_source = 256;
        /// Peers' addresses of one allocation; ICE tries up to 100 pairs.
        std::size_t permissions = 128;
        std::size_t channels = 64;
        /// Connections to peers of one allocation, those under way included.
        std::size_t streams = 32;
        /// Payload bytes per second, both ways together, with bursts of two seconds.
        double account_bytes_per_second = 125e6;
        double bytes_per_second = 1250e6;
    };

    Lifetimes lifetimes{};
    Limits limits{};
    /// Families of relayed addresses that the shell can open.
    bool v4 = true;
    bool v6 = false;
    /// RFC 6062
    bool tcp_relays = true;
    /// Datagrams can be sent with the DF bit.
    bool dont_fragment = true;
    /// Bytes with IP and UDP headers of answers to whoever has not proved who it is: as StunService.
    rendezvous::PrefixLimiter::Config strangers{.per_second = 16'000, .burst = 32'000};
};

/// What exists at the moment: all zero when the last allocation has gone.
struct TurnCounts {
    std::size_t allocations = 0;
    std::size_t relays = 0;
    std::size_t reservations = 0;
    std::size_t permissions = 0;
    std::size_t channels = 0;
    std::size_t streams = 0;
    std::size_t accounts = 0;
    std::size_t sources = 0;

    friend bool operator==(const TurnCounts&, const TurnCounts&) = default;
};

/// Since the start.
struct TurnStats {
    std::uint64_t allocated = 0;
    std::uint64_t refused = 0;        ///< requests of known users answered with an error
    std::uint64_t challenged = 0;     ///< 400, 401 and 438 to strangers
    std::uint64_t limited = 0;        ///< strangers that were not answered
    std::uint64_t malformed = 0;      ///< what is no message of TURN
    std::uint64_t to_peer = 0;        ///< datagrams
    std::uint64_t to_peer_bytes = 0;  ///< payload
    std::uint64_t to_client = 0;
    std::uint64_t to_client_bytes = 0;
    std::uint64_t stream_bytes = 0;
    std::uint64_t not_permitted = 0;   ///< datagrams without permission, channel or allocation, either way
    std::uint64_t over_bandwidth = 0;  ///< datagrams
};

}  // namespace pinhole::turn
