#include "tests/lab/model/nat_model.hpp"

#include "tests/lab/model/nat_allocator.hpp"
#include "tests/lab/model/nat_table.hpp"

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>
#include <utility>

namespace pinhole::lab {

namespace {

/// RFC 5508 REQ-2.
constexpr Duration kIcmpTimeout = 60s;
/// Clashes that strangers can make at once; beyond it a stranger's packet is only rejected.
constexpr std::size_t kMaxClashes = 65536;

using Action = NatVerdict::Action;

struct ClashKey {
    Protocol protocol = Protocol::udp;
    EndpointKey external;
    EndpointKey remote;

    friend auto operator<=>(const ClashKey&, const ClashKey&) = default;
};

/// External ports taken for one remote endpoint by that endpoint's own unsolicited packets.
class Clashes {
  public:
    [[nodiscard]] bool holds(const ClashKey& key, TimePoint now) const {
        if (clashes_.empty()) {
            return false;
        }
        const auto where = clashes_.find(key);
        return where != clashes_.end() && where->second > now;
    }

    void put(const ClashKey& key, TimePoint expires, TimePoint now) {
        if (clashes_.size() >= sweep_at_ && now >= next_sweep_) {
            std::erase_if(clashes_, [now](const auto& entry) { return entry.second <= now; });
            sweep_at_ = std::clamp(2 * clashes_.size(), std::size_t{64}, kMaxClashes);
            next_sweep_ = now + 1s;
        }
        if (clashes_.size() < kMaxClashes || clashes_.contains(key)) {
            clashes_[key] = expires;
        }
    }

    void clear() { clashes_.clear(); }

  private:
    std::map<ClashKey, TimePoint> clashes_;
    std::size_t sweep_at_ = 64;
    /// Even a full table is looked through once a second at most.
    TimePoint next_sweep_;
};

/// RFC 5382 §4, §5: what the flags of a packet do to a connection.
void note(Session& session, const TcpFlags& flags, bool outbound) {
    if (flags.syn) {
        if (session.closing) {
            session.closing = session.syn_in = session.syn_out = false;
        }
        (outbound ? session.syn_out : session.syn_in) = true;
    }
    session.closing = session.closing || flags.fin || flags.rst;
}

}  // namespace

class NatModel::Impl {
  public:
    Impl(NatConfig config, std::vector<net::Address> external, Rng& rng)
        : config_(std::move(config)), external_(std::move(external)), allocator_(config_, external_.size(), rng) {
        for (const auto& address : external_) {
            external_keys_.push_back(key_of(address));
        }
    }

    NatVerdict outbound(const Packet& packet, TimePoint now) {
        tick(now);
        const auto& flow = packet.flow;
        if (blocked(flow.protocol, flow.destination.port)) {
            return drop("blocked");
        }
        if (!flow.destination.address.is_v4()) {
            return outbound_v6(packet, now);
        }
        const bool loop = std::ranges::find(external_keys_, key_of(flow.destination.address)) != external_keys_.end();
        if (loop && !config_.hairpin) {
            return drop("no hairpin");
        }
        const auto remote = key_of(flow.destination);
        auto [mapping, reason] = mapping_for(packet, remote, now);
        if (mapping == nullptr) {
            return drop(reason);
        }
        if (!sent(*mapping, remote, packet.tcp, now)) {
            return drop("table full");
        }
        const Flow translated{
            .protocol = flow.protocol, .source = endpoint_of(mapping->external), .destination = flow.destination};
        if (!loop) {
            return {.action = Action::forward, .flow = translated};
        }
        auto verdict = enter(translated, packet.tcp, now);
        if (verdict.action == Action::forward) {
            verdict.action = Action::hairpin;
        }
        return verdict;
    }

    NatVerdict inbound(const Packet& packet, TimePoint now) {
        tick(now);
        if (blocked(packet.flow.protocol, packet.flow.source.port)) {
            return drop("blocked");
        }
        return packet.flow.destination.address.is_v4() ? enter(packet.flow, packet.tcp, now) : inbound_v6(packet, now);
    }

    std::optional<Flow> translate_error(const Flow& about, TimePoint now) {
        table_.expire(now);
        if (!about.source.address.is_v4() && !config_.ipv6_filtering) {
            return about;
        }
        const auto* mapping = table_.sender(about.protocol, key_of(about.source), key_of(about.destination), now);
        if (mapping == nullptr) {
            return std::nullopt;
        }
        return Flow{
            .protocol = about.protocol, .source = endpoint_of(mapping->key.internal), .destination = about.destination};
    }

