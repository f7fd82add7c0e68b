// Finds server-reflexive addresses (RFC 8445 §5.1.1.2): STUN Binding requests from each local base to the server, with
// the retransmissions of RFC 8489 §6.2.1, as a state machine without sockets.
#pragma once

#include "common/base/rng.hpp"
#include "common/base/time.hpp"
#include "common/net/datagram.hpp"

#include <memory>
#include <optional>
#include <variant>

namespace pinhole::ice {

/// What the server saw for one base.
struct Reflexive {
    net::PathAddresses path;  ///< local base, STUN server
    net::Endpoint reflexive;
    Duration rtt{};
};

/// Every base has its answer or has given up; `answered` counts the former.
struct Gathered {
    std::size_t answered = 0;
    std::size_t asked = 0;
};

using GatherEvent = std::variant<Reflexive, Gathered>;

class Gatherer {
  public:
    explicit Gatherer(Rng& rng);
    Gatherer(Gatherer&&) noexcept;
    Gatherer& operator=(Gatherer&&) noexcept;
    ~Gatherer();

    /// Asks `server` from `base`. RTO 250 ms doubled, 5 sends, then gives up (7.75 s).
    void add(const net::PathAddresses& path, TimePoint now);
    /// No more bases will be added; Gathered follows when all are settled.
    void finish_adding(TimePoint now);
    /// True if the datagram answered one of our requests.
    bool handle_datagram(const net::PathAddresses& path, ByteView payload, TimePoint now);
    void handle_timeout(TimePoint now);

    [[nodiscard]] std::optional<net::Transmit> poll_transmit();
    [[nodiscard]] std::optional<GatherEvent> poll_event();
    [[nodiscard]] std::optional<TimePoint> next_timeout() const;

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace pinhole::ice
