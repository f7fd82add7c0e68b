// Who may open one more connection: bounds in total, per source network and on connections that have not logged in.
// Knows addresses and counts only. Driven by Server.
#pragma once

#include "common/base/time.hpp"
#include "common/net/endpoint.hpp"
#include "rendezvous/core/prefix_limiter.hpp"

#include <cstddef>
#include <map>
#include <optional>
#include <string_view>

namespace pinhole::rendezvous {

class Admission {
  public:
    struct Config {
        /// A connection costs about 4 KB here and 20 KB in the kernel: 240 MB at the bound.
        std::size_t max_connections = 10'000;
        /// Per IPv4 address or IPv6 /64: an office behind one NAT, not a botnet of one.
        std::size_t max_per_source = 256;
        /// Each costs a key agreement and is over after kHandshakeTimeout.
        std::size_t max_logging_in_per_source = 32;
        /// The same per IPv6 /48, the most that one site is given (RFC 6177 §2): its /64s are not strangers to each
        /// other. IPv4 addresses have no such bound.
        std::size_t max_per_site = 1024;
        std::size_t max_logging_in_per_site = 128;
        /// New connections per /24 or /56: a key agreement is about 0.2 ms of CPU, so one site takes at most 2 %.
        PrefixLimiter::Config opens{.per_second = 100, .burst = 1000, .max_prefixes = 16384};
    };

    explicit Admission(const Config& config) : config_(config), opens_(config.opens) {}

    /// Counts one more connection; every call is followed by one `leave`. The reason if it has to be closed at once.
    [[nodiscard]] std::optional<std::string_view> enter(const net::Address& source, TimePoint now);
    void logged_in(const net::Address& source);
    void leave(const net::Address& source, bool was_logged_in);

    [[nodiscard]] std::size_t total() const { return total_; }

    [[nodiscard]] std::size_t sources() const { return sources_.size(); }

  private:
    struct Counts {
        std::size_t all = 0;
        std::size_t logging_in = 0;
    };

    using Table = std::map<net::Address, Counts>;

    static void leave(Table& table, const net::Address& key, bool was_logged_in);

    Config config_;
    PrefixLimiter opens_;
    std::size_t total_ = 0;
    Table sources_;
    Table sites_;
};

}  // namespace pinhole::rendezvous
