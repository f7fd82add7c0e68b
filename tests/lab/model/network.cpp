#include "tests/lab/model/network.hpp"

#include "tests/lab/model/address_pool.hpp"
#include "tests/lab/model/endpoint_key.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace pinhole::lab {

namespace {

constexpr std::uint8_t kInitialTtl = 64;

/// Of a port of the lab's random numbers: the topology's seed and a name, so that another host changes nobody's luck.
std::uint64_t seed_of(std::uint64_t seed, std::string_view kind, std::string_view name) {
    std::uint64_t hash = 0xcbf29ce484222325ULL ^ (seed * 0x9e3779b97f4a7c15ULL);  // FNV-1a
    for (const auto part : {kind, std::string_view{"/"}, name}) {
        for (const auto c : part) {
            hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3ULL;
        }
    }
    return hash;
}

[[noreturn]] void no_such(std::string_view name) {
    std::fprintf(stderr, "the topology has no \"%.*s\"\n", static_cast<int>(name.size()), name.data());
    std::abort();
}

std::size_t header_size(net::Family family) {
    return family == net::Family::v4 ? 20 : 40;
}

/// RFC 792: the offending header and 8 bytes after it; RFC 4443 §3 as much as fits, here the same.
std::size_t report_size(net::Family family) {
    return 2 * header_size(family) + 16;
}

bool is_echo_request(const Flow& flow) {
    return flow.protocol == Protocol::icmp && flow.source.port != 0 && flow.destination.port == 0;
}

/// Never an error about an error (RFC 1122 §3.2.2).
bool may_be_answered(const Packet& packet) {
    return !packet.report && !packet.reset && !packet.tcp.rst;
}

Packet report_about(Packet packet, IcmpError error, const net::Address& from, std::size_t mtu = 0) {
    Packet report;
    report.flow = {.protocol = Protocol::icmp,
                   .source = {.address = from, .port = 0},
                   .destination = {.address = packet.flow.source.address, .port = 0}};
    report.report = IcmpReport{.error = error, .about = packet.flow, .mtu = mtu};
    report.size = report_size(from.family());
    report.payload = std::move(packet.payload);
    return report;
}

/// What a router that does not let a packet in says.
Packet rejection_of(Packet packet) {
    if (packet.flow.protocol != Protocol::tcp) {
        const auto from = packet.flow.destination.address;
        return report_about(std::move(packet), IcmpError::port_unreachable, from);
    }
    Packet reset;
    reset.flow = {.protocol = Protocol::tcp, .source = packet.flow.destination, .destination = packet.flow.source};
    reset.tcp = {.ack = !packet.tcp.ack, .rst = true};
    reset.reset = true;
    reset.size = header_size(packet.flow.source.address.family()) + 20;
    reset.payload = std::move(packet.payload);
    return reset;
}

bool is_routable(const net::Address& address) {
    return !address.is_unspecified() && !address.is_multicast() && !address.is_loopback() && !address.is_link_local() &&
           !(address.is_v4() && address.bytes()[0] == 255);
}

}  // namespace

class Network::Impl {
  public:
    explicit Impl(const Topology& topology) {
        internet_.where = kInternet;
        lines_.reserve(topology.nats.size() + topology.hosts.size());
        routers_.reserve(topology.nats.size());
        for (const auto& nat : topology.nats) {
            add_nat(nat, topology.seed);
        }
        for (std::size_t i = 0; i < topology.nats.size(); ++i) {
            lines_[i].realm = realm_of(topology.nats[i].behind);
        }
        for (std::size_t i = 0; i < topology.nats.size(); ++i) {
            attach_nat(i, topology.nats[i]);
        }
        for (const auto& host : topology.hosts) {
            add_host(host, topology.seed);
        }
    }

    // --- names ---

    [[nodiscard]] std::size_t line_of(std::string_view name) const {
        const auto where = by_name_.find(name);
        if (where == by_name_.end()) {
            no_such(name);
        }
        return where->second;
    }

    [[nodiscard]] std::size_t host_of(std::string_view name) const {
        const auto line = line_of(name);
        if (line < routers_.size()) {
            no_such(name);
        }
        return line - routers_.size();
    }

    [[nodiscard]] NatModel& nat_of(std::string_view name) {
        const auto line = line_of(name);
        if (line >= routers_.size()) {
            no_such(name);
        }
        return routers_[line].nat;
    }

    [[nodiscard]] Link& link_of(std::string_view name, bool up) {
        auto& line = lines_[line_of(name)];
        return up ? line.up.link : line.down.link;
    }

