#include "tests/lab/model/topology.hpp"

#include "tests/lab/model/address_pool.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace pinhole::lab {

namespace {

constexpr std::size_t kMaxName = 10;
/// RFC 791: every internet module must be able to forward 68 bytes; below, no header fits.
constexpr std::size_t kMinMtu = 68;
constexpr std::uint8_t kMinLanPrefix = 8;
constexpr std::uint8_t kMaxLanPrefix = 29;
/// An hour is forever for a packet, and a century of sums of it fits a TimePoint.
constexpr Duration kMaxDelay = 1h;
constexpr Duration kMaxTimeout = 24h * 365;
/// 2001:2:0:100::/64 is the LAN of the first NAT.
constexpr std::uint64_t kLanV6 = 0x2001'0002'0000'0100;

using Sentence = std::optional<std::string>;

bool good_name(std::string_view name) {
    return !name.empty() && name.size() <= kMaxName && name != kInternet && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    });
}

Sentence check_link(const LinkConfig& link) {
    const std::pair<const char*, double> chances[] = {{"loss", link.loss},
                                                      {"burst_loss", link.burst_loss},
                                                      {"reorder", link.reorder},
                                                      {"duplicate", link.duplicate},
                                                      {"corrupt", link.corrupt}};
    for (const auto& [key, chance] : chances) {
        if (!(chance >= 0 && chance <= 1)) {
            return fmt::format("{} is a chance, 0 to 1, not {}", key, chance);
        }
    }
    const std::pair<const char*, Duration> times[] = {
        {"delay", link.delay}, {"jitter", link.jitter}, {"reorder_delay", link.reorder_delay}};
    for (const auto& [key, time] : times) {
        if (time < Duration{0} || time > kMaxDelay) {
            return fmt::format("{} must be between 0 and one hour", key);
        }
    }
    if (!(link.bytes_per_second >= 0 && link.bytes_per_second <= 1e12)) {
        return "rate must be between 0 and 8000 gigabit per second";
    }
    if (link.bytes_per_second > 0 && link.bytes_per_second < 1) {
        return "rate must be a byte per second at least";
    }
    if (link.mtu < kMinMtu || link.mtu > 65535) {
        return fmt::format("mtu must be between {} and 65535 bytes", kMinMtu);
    }
    return std::nullopt;
}

Sentence check_nat(const NatConfig& nat) {
    if (nat.first_port == 0 || nat.first_port > nat.last_port) {
        return fmt::format("ports {} to {} are no range", nat.first_port, nat.last_port);
    }
    if (nat.delta == 0 || nat.delta < -65535 || nat.delta > 65535) {
        return "delta must be a number of ports, not 0";
    }
    if (nat.block_size == 0) {
        return "block_size must be one port at least";
    }
    if (!(nat.background >= 0 && nat.background <= kMaxBackground)) {
        return fmt::format("background must be between 0 and {} mappings per second", kMaxBackground);
    }
    const std::pair<const char*, Duration> times[] = {{"udp_timeout", nat.udp_timeout},
                                                      {"tcp_established_timeout", nat.tcp_established_timeout},
                                                      {"tcp_transitory_timeout", nat.tcp_transitory_timeout},
                                                      {"clash_time", nat.clash_time},
                                                      {"tcp_clash_time", nat.tcp_clash_time}};
    for (const auto& [key, time] : times) {
        if (time <= Duration{0} || time > kMaxTimeout) {
            return fmt::format("{} must be between 0 and one year", key);
        }
    }
    return std::nullopt;
}

struct Prefix {
    std::uint64_t first = 0;
    std::uint64_t last = 0;

    [[nodiscard]] static Prefix of(const net::Address& address, std::uint8_t length) {
        const auto hosts = (std::uint64_t{1} << (32U - length)) - 1;
        const auto low = key_of(address).low;
        return {.first = low & ~hosts, .last = low | hosts};
    }

    [[nodiscard]] bool overlaps(const Prefix& other) const { return first <= other.last && other.first <= last; }
};