    std::optional<Flow> translate_error_outward(const Flow& about, TimePoint now) {
        table_.expire(now);
        if (!about.destination.address.is_v4()) {
            return about;
        }
        const auto* mapping = existing(about.protocol, key_of(about.destination), key_of(about.source));
        if (mapping == nullptr) {
            return std::nullopt;
        }
        return Flow{.protocol = about.protocol, .source = about.source, .destination = endpoint_of(mapping->external)};
    }

    void rebind(TimePoint now) {
        table_.expire(now);
        std::vector<std::uint16_t> used;
        for (const auto& [key, mapping] : table_.all()) {
            used.push_back(mapping.external.port);
        }
        table_.clear();
        clashes_.clear();
        allocator_.reshuffle(used);
    }

    void expire_all() {
        table_.clear();
        clashes_.clear();
    }

    NatCounters counters() const {
        auto counters = counters_;
        counters.background_mappings = allocator_.background();
        return counters;
    }

    std::size_t mappings(TimePoint now) {
        table_.expire(now);
        return table_.count_v4();
    }

    NatConfig config_;
    std::vector<net::Address> external_;

  private:
    struct Found {
        Mapping* mapping = nullptr;
        const char* reason = "";
    };

    void tick(TimePoint now) {
        table_.expire(now);
        allocator_.advance(now);
    }

    NatVerdict drop(const char* reason) {
        ++counters_.dropped;
        return {.action = Action::drop, .flow = {}, .reason = reason};
    }

    [[nodiscard]] bool blocked(Protocol protocol, std::uint16_t remote_port) const {
        if (protocol == Protocol::icmp) {
            return false;
        }
        return (protocol == Protocol::udp ? config_.udp_blocked : config_.tcp_blocked) ||
               (!config_.open_ports.empty() && !config_.open_ports.contains(remote_port));
    }

    [[nodiscard]] Dependence mapping_dependence(Protocol protocol) const {
        return protocol == Protocol::tcp ? config_.tcp_mapping.value_or(config_.mapping) : config_.mapping;
    }

    [[nodiscard]] Dependence filtering(Protocol protocol) const {
        return protocol == Protocol::tcp ? config_.tcp_filtering.value_or(config_.filtering) : config_.filtering;
    }

    [[nodiscard]] Duration timeout(Protocol protocol, const Session& session) const {
        switch (protocol) {
            case Protocol::udp:
                return config_.udp_timeout;
            case Protocol::icmp:
                return kIcmpTimeout;
            case Protocol::tcp:
                break;
        }
        return session.syn_in && session.syn_out && !session.closing ? config_.tcp_established_timeout
                                                                     : config_.tcp_transitory_timeout;
    }

    bool sent(Mapping& mapping, EndpointKey remote, const TcpFlags& flags, TimePoint now) {
        auto* session = table_.session(mapping, remote, now);
        if (session != nullptr) {
            session->sent = true;
            note(*session, flags, true);
            table_.set_expiry(mapping, *session, now + timeout(mapping.key.protocol, *session));
        }
        return session != nullptr;
    }

    void received(const NatTable::Admission& admission, EndpointKey remote, const TcpFlags& flags, TimePoint now) {
        auto& mapping = *admission.mapping;
        if (mapping.key.protocol == Protocol::tcp) {
            if (auto* session = table_.session(mapping, remote, now); session != nullptr) {
                note(*session, flags, false);
                table_.set_expiry(mapping, *session, now + timeout(Protocol::tcp, *session));
            }
        } else if (config_.inbound_refresh && admission.session != nullptr) {
            table_.set_expiry(mapping, *admission.session, now + timeout(mapping.key.protocol, *admission.session));
        } else if (config_.inbound_refresh) {
            table_.prolong(mapping, now + timeout(mapping.key.protocol, {}));
        }
    }

    /// The mapping that a packet of `internal` to `remote` uses, if there is one.
    [[nodiscard]] Mapping* existing(Protocol protocol, EndpointKey internal, EndpointKey remote) {
        if (table_.exceptions() > 0) {
            auto* exact = table_.find({.protocol = protocol,
                                       .internal = internal,
                                       .scope = RemoteScope::of(Dependence::address_and_port_dependent, remote)});
            if (exact != nullptr) {
                return exact;
            }
        }
        return table_.find({.protocol = protocol,
                            .internal = internal,
                            .scope = RemoteScope::of(mapping_dependence(protocol), remote)});
    }