    // --- time ---

    void send(std::size_t host, Packet packet, TimePoint now) {
        transmit(routers_.size() + host, true, std::move(packet), now);
    }

    std::optional<Delivery> poll(TimePoint now) {
        for (;;) {
            drop_stale();
            const bool event = !events_.empty() && events_.front().at <= now;
            if (!local_.empty() && local_.front().at <= now && (!event || local_.front().at <= events_.front().at)) {
                auto delivery = std::move(local_.front().delivery);
                local_.pop_front();
                return delivery;
            }
            if (!event) {
                return std::nullopt;
            }
            if (auto delivery = next_hop()) {
                return delivery;
            }
        }
    }

    [[nodiscard]] std::optional<TimePoint> next_timeout() {
        drop_stale();
        return earliest(local_.empty() ? std::nullopt : std::optional{local_.front().at},
                        events_.empty() ? std::nullopt : std::optional{events_.front().at});
    }

    net::Address move(std::size_t host, std::string_view behind) {
        auto& node = hosts_[host];
        const auto number = routers_.size() + host;
        auto& line = lines_[number];
        auto& old = realm(line.realm);
        for (const auto& address : node.addresses) {
            old.members.erase(key_of(address));
            old.pool.release(address);
        }
        for (auto* direction : {&line.up, &line.down}) {
            direction->link.clear();
            direction->armed.reset();
        }
        std::erase_if(local_, [host](const Local& local) { return local.delivery.to.value == host; });
        const auto addresses = std::exchange(node.addresses, {});
        line.realm = realm_of(behind);
        node.behind = behind;
        auto& next = realm(line.realm);
        next.pool.next_member();
        const auto v4 = std::ranges::count_if(addresses, &net::Address::is_v4);
        for (std::ptrdiff_t i = 0; i < v4; ++i) {
            take_address(number, net::Family::v4);
        }
        if (wants_v6_[host]) {
            take_address(number, net::Family::v6);
        }
        return node.addresses.empty() ? net::Address::any(net::Family::v4) : node.addresses.front();
    }

    std::vector<HostNode> hosts_;
    /// Network's own, which may have moved since the last call.
    const std::function<void(const Packet&, const char*, const char*)>* on_drop_ = nullptr;

  private:
    static constexpr std::size_t kCore = std::numeric_limits<std::size_t>::max();

    struct Direction {
        Link link;
        std::string where;
        /// The time of this link's entry in `events_`.
        std::optional<TimePoint> armed;
    };

    /// What a NAT or host hangs on; `realm` is the router (by number) at its other end, or kCore.
    struct Line {
        Direction up;
        Direction down;
        std::size_t realm = kCore;
    };

    /// A LAN or the internet: who is in it.
    struct Realm {
        std::string where;
        AddressPool pool;
        /// By address, and by the upper half of IPv6 prefixes behind a NAT: the number of the line.
        std::map<AddressKey, std::size_t> members;
        std::map<std::uint64_t, std::size_t> prefixes;
    };

    struct Router {
        NatModel nat;
        Realm lan;
        bool v6 = false;
    };

    struct Event {
        TimePoint at;
        std::size_t line = 0;
        bool up = false;

        friend auto operator<=>(const Event&, const Event&) = default;
    };

    struct Local {
        TimePoint at;
        Delivery delivery;
    };

    // --- building ---

    Rng& rng(std::uint64_t seed, std::string_view kind, std::string_view name) {
        return rngs_.emplace_back(seed_of(seed, kind, name));
    }

    void add_line(const std::string& name, const LinkPair& link, std::uint64_t seed) {
        by_name_.emplace(name, lines_.size());
        lines_.push_back(
            {.up = {.link = Link{link.up, rng(seed, "up", name)}, .where = name + " up", .armed = {}},
             .down = {.link = Link{link.down, rng(seed, "down", name)}, .where = name + " down", .armed = {}},
             .realm = kCore});
    }

    void add_nat(const NatNode& node, std::uint64_t seed) {
        add_line(node.nat.name, node.link, seed);
        routers_.push_back({.nat = NatModel{node.nat, node.external, rng(seed, "nat", node.nat.name)},
                            .lan = {.where = node.nat.name,
                                    .pool = AddressPool{node.lan, node.lan_prefix, node.lan_v6},
                                    .members = {},
                                    .prefixes = {}},
                            .v6 = node.lan_v6.has_value()});
    }

