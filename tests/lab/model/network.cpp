#include "tests/lab/model/network.hpp"

#include "tests/lab/model/complaint.hpp"
#include "tests/lab/model/directory.hpp"
#include "tests/lab/model/lines.hpp"

#include <algorithm>
#include <deque>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace pinhole::lab {

namespace {

/// Of each link and NAT: from the topology's seed and its name, so that another host changes nobody's luck.
std::uint64_t seed_of(std::uint64_t seed, std::string_view kind, std::string_view name) {
    std::uint64_t hash = 0xcbf29ce484222325ULL ^ (seed * 0x9e3779b97f4a7c15ULL);  // FNV-1a
    for (const auto part : {kind, std::string_view{"/"}, name}) {
        for (const auto c : part) {
            hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3ULL;
        }
    }
    return hash;
}

bool is_routable(const net::Address& address) {
    return !address.is_unspecified() && !address.is_multicast() && !address.is_loopback() && !address.is_link_local() &&
           !(address.is_v4() && address.bytes()[0] == 255);
}

}  // namespace

class Network::Impl {
  public:
    explicit Impl(const Topology& topology) : directory_(topology) {
        for (const auto& nat : topology.nats) {
            add_line(nat.nat.name, nat.link, topology.seed);
            nats_.emplace_back(nat.nat, nat.external, rng(topology.seed, "nat", nat.nat.name));
            forwards_v6_.push_back(nat.lan_v6.has_value());
        }
        for (const auto& host : topology.hosts) {
            add_line(host.name, host.link, topology.seed);
        }
    }

    [[nodiscard]] const Directory& directory() const { return directory_; }

    [[nodiscard]] NatModel& nat_named(std::string_view name) { return nats_[directory_.nat_named(name)]; }

    [[nodiscard]] Link& link_named(std::string_view name, bool up) {
        return lines_.link({.line = directory_.line_named(name), .up = up});
    }

    void send(std::size_t host, Packet packet, TimePoint now) {
        transmit(nats_.size() + host, true, std::move(packet), now);
    }

    std::optional<Delivery> poll(TimePoint now) {
        for (;;) {
            const auto next = lines_.next_arrival();
            if (!local_.empty() && local_.front().at <= now && (!next || local_.front().at <= *next)) {
                auto delivery = std::move(local_.front().delivery);
                local_.pop_front();
                return delivery;
            }
            auto arrival = lines_.receive(now);
            if (!arrival) {
                return std::nullopt;
            }
            if (auto delivery = hop(std::move(*arrival))) {
                return delivery;
            }
        }
    }

    [[nodiscard]] std::optional<TimePoint> next_timeout() {
        return earliest(local_.empty() ? std::nullopt : std::optional{local_.front().at}, lines_.next_arrival());
    }

    void cut(std::string_view one, std::string_view other) { cuts_.insert(between(one, other)); }

    void restore(std::string_view one, std::string_view other) { cuts_.erase(between(one, other)); }

    net::Address move(std::size_t host, std::string_view behind) {
        const auto line = nats_.size() + host;
        lines_.clear(line);
        std::erase_if(cuts_, [line](const auto& cut) { return cut.first == line || cut.second == line; });
        std::erase_if(local_, [host](const Local& local) { return local.delivery.to.value == host; });
        return directory_.move(host, behind);
    }

    /// Network's own, which may have moved since the last call.
    const std::function<void(const Packet&, const char*, const char*)>* on_drop_ = nullptr;

  private:
    static constexpr std::size_t kCore = Directory::kCore;

    /// What a host is told by its own end of the line.
    struct Local {
        TimePoint at;
        Delivery delivery;
    };

    Rng& rng(std::uint64_t seed, std::string_view kind, std::string_view name) {
        return rngs_.emplace_back(seed_of(seed, kind, name));
    }

    void add_line(const std::string& name, const LinkPair& link, std::uint64_t seed) {
        lines_.add(name, link, rng(seed, "up", name), rng(seed, "down", name));
    }

    // --- links ---

    void dropped(const Packet& packet, const std::string& where, const char* reason) {
        if (*on_drop_) {
            (*on_drop_)(packet, where.c_str(), reason);
        }
    }