class Resolver {
  public:
    explicit Resolver(Topology& topology) : topology_(topology) {}

    std::optional<TopologyProblem> run() {
        const bool ok = check_size() && check_names() && check_values() && check_layers() && assign_lans() &&
                        assign_prefixes() && reserve_given() && assign_rest();
        return ok ? std::nullopt : std::optional{std::move(problem_)};
    }

  private:
    bool complain(bool is_nat, std::size_t index, std::string sentence) {
        problem_ = {.is_nat = is_nat, .index = index, .sentence = std::move(sentence)};
        return false;
    }

    bool complain_nat(std::size_t index, std::string_view sentence) {
        return complain(true, index, fmt::format("NAT \"{}\": {}.", topology_.nats[index].nat.name, sentence));
    }

    bool complain_host(std::size_t index, std::string_view sentence) {
        return complain(false, index, fmt::format("Host \"{}\": {}.", topology_.hosts[index].name, sentence));
    }

    bool check_size() {
        if (topology_.nats.size() + topology_.hosts.size() <= kMaxNodes) {
            return true;
        }
        const bool nats = topology_.nats.size() > kMaxNodes;
        return complain(nats, nats ? kMaxNodes : kMaxNodes - topology_.nats.size(),
                        fmt::format("A topology has at most {} NATs and hosts.", kMaxNodes));
    }

    bool check_names() {
        const auto sentence = [this](const std::string& name, std::size_t number) -> Sentence {
            if (!good_name(name)) {
                return fmt::format("\"{}\" is no name: letters, digits and \"-\", at most {}, and not \"{}\".",
                                   name.substr(0, 64), kMaxName, kInternet);
            }
            if (!by_name_.emplace(name, number).second) {
                return fmt::format("The name \"{}\" is there twice.", name);
            }
            return std::nullopt;
        };
        for (std::size_t i = 0; i < topology_.nats.size(); ++i) {
            if (auto wrong = sentence(topology_.nats[i].nat.name, i)) {
                return complain(true, i, std::move(*wrong));
            }
        }
        for (std::size_t i = 0; i < topology_.hosts.size(); ++i) {
            if (auto wrong = sentence(topology_.hosts[i].name, topology_.nats.size())) {
                return complain(false, i, std::move(*wrong));
            }
        }
        return true;
    }

    bool check_values() {
        for (std::size_t i = 0; i < topology_.nats.size(); ++i) {
            const auto& nat = topology_.nats[i];
            for (const auto& wrong : {check_nat(nat.nat), check_link(nat.link.up), check_link(nat.link.down)}) {
                if (wrong) {
                    return complain_nat(i, *wrong);
                }
            }
        }
        for (std::size_t i = 0; i < topology_.hosts.size(); ++i) {
            const auto& host = topology_.hosts[i];
            for (const auto& wrong : {check_link(host.link.up), check_link(host.link.down)}) {
                if (wrong) {
                    return complain_host(i, *wrong);
                }
            }
        }
        return true;
    }

    /// The NAT that something is behind; nullopt: the internet. Only of names that were checked.
    [[nodiscard]] std::optional<std::size_t> parent(const std::string& behind) const {
        return behind == kInternet ? std::nullopt : std::optional{by_name_.at(behind)};
    }

    [[nodiscard]] bool is_realm(const std::string& name) const {
        const auto where = by_name_.find(name);
        return name == kInternet || (where != by_name_.end() && where->second < topology_.nats.size());
    }

