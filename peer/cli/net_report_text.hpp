// A NetReport as the contract's `netcheck` event and as the screen of `pinhole netcheck`. Knows no network.
#pragma once

#include "common/net/net_report.hpp"
#include "peer/cli/output.hpp"

#include <optional>
#include <string>
#include <vector>

namespace pinhole::cli {

/// What belongs to the measurement rather than to the network.
struct Measured {
    struct Relay {
        std::string url;
        std::optional<Duration> rtt;  ///< nullopt: no answer
        std::string refused{};        ///< why not over TLS
    };

    std::string server;      ///< who was asked, as the user names it
    bool rendezvous = true;  ///< it is a rendezvous server, not only a STUN server
    bool complete = false;
    std::int64_t elapsed_ms = 0;
    bool server_has_ipv6 = false;
    std::vector<Relay> relays{};  ///< that the server offers
};

/// All fields of the event, whatever was measured: null is "not measured".
[[nodiscard]] Json to_json(const net::NetReport& report, const Measured& measured);

/// One line for the first second: what is known at once.
[[nodiscard]] std::string first_answer(const net::NetReport& report, const Measured& measured);
/// The whole screen, lines of at most `columns` characters where words allow.
[[nodiscard]] std::vector<std::string> screen(const net::NetReport& report, const Measured& measured,
                                              std::size_t columns);

}  // namespace pinhole::cli