    void transmit(std::size_t number, bool up, Packet packet, TimePoint now) {
        const LinkId id{.line = number, .up = up};
        const auto& link = lines_.link(id);
        if (link.config().up && !link.fits(packet)) {
            too_big(id, std::move(packet), now);
            return;
        }
        std::optional<Packet> header;
        if (*on_drop_) {
            auto payload = std::exchange(packet.payload, {});
            header = packet;
            packet.payload = std::move(payload);
        }
        if (lines_.send(id, std::move(packet), now) != SendOutcome::sent && header) {
            dropped(*header, lines_.name(id), link.config().up ? "lost" : "down");
        }
    }

    /// What has come to the end of a link goes on to the next, or is at its host.
    std::optional<Delivery> hop(Lines::Arrival arrival) {
        const auto [number, up] = arrival.link;
        if (up) {
            const auto realm = directory_.realm_of(number);
            if (is_cut(number, realm, arrival.packet.flow.destination.address)) {
                dropped(arrival.packet, directory_.realm_name(realm), "cut");
            } else {
                enter(realm, std::move(arrival.packet), arrival.at);
            }
        } else if (number < nats_.size()) {
            from_outside(number, std::move(arrival.packet), arrival.at);
        } else {
            return Delivery{.to = {number - nats_.size()}, .packet = std::move(arrival.packet)};
        }
        return std::nullopt;
    }

    // --- cuts ---

    using Neighbours = std::pair<std::size_t, std::size_t>;

    [[nodiscard]] Neighbours between(std::string_view one, std::string_view other) const {
        return std::minmax({directory_.line_named(one), directory_.line_named(other)});
    }

    [[nodiscard]] bool is_cut(std::size_t from, std::size_t realm, const net::Address& destination) const {
        if (cuts_.empty()) {
            return false;
        }
        const auto to = directory_.route(realm, destination);
        return to && cuts_.contains(std::minmax({from, *to}));
    }

    void too_big(LinkId id, Packet packet, TimePoint now) {
        const auto& config = lines_.link(id).config();
        dropped(packet, lines_.name(id), "too big");
        if (!config.mtu_icmp || !may_be_answered(packet)) {
            return;
        }
        const auto number = id.line;
        const auto beyond = directory_.realm_of(number);
        const auto family = packet.flow.source.address.family();
        const auto far_router = directory_.router(beyond, family);
        // The router at the near end of the link complains; of what a host sends, the one at the far end.
        if (!id.up) {
            auto report = report_about(std::move(packet), IcmpError::too_big, far_router, config.mtu);
            if (beyond == kCore) {
                core_forward(std::move(report), now);
            } else if (directory_.neighbour(beyond, report.flow.destination.address)) {
                into_lan(beyond, std::move(report), now);
            } else {
                error_outward(beyond, std::move(report), now);
            }
        } else if (number < nats_.size()) {
            const auto self =
                family == net::Family::v4 ? nats_[number].external().front() : directory_.router(number, family);
            error_inward(number, report_about(std::move(packet), IcmpError::too_big, self, config.mtu), now);
        } else {
            auto report = report_about(std::move(packet), IcmpError::too_big, far_router, config.mtu);
            local_.push_back({.at = now, .delivery = {.to = {number - nats_.size()}, .packet = std::move(report)}});
        }
    }

    // --- routers ---

    /// A packet comes up a line into a realm.
    void enter(std::size_t number, Packet packet, TimePoint now) {
        if (number == kCore) {
            core(std::move(packet), now);
            return;
        }
        if (const auto line = directory_.neighbour(number, packet.flow.destination.address)) {
            transmit(*line, false, std::move(packet), now);
        } else {
            from_inside(number, std::move(packet), now);
        }
    }

    /// The core router, all of the internet in one hop.
    void core(Packet packet, TimePoint now) {
        const auto self = directory_.router(kCore, packet.flow.destination.address.family());
        if (packet.flow.destination.address == self) {
            if (auto answer = own_answer(std::move(packet), directory_.realm_name(kCore))) {
                core_forward(std::move(*answer), now);
            }
        } else if (packet.ttl <= 1) {
            dropped(packet, directory_.realm_name(kCore), "time exceeded");
            if (may_be_answered(packet)) {
                core_forward(report_about(std::move(packet), IcmpError::time_exceeded, self), now);
            }
        } else {
            --packet.ttl;
            core_forward(std::move(packet), now);
        }
    }