    void attach_nat(std::size_t number, const NatNode& node) {
        for (const auto& address : node.external) {
            join(number, address);
        }
        if (!node.lan_v6) {
            return;
        }
        // Every realm further out knows which of its own NATs leads there.
        for (auto at = number;; at = lines_[at].realm) {
            realm(lines_[at].realm).prefixes[key_of(*node.lan_v6).high] = at;
            if (lines_[at].realm == kCore) {
                return;
            }
        }
    }

    void add_host(const HostNode& node, std::uint64_t seed) {
        const auto number = lines_.size();
        add_line(node.name, node.link, seed);
        lines_[number].realm = realm_of(node.behind);
        hosts_.push_back(node);
        wants_v6_.push_back(!node.addresses.back().is_v4());
        for (const auto& address : node.addresses) {
            join(number, address);
        }
    }

    void join(std::size_t number, const net::Address& address) {
        auto& where = realm(lines_[number].realm);
        where.members[key_of(address)] = number;
        (void)where.pool.reserve(address);
    }

    void take_address(std::size_t number, net::Family family) {
        if (const auto address = realm(lines_[number].realm).pool.take(family)) {
            hosts_[number - routers_.size()].addresses.push_back(*address);
            join(number, *address);
        }
    }

    [[nodiscard]] std::size_t realm_of(std::string_view behind) const {
        const auto number = behind == kInternet ? kCore : line_of(behind);
        if (number != kCore && number >= routers_.size()) {
            no_such(behind);
        }
        return number;
    }

    [[nodiscard]] Realm& realm(std::size_t number) { return number == kCore ? internet_ : routers_[number].lan; }

    // --- links ---

    void dropped(const Packet& packet, const std::string& where, const char* reason) {
        if (*on_drop_) {
            (*on_drop_)(packet, where.c_str(), reason);
        }
    }

    void transmit(std::size_t number, bool up, Packet packet, TimePoint now) {
        auto& direction = up ? lines_[number].up : lines_[number].down;
        if (direction.link.config().up && !direction.link.fits(packet)) {
            too_big(number, up, std::move(packet), now);
            return;
        }
        std::optional<Packet> header;
        if (*on_drop_) {
            auto payload = std::exchange(packet.payload, {});
            header = packet;
            packet.payload = std::move(payload);
        }
        if (direction.link.send(std::move(packet), now) != SendOutcome::sent && header) {
            dropped(*header, direction.where, direction.link.config().up ? "lost" : "down");
        }
        arm(number, up);
    }

    void arm(std::size_t number, bool up) {
        auto& direction = up ? lines_[number].up : lines_[number].down;
        const auto next = direction.link.next_arrival();
        if (next != direction.armed) {
            direction.armed = next;
            if (next) {
                events_.push_back({.at = *next, .line = number, .up = up});
                std::ranges::push_heap(events_, std::greater{});
            }
        }
    }

    void drop_stale() {
        while (!events_.empty()) {
            const auto& event = events_.front();
            const auto& line = lines_[event.line];
            if ((event.up ? line.up : line.down).armed == event.at) {
                return;
            }
            std::ranges::pop_heap(events_, std::greater{});
            events_.pop_back();
        }
    }

    /// Takes the earliest packet off its link and to the next link, or to its host.
    std::optional<Delivery> next_hop() {
        std::ranges::pop_heap(events_, std::greater{});
        const auto event = events_.back();
        events_.pop_back();
        auto& direction = event.up ? lines_[event.line].up : lines_[event.line].down;
        direction.armed.reset();
        auto packet = direction.link.receive(event.at);
        arm(event.line, event.up);
        if (!packet) {
            return std::nullopt;
        }
        if (event.up) {
            enter(lines_[event.line].realm, std::move(*packet), event.at);
        } else if (event.line < routers_.size()) {
            from_outside(event.line, std::move(*packet), event.at);
        } else {
            return Delivery{.to = {event.line - routers_.size()}, .packet = std::move(*packet)};
        }
        return std::nullopt;
    }

    void too_big(std::size_t number, bool up, Packet packet, TimePoint now) {
        auto& direction = up ? lines_[number].up : lines_[number].down;
        const auto& config = direction.link.config();
        dropped(packet, direction.where, "too big");
        if (!config.mtu_icmp || !may_be_answered(packet)) {
            return;
        }
        const bool of_nat = number < routers_.size();
        const auto family = packet.flow.source.address.family();
        // The router at the near end of the line complains; of a host's own line, the one at its far end.
        const auto from = up && of_nat && family == net::Family::v4 ? routers_[number].nat.external().front()
                          : up && of_nat                            ? routers_[number].lan.pool.router(family)
                                                                    : realm(lines_[number].realm).pool.router(family);
        auto report = report_about(std::move(packet), IcmpError::too_big, from, config.mtu);
        if (up && of_nat) {
            error_inward(number, std::move(report), now);
        } else if (up) {
            local_.push_back({.at = now, .delivery = {.to = {number - routers_.size()}, .packet = std::move(report)}});
        } else if (lines_[number].realm == kCore) {
            core_forward(std::move(report), now);
        } else if (realm(lines_[number].realm).members.contains(key_of(report.flow.destination.address))) {
            into_lan(lines_[number].realm, std::move(report), now);
        } else {
            error_outward(lines_[number].realm, std::move(report), now);
        }
    }

