// Filtering behaviour (RFC 5780 §4.4, RFC 4787 §5): who may answer a socket that has spoken to the primary address
// only? On fresh sockets that never send anywhere else, because sending is what opens a filter. Silence counts as a
// filter only if the same socket's control was answered and the server does answer from where the silence is.
#pragma once

#include "peer/netcheck/mapping.hpp"

namespace pinhole::netcheck {

enum class Heard : std::uint8_t {
    pending,  ///< may still come
    yes,      ///< the answer came from where it was asked to come from
    no,       ///< it did not, though all else works
    unclear,  ///< the server refuses or ignores the question, or its other side is not known to answer
};

/// Which unsolicited answers got in.
struct FilteringEvidence {
    Heard both = Heard::pending;  ///< from the other address and the other port
    Heard port = Heard::pending;  ///< from the same address and the other port
    /// From the other address and the same port: the fourth test, without which a filter that looks at the port alone
    /// passes for one that looks at both (RFC 5780, erratum 7971).
    Heard address = Heard::pending;
};

/// nullopt while it can still change. `translated`: there is a NAT.
[[nodiscard]] std::optional<net::NatBehavior> judge_filtering(const FilteringEvidence& evidence, bool translated);

class FilteringProbe {
  public:
    /// A fixed pace: no answer is the usual one, so there is no round trip to wait for.
    static constexpr Duration kInterval = 100ms;

    void start(Wire& wire, const Target& target, net::Family family, TimePoint now);

    [[nodiscard]] FilteringEvidence evidence(const Wire& wire, const Target& target, const MappingProbe& mapping) const;
    /// The server refused or ignored CHANGE-REQUEST.
    [[nodiscard]] bool refused(const Wire& wire, const Target& target) const;
    /// So many tries went without an answer that a filter is likely, though not yet proved.
    [[nodiscard]] bool probably_filtered(const Wire& wire, TimePoint now) const;
    [[nodiscard]] std::optional<TimePoint> next_timeout(const Wire& wire, TimePoint now) const;

  private:
    [[nodiscard]] Heard heard(const Wire& wire, ExchangeId question, ExchangeId control,
                              const std::optional<net::Endpoint>& expected, std::optional<bool> lives) const;

    bool started_ = false;
    ExchangeId both_;
    ExchangeId both_control_;
    ExchangeId port_;
    ExchangeId address_;
    ExchangeId port_control_;
};

}  // namespace pinhole::netcheck