    void core_forward(Packet packet, TimePoint now) {
        if (const auto number = directory_.route(kCore, packet.flow.destination.address)) {
            transmit(*number, false, std::move(packet), now);
            return;
        }
        dropped(packet, directory_.realm_name(kCore), "no route");
        const auto& source = packet.flow.source.address;
        if (may_be_answered(packet) && directory_.route(kCore, source)) {
            const auto self = directory_.router(kCore, source.family());
            core_forward(report_about(std::move(packet), IcmpError::unreachable, self), now);
        }
    }

    /// The answer of a router to a packet for itself: an echo reply or nothing.
    std::optional<Packet> own_answer(Packet packet, const std::string& where) {
        if (is_echo_request(packet)) {
            return echo_reply(std::move(packet));
        }
        dropped(packet, where, "for the router");
        return std::nullopt;
    }

    void into_lan(std::size_t number, Packet packet, TimePoint now) {
        if (const auto line = directory_.route(number, packet.flow.destination.address)) {
            transmit(*line, false, std::move(packet), now);
        } else {
            dropped(packet, directory_.realm_name(number), "no such host");
        }
    }

    /// A packet in a NAT's LAN that is for nobody there.
    void from_inside(std::size_t number, Packet packet, TimePoint now) {
        const auto destination = packet.flow.destination.address;
        if (!is_routable(destination) || (!destination.is_v4() && !forwards_v6_[number])) {
            dropped(packet, directory_.realm_name(number), destination.is_v4() ? "not routable" : "no IPv6");
            return;
        }
        const auto self = directory_.router(number, destination.family());
        if (destination == self) {
            if (auto answer = own_answer(std::move(packet), directory_.realm_name(number))) {
                into_lan(number, std::move(*answer), now);
            }
            return;
        }
        if (packet.ttl <= 1) {
            dropped(packet, directory_.realm_name(number), "time exceeded");
            if (may_be_answered(packet)) {
                into_lan(number, report_about(std::move(packet), IcmpError::time_exceeded, self), now);
            }
            return;
        }
        --packet.ttl;
        if (directory_.is_local(number, destination) || directory_.route(number, destination)) {
            into_lan(number, std::move(packet), now);
        } else if (packet.report) {
            error_outward(number, std::move(packet), now);
        } else {
            translate_out(number, std::move(packet), now);
        }
    }

    void translate_out(std::size_t number, Packet packet, TimePoint now) {
        const auto verdict = nats_[number].outbound(packet, now);
        switch (verdict.action) {
            case NatVerdict::Action::forward:
                packet.flow = verdict.flow;
                transmit(number, true, std::move(packet), now);
                return;
            case NatVerdict::Action::hairpin:
                packet.flow = verdict.flow;
                into_lan(number, std::move(packet), now);
                return;
            case NatVerdict::Action::reject:
                dropped(packet, directory_.realm_name(number), verdict.reason);
                into_lan(number, rejection_of(std::move(packet)), now);
                return;
            case NatVerdict::Action::drop:
                dropped(packet, directory_.realm_name(number), verdict.reason);
                return;
        }
    }

    /// A packet that the outer realm hands to a NAT. Its TTL counts only if it is to go on: what is for the router
    /// itself, as everything that it does not let in, needs none (RFC 1812 §5.3.1).
    void from_outside(std::size_t number, Packet packet, TimePoint now) {
        const bool v4 = packet.flow.destination.address.is_v4();
        if (!v4 && !forwards_v6_[number]) {
            dropped(packet, directory_.realm_name(number), "no IPv6");
            return;
        }
        if (packet.report) {
            error_inward(number, std::move(packet), now);
            return;
        }
        const auto verdict = nats_[number].inbound(packet, now);
        if (verdict.action == NatVerdict::Action::forward && packet.ttl > 1) {
            packet.flow = verdict.flow;
            --packet.ttl;
            into_lan(number, std::move(packet), now);
        } else if (verdict.action == NatVerdict::Action::forward) {
            dropped(packet, directory_.realm_name(number), "time exceeded");
            if (may_be_answered(packet)) {
                const auto self = v4 ? packet.flow.destination.address : directory_.router(number, net::Family::v6);
                transmit(number, true, report_about(std::move(packet), IcmpError::time_exceeded, self), now);
            }
        } else {
            dropped(packet, directory_.realm_name(number), verdict.reason);
            if (verdict.action == NatVerdict::Action::reject) {
                transmit(number, true, rejection_of(std::move(packet)), now);
            }
        }
    }