    // --- routers ---

    /// The line towards an address of a realm.
    [[nodiscard]] std::optional<std::size_t> member(Realm& where, const net::Address& address) const {
        const auto key = key_of(address);
        if (const auto exact = where.members.find(key); exact != where.members.end()) {
            return exact->second;
        }
        if (!address.is_v4()) {
            if (const auto prefix = where.prefixes.find(key.high); prefix != where.prefixes.end()) {
                return prefix->second;
            }
        }
        return std::nullopt;
    }

    /// A packet comes up a line into a realm.
    void enter(std::size_t number, Packet packet, TimePoint now) {
        if (number == kCore) {
            core(std::move(packet), now);
            return;
        }
        const auto& lan = routers_[number].lan;
        if (const auto neighbour = lan.members.find(key_of(packet.flow.destination.address));
            neighbour != lan.members.end()) {
            transmit(neighbour->second, false, std::move(packet), now);
        } else {
            from_inside(number, std::move(packet), now);
        }
    }

    /// The core router, all of the internet in one hop.
    void core(Packet packet, TimePoint now) {
        const auto self = internet_.pool.router(packet.flow.destination.address.family());
        if (packet.flow.destination.address == self) {
            if (auto answer = own_answer(packet, internet_.where)) {
                core_forward(std::move(*answer), now);
            }
        } else if (packet.ttl <= 1) {
            dropped(packet, internet_.where, "time exceeded");
            if (may_be_answered(packet)) {
                core_forward(report_about(std::move(packet), IcmpError::time_exceeded, self), now);
            }
        } else {
            --packet.ttl;
            core_forward(std::move(packet), now);
        }
    }

    void core_forward(Packet packet, TimePoint now) {
        if (const auto number = member(internet_, packet.flow.destination.address)) {
            transmit(*number, false, std::move(packet), now);
            return;
        }
        dropped(packet, internet_.where, "no route");
        const auto& source = packet.flow.source.address;
        if (may_be_answered(packet) && member(internet_, source)) {
            const auto self = internet_.pool.router(source.family());
            core_forward(report_about(std::move(packet), IcmpError::unreachable, self), now);
        }
    }

    /// The answer of a router to a packet for itself: an echo reply or nothing.
    std::optional<Packet> own_answer(Packet& packet, const std::string& where) {
        if (packet.report || !is_echo_request(packet.flow)) {
            dropped(packet, where, "for the router");
            return std::nullopt;
        }
        std::swap(packet.flow.source, packet.flow.destination);
        packet.ttl = kInitialTtl;
        return std::move(packet);
    }

    void into_lan(std::size_t number, Packet packet, TimePoint now) {
        auto& lan = routers_[number].lan;
        if (const auto line = member(lan, packet.flow.destination.address)) {
            transmit(*line, false, std::move(packet), now);
        } else {
            dropped(packet, lan.where, "no such host");
        }
    }

    /// A packet in a NAT's LAN that is for nobody there.
    void from_inside(std::size_t number, Packet packet, TimePoint now) {
        auto& router = routers_[number];
        const auto destination = packet.flow.destination.address;
        if (!is_routable(destination) || (!destination.is_v4() && !router.v6)) {
            dropped(packet, router.lan.where, destination.is_v4() ? "not routable" : "no IPv6");
            return;
        }
        const auto self = router.lan.pool.router(destination.family());
        if (destination == self) {
            if (auto answer = own_answer(packet, router.lan.where)) {
                into_lan(number, std::move(*answer), now);
            }
            return;
        }
        if (packet.ttl <= 1) {
            dropped(packet, router.lan.where, "time exceeded");
            if (may_be_answered(packet)) {
                into_lan(number, report_about(std::move(packet), IcmpError::time_exceeded, self), now);
            }
            return;
        }
        --packet.ttl;
        if (router.lan.pool.contains(destination) || member(router.lan, destination)) {
            into_lan(number, std::move(packet), now);
        } else if (packet.report) {
            error_outward(number, std::move(packet), now);
        } else {
            translate_out(number, std::move(packet), now);
        }
    }