    bool check_layers() {
        for (std::size_t i = 0; i < topology_.nats.size(); ++i) {
            if (!is_realm(topology_.nats[i].behind)) {
                return complain_nat(i, fmt::format("it is behind \"{}\", but no NAT has this name",
                                                   topology_.nats[i].behind.substr(0, 64)));
            }
        }
        for (std::size_t i = 0; i < topology_.hosts.size(); ++i) {
            if (!is_realm(topology_.hosts[i].behind)) {
                return complain_host(i, fmt::format("it is behind \"{}\", but no NAT has this name",
                                                    topology_.hosts[i].behind.substr(0, 64)));
            }
        }
        for (std::size_t i = 0; i < topology_.nats.size(); ++i) {
            std::size_t layers = 0;
            for (auto at = parent(topology_.nats[i].behind); at; at = parent(topology_.nats[*at].behind)) {
                if (++layers > topology_.nats.size()) {
                    return complain_nat(i, "the NATs that it is behind form a circle");
                }
            }
        }
        return true;
    }

    bool assign_lans() {
        std::vector<Prefix> lans;
        for (std::size_t i = 0; i < topology_.nats.size(); ++i) {
            const auto& nat = topology_.nats[i];
            if (nat.lan.is_unspecified()) {
                continue;
            }
            if (!nat.lan.is_v4() || nat.lan_prefix < kMinLanPrefix || nat.lan_prefix > kMaxLanPrefix) {
                return complain_nat(
                    i, fmt::format("lan must be an IPv4 network between /{} and /{}", kMinLanPrefix, kMaxLanPrefix));
            }
            lans.push_back(Prefix::of(nat.lan, nat.lan_prefix));
        }
        for (std::size_t i = 0; i < topology_.nats.size(); ++i) {
            auto& nat = topology_.nats[i];
            // What is given elsewhere is avoided; 10.0.0.0/16 and upwards has more room than nodes are allowed.
            for (std::uint32_t number = static_cast<std::uint32_t>(i) + 1; nat.lan.is_unspecified(); ++number) {
                const auto lan = net::Address::v4(
                    {10, static_cast<std::uint8_t>(number % 256), static_cast<std::uint8_t>(number / 256), 0});
                const auto prefix = Prefix::of(lan, 24);
                if (number > 65535) {
                    return complain_nat(i, "the other LANs leave no room in 10.0.0.0/8");
                }
                if (std::ranges::none_of(lans, [&](const Prefix& other) { return other.overlaps(prefix); })) {
                    nat.lan = lan;
                    nat.lan_prefix = 24;
                    lans.push_back(prefix);
                }
            }
        }
        return check_lans();
    }

    bool check_lans() {
        for (std::size_t i = 0; i < topology_.nats.size(); ++i) {
            const auto& nat = topology_.nats[i];
            const auto outer = parent(nat.behind);
            if (outer && Prefix::of(nat.lan, nat.lan_prefix)
                             .overlaps(Prefix::of(topology_.nats[*outer].lan, topology_.nats[*outer].lan_prefix))) {
                return complain_nat(i, fmt::format("its lan overlaps that of \"{}\", which it is behind", nat.behind));
            }
        }
        return true;
    }

    bool assign_prefixes() {
        for (std::size_t i = 0; i < topology_.nats.size(); ++i) {
            auto& nat = topology_.nats[i];
            if (!nat.lan_v6) {
                continue;
            }
            if (nat.lan_v6->is_v4()) {
                return complain_nat(i, "the IPv6 prefix of its lan is no IPv6 address");
            }
            if (nat.lan_v6->is_unspecified()) {
                nat.lan_v6 = address_of({.high = kLanV6 + i, .low = 0});
            }
            const auto outer = parent(nat.behind);
            if (outer && !topology_.nats[*outer].lan_v6) {
                return complain_nat(
                    i, fmt::format("it forwards IPv6, but \"{}\", which it is behind, does not", nat.behind));
            }
        }
        for (const auto& nat : topology_.nats) {
            pools_.emplace_back(nat.lan, nat.lan_prefix, nat.lan_v6);
        }
        return true;
    }

    [[nodiscard]] AddressPool& realm(const std::string& behind) {
        const auto nat = parent(behind);
        return nat ? pools_[*nat] : internet_;
    }

