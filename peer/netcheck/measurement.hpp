// One run of netcheck: lets the probes measure side by side and puts what they found into one report. Netcheck is this
// behind a firewall of headers.
#pragma once

#include "peer/netcheck/filtering.hpp"
#include "peer/netcheck/hairpin.hpp"
#include "peer/netcheck/lifetime.hpp"
#include "peer/netcheck/opening_ttl.hpp"
#include "peer/netcheck/sampler.hpp"
#include "peer/netcheck/tcp_profile.hpp"

#include <deque>

namespace pinhole::netcheck {

class Measurement {
  public:
    Measurement(Config config, Rng& rng, TimePoint now);

    [[nodiscard]] Wire& wire() { return wire_; }

    /// After every input: probes, sending, report, events.
    void advance(TimePoint now);

    [[nodiscard]] std::optional<Event> poll_event();
    [[nodiscard]] std::optional<TimePoint> next_timeout() const;

    [[nodiscard]] const net::NetReport& report() const { return report_; }

  private:
    enum class Phase : std::uint8_t { measuring, lifetime, over };

    void start(TimePoint now);
    void step(TimePoint now);
    void learn_other();
    void measure_ttl(TimePoint now);
    void announce(TimePoint now);
    void complete(TimePoint now);
    void advance_lifetime(TimePoint now);

    [[nodiscard]] std::optional<bool> udp_open() const;
    [[nodiscard]] bool translated() const;
    /// nullopt while it can still change.
    [[nodiscard]] std::optional<net::NatBehavior> filtering() const;
    /// Whether a TTL can be found for this kind of NAT.
    [[nodiscard]] bool ttl_measurable(net::NatBehavior filter) const;
    [[nodiscard]] bool known_enough(TimePoint now) const;
    [[nodiscard]] bool finished(TimePoint now) const;

    void refresh(TimePoint now);
    void refresh_udp();
    void refresh_v6();
    [[nodiscard]] std::vector<PortSample> own_mappings() const;
    [[nodiscard]] std::vector<std::string> notes() const;
    void note_servers(std::vector<std::string>& notes) const;
    void note_filtering(std::vector<std::string>& notes) const;
    void note_ports(std::vector<std::string>& notes) const;

    Config config_;
    Wire wire_;
    TimePoint started_;
    TimePoint now_;
    net::Family family_ = net::Family::v4;
    std::optional<Target> target_;
    MappingProbe mapping_;
    FilteringProbe filtering_;
    Sampler sampler_;
    HairpinProbe hairpin_;
    OpeningTtlProbe ttl_;
    TcpProfile tcp_;
    LifetimeProbe lifetime_;
    std::optional<ExchangeId> v6_;
    std::vector<PortSample> samples_;
    AllocationVerdict allocation_;
    net::NetReport report_;
    std::deque<Event> events_;
    Phase phase_ = Phase::measuring;
    bool first_reported_ = false;
    /// The budget ended it.
    bool cut_short_ = false;
    std::optional<std::uint64_t> judged_version_;
    std::optional<std::uint64_t> reported_version_;
};

}  // namespace pinhole::netcheck
