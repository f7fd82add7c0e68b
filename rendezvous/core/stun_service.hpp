// The STUN server (RFC 8489 §12, RFC 5780 §6): tells whoever asks from which address it was heard, and with a second
// address helps to find out how NATs behave. Stateless but for a rate of answered bytes per source network, so that a
// forged source cannot turn it into a reflector. Driven by the shell, one call a request.
#pragma once

#include "rendezvous/core/prefix_limiter.hpp"
#include "rendezvous/core/stun_binding.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace pinhole::rendezvous {

class StunService {
  public:
    struct Config {
        /// Bytes of answers with their IP and UDP headers: 100 to 200 answers a second, bursts of twice as many.
        PrefixLimiter::Config bytes{.per_second = 16'000, .burst = 32'000};
        /// At most one for each family.
        std::vector<StunSite> sites{};
    };

    struct Stats {
        std::uint64_t answered = 0;
        std::uint64_t refused = 0;  ///< answered with 400 or 420
        std::uint64_t dropped = 0;  ///< not a Binding request
        std::uint64_t limited = 0;
    };

    StunService() : StunService(Config{}) {}

    explicit StunService(const Config& config) : limiter_(config.bytes), sites_(config.sites) {}

    /// What listens is known later than whoever serves it.
    void add_site(const StunSite& site) { sites_.push_back(site); }

    /// What to send, from which of the server's endpoints and where to, or nothing. `path.local` is where the datagram
    /// was received: its own destination address, not the wildcard of a socket.
    [[nodiscard]] std::optional<net::Transmit> handle_datagram(ByteView request, const net::PathAddresses& path,
                                                               TimePoint now);
    /// The same over TCP: the answer goes back on the connection.
    [[nodiscard]] std::optional<Bytes> handle_stream(ByteView request, const net::PathAddresses& path, TimePoint now);

    [[nodiscard]] const Stats& stats() const { return stats_; }

  private:
    [[nodiscard]] std::optional<net::Transmit> answer(const BindingRequest& asked, TimePoint now);
    [[nodiscard]] const StunSite* site_of(const net::Endpoint& local) const;

    PrefixLimiter limiter_;
    std::vector<StunSite> sites_;
    Stats stats_;
};

}  // namespace pinhole::rendezvous
