// The smallest TTL of a packet that opens all NATs of ours: sent to the server's other endpoint, does it let in the
// answer that the other endpoint then gives to a question put to the primary one? Such a packet can open our side of a
// hole without ever reaching the NAT of the other peer, which some NATs hold against us.
//
// Means something only where a filter looks at the address, and works only where the port is the same for both
// destinations. All TTLs at once, then the smallest once more on a fresh socket.
#pragma once

#include "peer/netcheck/target.hpp"
#include "peer/netcheck/wire.hpp"

#include <span>

namespace pinhole::netcheck {

class OpeningTtlProbe {
  public:
    /// 1 never leaves our first router. More than 8 would come near to the NAT of the peer.
    static constexpr std::uint8_t kSmallest = 2;
    static constexpr std::uint8_t kLargest = 8;
    static constexpr int kTries = 8;
    static constexpr Duration kInterval = 100ms;

    /// `fresh`: sockets that never sent to the other endpoint, one a TTL.
    void start(Wire& wire, const Target& target, std::span<const SocketId> fresh, TimePoint now);
    void advance(Wire& wire, const Target& target, net::Family family, TimePoint now);

    [[nodiscard]] bool started() const { return !rounds_.empty(); }

    [[nodiscard]] bool done(const Wire& wire) const;
    [[nodiscard]] std::optional<std::uint8_t> verdict(const Wire& wire) const;

  private:
    struct Round {
        std::uint8_t ttl;
        ExchangeId exchange;
        std::optional<ExchangeId> again{};
    };

    [[nodiscard]] ExchangeId ask(Wire& wire, const Target& target, SocketId socket, std::uint8_t ttl, TimePoint now);
    /// The smallest that opened and was not refuted, once all smaller ones are known.
    [[nodiscard]] const Round* smallest(const Wire& wire) const;

    std::vector<Round> rounds_;
    std::optional<net::Endpoint> other_;
};

}  // namespace pinhole::netcheck
