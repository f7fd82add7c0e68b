// Fresh sockets towards one destination: a burst at the start, whose order shows how ports are chosen, then one at a
// time over the whole budget, where that tells more (how fast others take ports). The sockets of the burst stay open:
// they have spoken to nobody but the primary address, which other probes need.
//
// Timers, in words: after the burst a sample each kInterval, a few for every NAT that does not preserve ports, until
// `kLastSample` for one that counts.
#pragma once

#include "peer/netcheck/allocation.hpp"
#include "peer/netcheck/target.hpp"
#include "peer/netcheck/wire.hpp"

namespace pinhole::netcheck {

/// New mappings of one protocol as far as answers show them, in the order in which they were made: one for each pair of
/// a socket and an external endpoint.
[[nodiscard]] std::vector<PortSample> collect_samples(const Wire& wire, Transport transport, net::Family family);

class Sampler {
  public:
    /// With the two sockets each of mapping and filtering 12 samples in the burst.
    static constexpr std::size_t kBurstSockets = 8;
    /// 14 more in the budget: enough marks of time, few enough for the port quota of a CGN.
    static constexpr Duration kInterval = 330ms;
    /// Later samples that any NAT gets which does not preserve ports.
    static constexpr std::size_t kLater = 3;
    /// After the start; half a second is left for the answer.
    static constexpr Duration kLastSample = 4900ms;

    void start(Wire& wire, const Target& target, net::Family family, TimePoint now);
    void advance(Wire& wire, const Target& target, const AllocationVerdict& verdict, TimePoint now);

    [[nodiscard]] bool burst_done(const Wire& wire) const;
    [[nodiscard]] bool done(const Wire& wire) const;

    [[nodiscard]] std::optional<TimePoint> next_timeout() const { return next_; }

    /// The sockets of the burst.
    [[nodiscard]] const std::vector<SocketId>& sockets() const { return sockets_; }

  private:
    [[nodiscard]] bool wants_more(const Wire& wire, const AllocationVerdict& verdict, TimePoint now) const;

    net::Family family_ = net::Family::v4;
    TimePoint started_{};
    std::vector<SocketId> sockets_;
    std::vector<ExchangeId> burst_;
    std::vector<ExchangeId> later_;
    std::optional<TimePoint> next_;
    bool finished_ = false;
};

}  // namespace pinhole::netcheck