    Found mapping_for(const Packet& packet, EndpointKey remote, TimePoint now) {
        const auto protocol = packet.flow.protocol;
        const auto internal = key_of(packet.flow.source);
        auto* mapping = existing(protocol, internal, remote);
        const auto exact = RemoteScope::of(Dependence::address_and_port_dependent, remote);
        const bool clash = mapping != nullptr && mapping->key.scope != exact &&
                           clashes_.holds({.protocol = protocol, .external = mapping->external, .remote = remote}, now);
        if (mapping != nullptr && !clash) {
            return {.mapping = mapping};
        }
        if (packet.tcp.rst || (protocol == Protocol::icmp && internal.port == 0)) {
            return {.reason = "no mapping"};
        }
        const auto scope = clash ? exact : RemoteScope::of(mapping_dependence(protocol), remote);
        return make_mapping({.protocol = protocol, .internal = internal, .scope = scope}, remote, clash, now);
    }

    Found make_mapping(MappingKey key, EndpointKey remote, bool exception, TimePoint now) {
        if (config_.quota > 0 && table_.count_of(key.internal.address) >= config_.quota) {
            return {.reason = "quota"};
        }
        if (table_.size() >= NatTable::kMaxMappings) {
            return {.reason = "table full"};
        }
        const auto index = allocator_.choose_address(key.internal.address);
        const auto address = external_keys_[index];
        const auto clash = [&](std::uint16_t port) {
            return clashes_.holds(
                {.protocol = key.protocol, .external = {.address = address, .port = port}, .remote = remote}, now);
        };
        auto port = exception ? std::nullopt : preserved_port(key, address);
        if (port && clash(*port)) {
            // Only this remote endpoint gets another port; the preserved one stays for all others.
            exception = true;
            key.scope = RemoteScope::of(Dependence::address_and_port_dependent, remote);
            port.reset();
        }
        if (!port) {
            port = new_port(key, index, clash);
        }
        if (!port) {
            return {.reason = "no free port"};
        }
        ++counters_.mappings_made;
        return {.mapping = &table_.add(key, {.address = address, .port = *port}, exception)};
    }

    [[nodiscard]] Allocation allocation(Protocol protocol) const {
        return protocol == Protocol::tcp ? config_.tcp_allocation.value_or(config_.allocation) : config_.allocation;
    }

    /// The port that `preserving` wants, if this mapping can have it.
    [[nodiscard]] std::optional<std::uint16_t> preserved_port(const MappingKey& key, AddressKey address) const {
        if (key.protocol == Protocol::icmp || allocation(key.protocol) != Allocation::preserving) {
            return std::nullopt;
        }
        const auto port = allocator_.preserved(key.internal.port);
        return port && table_.can_share(key, {.address = address, .port = *port}) ? port : std::nullopt;
    }

    template <class Clash>
    [[nodiscard]] std::optional<std::uint16_t> new_port(const MappingKey& key, std::size_t index, const Clash& clash) {
        const auto address = external_keys_[index];
        const std::function<bool(std::uint16_t)> is_free = [&](std::uint16_t port) {
            return !table_.in_use(key.protocol, {.address = address, .port = port}) && !clash(port);
        };
        if (key.protocol == Protocol::icmp) {
            return allocator_.choose_identifier(key.internal.port, is_free);
        }
        const auto ports = static_cast<std::size_t>(std::abs(config_.last_port - config_.first_port)) + 1;
        if (table_.ports_in_use(key.protocol, address) >= ports) {
            return std::nullopt;
        }
        return allocator_.choose_port({.allocation = allocation(key.protocol),
                                       .internal = key.internal.address,
                                       .external_index = index,
                                       .is_free = is_free});
    }

    /// A packet to an external endpoint, from the outside or by hairpin.
    NatVerdict enter(const Flow& flow, const TcpFlags& flags, TimePoint now) {
        const auto external = key_of(flow.destination);
        const auto remote = key_of(flow.source);
        // As conntrack: what it has taken for its own stays so, whatever the mappings say since.
        if (!clashes_.holds({.protocol = flow.protocol, .external = external, .remote = remote}, now)) {
            const auto admission = table_.admit(flow.protocol, external, remote, filtering(flow.protocol), now);
            if (admission.mapping != nullptr) {
                received(admission, remote, flags, now);
                return {.action = Action::forward,
                        .flow = {.protocol = flow.protocol,
                                 .source = flow.source,
                                 .destination = endpoint_of(admission.mapping->key.internal)}};
            }
        }
        return unsolicited(flow, flags, now);
    }

