// Mapping behaviour (RFC 5780 §4.3, RFC 4787 §4.1): one socket, up to four destinations, do they see the same endpoint?
// Asked from two sockets at once, from a third if these disagree, because one sample is no proof: a NAT that preserves
// ports and met a collision shows another port to one destination.
#pragma once

#include "peer/netcheck/target.hpp"
#include "peer/netcheck/wire.hpp"

#include <span>
#include <vector>

namespace pinhole::netcheck {

/// What the outside saw of one socket; empty where no answer came.
struct MappingEvidence {
    net::Endpoint local;
    std::optional<net::Endpoint> primary{};
    /// Primary address, other port.
    std::optional<net::Endpoint> port{};
    /// Alternate address, primary port.
    std::optional<net::Endpoint> address{};
    /// Alternate address, alternate port.
    std::optional<net::Endpoint> both{};
};

/// unknown where the evidence does not suffice; `own` are the addresses of this machine.
[[nodiscard]] net::NatBehavior judge_mapping(const MappingEvidence& evidence, std::span<const net::Address> own);

/// Of the verdicts of several sockets what most say; of a tie the less dependent one, since equal endpoints do not come
/// about by chance while different ones do.
[[nodiscard]] net::NatBehavior most_plausible(std::span<const net::NatBehavior> verdicts);

/// The endpoint is one of this machine, so nothing translated.
[[nodiscard]] bool is_own(const net::Endpoint& reflexive, const net::Endpoint& local,
                          std::span<const net::Address> own);

class MappingProbe {
  public:
    /// As long as the question whether UDP is open at all.
    static constexpr Duration kPatience = 3s;

    MappingProbe(net::Family family, std::vector<net::Address> own) : family_(family), own_(std::move(own)) {}

    /// Opens the two sockets and asks the primary address.
    void start(Wire& wire, const Target& target, TimePoint now);
    void advance(Wire& wire, const Target& target, TimePoint now);

    [[nodiscard]] bool done(const Wire& wire, const Target& target) const;
    [[nodiscard]] net::NatBehavior verdict(const Wire& wire) const;
    /// The sockets gave different verdicts.
    [[nodiscard]] bool inconsistent(const Wire& wire) const;
    [[nodiscard]] std::optional<net::Endpoint> reflexive(const Wire& wire) const;

    // Whether the server answers from these at all, so that silence elsewhere means a filter. nullopt: not yet known.
    [[nodiscard]] std::optional<bool> second_port_lives(const Wire& wire) const;
    [[nodiscard]] std::optional<bool> second_address_lives(const Wire& wire) const;
    [[nodiscard]] std::optional<bool> other_lives(const Wire& wire) const;

    /// A socket and its questions, one a destination.
    struct Line {
        SocketId socket;
        ExchangeId primary;
        std::optional<ExchangeId> port{};
        std::optional<ExchangeId> address{};
        std::optional<ExchangeId> both{};
    };

    [[nodiscard]] const std::vector<Line>& lines() const { return lines_; }

  private:
    void open(Wire& wire, const Target& target, TimePoint now);
    [[nodiscard]] MappingEvidence evidence(const Wire& wire, const Line& line) const;
    [[nodiscard]] bool done(const Wire& wire, const Target& target, const Line& line) const;
    [[nodiscard]] std::vector<net::NatBehavior> verdicts(const Wire& wire) const;
    [[nodiscard]] std::optional<bool> lives(const Wire& wire, std::optional<ExchangeId> Line::* which) const;

    net::Family family_;
    std::vector<net::Address> own_;
    std::vector<Line> lines_;
};

}  // namespace pinhole::netcheck
