// The command line of pinhole-rendezvous.
#pragma once

#include "common/base/log.hpp"
#include "common/net/endpoint.hpp"
#include "rendezvous/shell/relay_offers.hpp"
#include "rendezvous/shell/relay_service.hpp"
#include "rendezvous/shell/tls.hpp"

#include <chrono>
#include <filesystem>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

namespace pinhole::rendezvous {

struct Options {
    /// Empty: the default port on all addresses.
    std::vector<net::Endpoint> listen;
    /// Second addresses for NAT behaviour discovery, at most one of each family.
    std::vector<net::Address> alternate;
    /// Empty: under the user's state folder.
    std::filesystem::path data;
    RelayOptions relay{};
    /// With the secret that they share with this server.
    std::vector<RelayOffer> other_relays{};
    /// Empty: a certificate of the server's own.
    std::optional<TlsFiles> tls{};
    log::Level log_level = log::Level::warn;
    bool json = false;
};

/// What was asked for, or the exit code when there is nothing to run (--help, --version, a usage error: 2).
[[nodiscard]] std::variant<Options, int> parse_options(int argc, char** argv);

/// ADDR, ADDR:PORT or [V6]:PORT; port 0 means any.
[[nodiscard]] std::optional<net::Endpoint> parse_listen(std::string_view text);

/// LO-HI, both above 1023: an unprivileged range, in which no service of the machine waits for anybody.
[[nodiscard]] std::optional<PortRange> parse_port_range(std::string_view text);

/// Of the options that set lifetimes of the relay.
inline constexpr std::chrono::seconds kMaxAllocationLifetime = std::chrono::days{1};
inline constexpr std::chrono::seconds kMaxPermissionLifetime{300};  ///< RFC 8656 §9: exactly that
inline constexpr std::chrono::seconds kMaxChannelLifetime{600};     ///< RFC 8656 §12: exactly that
inline constexpr std::chrono::seconds kMaxNonceLifetime{3600};      ///< RFC 8656 §5: at most that

/// $XDG_STATE_HOME/pinhole-rendezvous, or below ~/.local/state; empty if neither is known.
[[nodiscard]] std::filesystem::path default_data_folder();

}  // namespace pinhole::rendezvous