    NatVerdict unsolicited(const Flow& flow, const TcpFlags& flags, TimePoint now) {
        const auto external = key_of(flow.destination);
        auto verdict = drop(table_.in_use(flow.protocol, external) ? "filtered" : "no mapping");
        // Nobody answers a RST; an echo reply or request without a mapping has no port to be unreachable.
        if (config_.unsolicited == Unsolicited::drop || flags.rst || flow.protocol == Protocol::icmp) {
            return verdict;
        }
        verdict.action = Action::reject;
        const bool udp = flow.protocol == Protocol::udp;
        if (config_.unsolicited == Unsolicited::clash && (udp || (flags.syn && !flags.ack))) {
            clashes_.put({.protocol = flow.protocol, .external = external, .remote = key_of(flow.source)},
                         now + (udp ? config_.clash_time : config_.tcp_clash_time), now);
        }
        return verdict;
    }

    /// RFC 6092: no translation, the outbound packet opens the way back.
    NatVerdict outbound_v6(const Packet& packet, TimePoint now) {
        if (config_.ipv6_filtering) {
            const auto internal = key_of(packet.flow.source);
            const MappingKey key{.protocol = packet.flow.protocol,
                                 .internal = internal,
                                 .scope = RemoteScope::of(Dependence::endpoint_independent, {})};
            auto* mapping = table_.find(key);
            if (mapping == nullptr && table_.size() >= NatTable::kMaxMappings) {
                return drop("table full");
            }
            if (!sent(mapping != nullptr ? *mapping : table_.add(key, internal, false), key_of(packet.flow.destination),
                      packet.tcp, now)) {
                return drop("table full");
            }
        }
        return {.action = Action::forward, .flow = packet.flow};
    }

    NatVerdict inbound_v6(const Packet& packet, TimePoint now) {
        const auto& flow = packet.flow;
        if (config_.ipv6_filtering) {
            const auto remote = key_of(flow.source);
            const auto admission =
                table_.admit(flow.protocol, key_of(flow.destination), remote, *config_.ipv6_filtering, now);
            if (admission.mapping == nullptr) {
                auto verdict = drop("filtered");
                if (config_.unsolicited == Unsolicited::reject && !packet.tcp.rst && flow.protocol != Protocol::icmp) {
                    verdict.action = Action::reject;
                }
                return verdict;
            }
            received(admission, remote, packet.tcp, now);
        }
        return {.action = Action::forward, .flow = flow};
    }

    std::vector<AddressKey> external_keys_;
    NatAllocator allocator_;
    NatTable table_;
    Clashes clashes_;
    NatCounters counters_;
};

NatModel::NatModel(NatConfig config, std::vector<net::Address> external, Rng& rng)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(external), rng)) {}

NatModel::NatModel(NatModel&&) noexcept = default;
NatModel& NatModel::operator=(NatModel&&) noexcept = default;
NatModel::~NatModel() = default;

NatVerdict NatModel::outbound(const Packet& packet, TimePoint now) {
    return impl_->outbound(packet, now);
}

NatVerdict NatModel::inbound(const Packet& packet, TimePoint now) {
    return impl_->inbound(packet, now);
}

std::optional<Flow> NatModel::translate_error(const Flow& about, TimePoint now) const {
    return impl_->translate_error(about, now);
}

std::optional<Flow> NatModel::translate_error_outward(const Flow& about, TimePoint now) const {
    return impl_->translate_error_outward(about, now);
}

void NatModel::rebind(TimePoint now) {
    impl_->rebind(now);
}

void NatModel::expire_all() {
    impl_->expire_all();
}

NatConfig& NatModel::config() {
    return impl_->config_;
}

const std::vector<net::Address>& NatModel::external() const {
    return impl_->external_;
}

NatCounters NatModel::counters() const {
    return impl_->counters();
}

std::size_t NatModel::mappings(TimePoint now) const {
    return impl_->mappings(now);
}

}  // namespace pinhole::lab
