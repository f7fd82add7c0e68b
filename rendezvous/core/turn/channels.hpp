// The channels of an allocation (RFC 8656 §12): a number for a peer, until its time; and for a while after that neither
// means anybody else, so that what is still under way does not reach the wrong one. Flat tables, searched for each
// datagram by either side.
#pragma once

#include "common/base/time.hpp"
#include "common/net/endpoint.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace pinhole::turn {

class Channels {
  public:
    enum class Bound : std::uint8_t { yes, taken, full };

    struct Channel {
        std::uint16_t number = 0;
        net::Endpoint peer;
        TimePoint until;
        /// Neither is free before.
        TimePoint free_at;
    };

    /// Whether the two may be bound. `taken`: the number is another peer's, or the peer has another number.
    [[nodiscard]] Bound check(std::uint16_t number, const net::Endpoint& peer, std::size_t limit) const;
    /// After `check`; or refreshes.
    void bind(const Channel& channel);
    /// nullptr: not bound. Valid until the next change.
    [[nodiscard]] const net::Endpoint* peer_of(std::uint16_t number, TimePoint now) const;
    [[nodiscard]] std::optional<std::uint16_t> number_of(const net::Endpoint& peer, TimePoint now) const;
    void expire(TimePoint now);

    [[nodiscard]] std::optional<TimePoint> next_timeout() const;

    /// With those that rest.
    [[nodiscard]] std::size_t size() const { return channels_.size(); }

  private:
    [[nodiscard]] const Channel* find(std::uint16_t number) const;
    [[nodiscard]] const Channel* find(const net::Endpoint& peer) const;
    void sort_peers();

    /// By number.
    std::vector<Channel> channels_;
    /// Places in `channels_`, by peer.
    std::vector<std::uint16_t> by_peer_;
};

}  // namespace pinhole::turn