    /// RFC 5508 §4.1: an error from the outside about a packet that the inside sent.
    void error_inward(std::size_t number, Packet packet, TimePoint now) {
        const auto about = nats_[number].translate_error(packet.report->about, now);
        if (!about || packet.ttl <= 1) {
            dropped(packet, directory_.realm_name(number), "error about nothing known");
            return;
        }
        --packet.ttl;
        packet.report->about = *about;
        packet.flow.destination.address = about->source.address;
        into_lan(number, std::move(packet), now);
    }

    /// RFC 5508 §4.2: an error from the inside about a packet that came from the outside.
    void error_outward(std::size_t number, Packet packet, TimePoint now) {
        const auto about = nats_[number].translate_error_outward(packet.report->about, now);
        if (!about) {
            dropped(packet, directory_.realm_name(number), "error about nothing known");
            return;
        }
        packet.report->about = *about;
        if (about->destination.address.is_v4()) {
            packet.flow.source.address = about->destination.address;
        }
        const auto& external = nats_[number].external();
        if (std::ranges::find(external, packet.flow.destination.address) != external.end()) {
            error_inward(number, std::move(packet), now);
        } else {
            transmit(number, true, std::move(packet), now);
        }
    }

    /// Stable in memory: links and NATs keep references.
    std::deque<SeededRng> rngs_;
    Directory directory_;
    /// Numbered as in the directory.
    Lines lines_;
    std::vector<NatModel> nats_;
    std::vector<bool> forwards_v6_;
    std::deque<Local> local_;
    /// By the numbers of their lines, the lower one first.
    std::set<Neighbours> cuts_;
};

Network::Network(const Topology& topology) : impl_(std::make_unique<Impl>(topology)) {}

Network::Network(Network&&) noexcept = default;
Network& Network::operator=(Network&&) noexcept = default;
Network::~Network() = default;

HostId Network::host(std::string_view name) const {
    return {impl_->directory().host_named(name)};
}

std::size_t Network::hosts() const {
    return impl_->directory().hosts().size();
}

const HostNode& Network::node(HostId host) const {
    return impl_->directory().hosts()[host.value];
}

std::optional<net::Address> Network::address(HostId host, net::Family family) const {
    const auto& addresses = node(host).addresses;
    const auto where = std::ranges::find(addresses, family, &net::Address::family);
    return where == addresses.end() ? std::nullopt : std::optional{*where};
}

void Network::send(HostId from, Packet packet, TimePoint now) {
    impl_->on_drop_ = &on_drop;
    impl_->send(from.value, std::move(packet), now);
}

std::optional<Delivery> Network::poll(TimePoint now) {
    impl_->on_drop_ = &on_drop;
    return impl_->poll(now);
}

std::optional<TimePoint> Network::next_timeout() const {
    return impl_->next_timeout();
}

NatModel& Network::nat(std::string_view name) {
    return impl_->nat_named(name);
}

Link& Network::uplink(std::string_view host_or_nat) {
    return impl_->link_named(host_or_nat, true);
}

Link& Network::downlink(std::string_view host_or_nat) {
    return impl_->link_named(host_or_nat, false);
}

void Network::cut(std::string_view one, std::string_view other) {
    impl_->cut(one, other);
}

void Network::restore(std::string_view one, std::string_view other) {
    impl_->restore(one, other);
}

net::Address Network::move(HostId host, std::string_view behind, TimePoint now) {
    (void)now;
    return impl_->move(host.value, behind);
}

}  // namespace pinhole::lab