    void translate_out(std::size_t number, Packet packet, TimePoint now) {
        auto& router = routers_[number];
        const auto verdict = router.nat.outbound(packet, now);
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
                dropped(packet, router.lan.where, verdict.reason);
                into_lan(number, rejection_of(std::move(packet)), now);
                return;
            case NatVerdict::Action::drop:
                dropped(packet, router.lan.where, verdict.reason);
                return;
        }
    }

    /// A packet that the outer realm hands to a NAT.
    void from_outside(std::size_t number, Packet packet, TimePoint now) {
        auto& router = routers_[number];
        const bool v4 = packet.flow.destination.address.is_v4();
        if (!v4 && !router.v6) {
            dropped(packet, router.lan.where, "no IPv6");
            return;
        }
        if (packet.report) {
            error_inward(number, std::move(packet), now);
            return;
        }
        const auto verdict = router.nat.inbound(packet, now);
        if (verdict.action == NatVerdict::Action::forward && packet.ttl > 1) {
            packet.flow = verdict.flow;
            --packet.ttl;
            into_lan(number, std::move(packet), now);
        } else if (verdict.action == NatVerdict::Action::forward) {
            dropped(packet, router.lan.where, "time exceeded");
            if (may_be_answered(packet)) {
                const auto self = v4 ? packet.flow.destination.address : router.lan.pool.router(net::Family::v6);
                transmit(number, true, report_about(std::move(packet), IcmpError::time_exceeded, self), now);
            }
        } else {
            dropped(packet, router.lan.where, verdict.reason);
            if (verdict.action == NatVerdict::Action::reject) {
                transmit(number, true, rejection_of(std::move(packet)), now);
            }
        }
    }

    /// RFC 5508 §4.1: an error from the outside about a packet that the inside sent.
    void error_inward(std::size_t number, Packet packet, TimePoint now) {
        auto& router = routers_[number];
        const auto about = router.nat.translate_error(packet.report->about, now);
        if (!about || packet.ttl <= 1) {
            dropped(packet, router.lan.where, "error about nothing known");
            return;
        }
        --packet.ttl;
        packet.report->about = *about;
        packet.flow.destination.address = about->source.address;
        into_lan(number, std::move(packet), now);
    }

    /// RFC 5508 §4.2: an error from the inside about a packet that came from the outside.
    void error_outward(std::size_t number, Packet packet, TimePoint now) {
        auto& router = routers_[number];
        const auto about = router.nat.translate_error_outward(packet.report->about, now);
        if (!about) {
            dropped(packet, router.lan.where, "error about nothing known");
            return;
        }
        packet.report->about = *about;
        if (about->destination.address.is_v4()) {
            packet.flow.source.address = about->destination.address;
        }
        const auto& external = router.nat.external();
        if (std::ranges::find(external, packet.flow.destination.address) != external.end()) {
            error_inward(number, std::move(packet), now);
        } else {
            transmit(number, true, std::move(packet), now);
        }
    }

    /// Stable in memory: links and NATs keep references.
    std::deque<SeededRng> rngs_;
    std::map<std::string, std::size_t, std::less<>> by_name_;
    /// The NATs' lines, then the hosts'.
    std::vector<Line> lines_;
    std::vector<Router> routers_;
    std::vector<bool> wants_v6_;
    Realm internet_;
    /// A heap; an entry whose time is not its link's `armed` is stale.
    std::vector<Event> events_;
    /// What a host is told by its own end of the line.
    std::deque<Local> local_;
};

Network::Network(const Topology& topology) : impl_(std::make_unique<Impl>(topology)) {}

Network::Network(Network&&) noexcept = default;
Network& Network::operator=(Network&&) noexcept = default;
Network::~Network() = default;

HostId Network::host(std::string_view name) const {
    return {impl_->host_of(name)};
}

std::size_t Network::hosts() const {
    return impl_->hosts_.size();
}

const HostNode& Network::node(HostId host) const {
    return impl_->hosts_[host.value];
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
    return impl_->nat_of(name);
}

Link& Network::uplink(std::string_view host_or_nat) {
    return impl_->link_of(host_or_nat, true);
}

Link& Network::downlink(std::string_view host_or_nat) {
    return impl_->link_of(host_or_nat, false);
}

net::Address Network::move(HostId host, std::string_view behind, TimePoint now) {
    (void)now;
    return impl_->move(host.value, behind);
}

}  // namespace pinhole::lab
