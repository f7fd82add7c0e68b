// The NATs' treatment of TCP, apart from UDP because it often differs (RFC 5382): STUN over TCP (RFC 8489 §6.2.2) from
// one local port to up to three destinations, and a few fresh ports to one. The first connection stays open until the
// end: a FIN can take the mapping with it that the others are compared to.
#pragma once

#include "peer/netcheck/allocation.hpp"
#include "peer/netcheck/mapping.hpp"

namespace pinhole::netcheck {

class TcpProfile {
  public:
    /// With the first connection 5 samples.
    static constexpr std::size_t kFresh = 4;
    /// Three retransmissions of a SYN at least; a connection later than this is none to build on.
    static constexpr Duration kPatience = 4s;
    /// A handshake that took longer had its SYN repeated: it says nothing of order.
    static constexpr Duration kPromptHandshake = 900ms;

    void start(Wire& wire, const Target& target, TimePoint now);
    void advance(Wire& wire, const Target& target, TimePoint now);

    [[nodiscard]] bool done(const Wire& wire, const Target& target, TimePoint now) const;
    [[nodiscard]] std::optional<TimePoint> next_timeout(TimePoint now) const;
    /// OTHER-ADDRESS as heard over TCP.
    [[nodiscard]] std::optional<net::Endpoint> other(const Wire& wire) const;
    /// New mappings in the order of their SYNs.
    [[nodiscard]] std::vector<PortSample> samples(const Wire& wire) const;
    void report(const Wire& wire, std::span<const net::Address> own, TimePoint now, net::ProtocolReport& into) const;

  private:
    struct Line {
        SocketId socket;
        ExchangeId asked;
    };

    [[nodiscard]] Line connect(Wire& wire, const net::Endpoint& to, std::optional<SocketId> same_port, TimePoint now);
    [[nodiscard]] std::optional<net::Endpoint> reflexive(const Wire& wire, const std::optional<Line>& line) const;
    [[nodiscard]] bool done(const Wire& wire, const std::optional<Line>& line) const;
    [[nodiscard]] std::optional<bool> open(const Wire& wire, TimePoint now) const;
    [[nodiscard]] MappingEvidence evidence(const Wire& wire) const;

    TimePoint started_{};
    std::optional<Line> first_;
    std::optional<Line> port_;
    std::optional<Line> address_;
    std::optional<Line> both_;
    std::vector<Line> fresh_;
};

}  // namespace pinhole::netcheck