    [[nodiscard]] static Sentence reserve(AddressPool& pool, const std::vector<net::Address>& addresses) {
        for (const auto& address : addresses) {
            if (!address.is_unspecified() && !pool.contains(address)) {
                return fmt::format("{} is no address of the network that it is on", address.text());
            }
            if (!address.is_unspecified() && !pool.reserve(address)) {
                return fmt::format("the address {} is taken", address.text());
            }
        }
        return std::nullopt;
    }

    bool reserve_given() {
        (void)internet_.reserve(internet_.router(net::Family::v4));
        (void)internet_.reserve(internet_.router(net::Family::v6));
        for (std::size_t i = 0; i < topology_.nats.size(); ++i) {
            auto& nat = topology_.nats[i];
            if (!std::ranges::all_of(nat.external, &net::Address::is_v4)) {
                return complain_nat(i, "external addresses are IPv4");
            }
            if (nat.external.size() > kMaxAddresses) {
                return complain_nat(i, fmt::format("it has more than {} external addresses", kMaxAddresses));
            }
            if (const auto wrong = reserve(realm(nat.behind), nat.external)) {
                return complain_nat(i, *wrong);
            }
            if (std::ranges::any_of(nat.external, [&](const auto& own) { return pools_[i].contains(own); })) {
                return complain_nat(i, "an external address lies in its own lan");
            }
        }
        for (std::size_t i = 0; i < topology_.hosts.size(); ++i) {
            auto& host = topology_.hosts[i];
            if (std::ranges::none_of(host.addresses, &net::Address::is_v4)) {
                host.addresses.push_back(net::Address::any(net::Family::v4));
            }
            auto given = std::exchange(host.addresses, {});
            std::ranges::copy_if(given, std::back_inserter(host.addresses), &net::Address::is_v4);
            std::ranges::copy_if(given, std::back_inserter(host.addresses),
                                 [](const net::Address& address) { return !address.is_v4(); });
            if (host.addresses.size() > 2 * kMaxAddresses) {
                return complain_host(i, fmt::format("it has more than {} addresses", 2 * kMaxAddresses));
            }
            auto& pool = realm(host.behind);
            if (!host.addresses.back().is_v4() && !pool.has_v6()) {
                return complain_host(
                    i, fmt::format("it has IPv6, but \"{}\", which it is behind, forwards none", host.behind));
            }
            if (const auto wrong = reserve(pool, host.addresses)) {
                return complain_host(i, *wrong);
            }
        }
        return true;
    }

    [[nodiscard]] static bool assign(AddressPool& pool, std::vector<net::Address>& addresses) {
        pool.next_member();
        for (auto& address : addresses) {
            if (address.is_unspecified()) {
                const auto given = pool.take(address.family());
                if (!given) {
                    return false;
                }
                address = *given;
            }
        }
        return true;
    }

    bool assign_rest() {
        for (std::size_t i = 0; i < topology_.nats.size(); ++i) {
            auto& nat = topology_.nats[i];
            if (nat.external.empty()) {
                nat.external.push_back(net::Address::any(net::Family::v4));
            }
            if (!assign(realm(nat.behind), nat.external)) {
                return complain_nat(i, fmt::format("the lan of \"{}\" has no address left for it", nat.behind));
            }
        }
        for (std::size_t i = 0; i < topology_.hosts.size(); ++i) {
            auto& host = topology_.hosts[i];
            if (!assign(realm(host.behind), host.addresses)) {
                return complain_host(i, fmt::format("the lan of \"{}\" has no address left for it", host.behind));
            }
        }
        return true;
    }

    Topology& topology_;
    std::map<std::string, std::size_t, std::less<>> by_name_;
    AddressPool internet_;
    std::vector<AddressPool> pools_;
    TopologyProblem problem_;
};

}  // namespace

std::optional<TopologyProblem> resolve_nodes(Topology& topology) {
    return Resolver{topology}.run();
}

Status resolve(Topology& topology) {
    if (auto problem = resolve_nodes(topology)) {
        return fail(Errc::invalid_argument, std::move(problem->sentence));
    }
    return {};
}

}  // namespace pinhole::lab
