#include "tests/lab/model/topology_file.hpp"

#include "tests/lab/model/table_reader.hpp"

#include <charconv>
#include <fstream>
#include <iterator>
#include <limits>

#include <fmt/format.h>

namespace pinhole::lab {

namespace {

/// A topology with the most nodes and every key is a tenth of it; steps may follow.
constexpr std::size_t kMaxFile = 1U << 20U;

constexpr std::int64_t kMaxPort = 65535;
constexpr std::int64_t kMaxBurst = 1'000'000;

const std::initializer_list<std::pair<std::string_view, Dependence>> kDependences = {
    {"endpoint-independent", Dependence::endpoint_independent},
    {"address-dependent", Dependence::address_dependent},
    {"address-and-port-dependent", Dependence::address_and_port_dependent}};

const std::initializer_list<std::pair<std::string_view, Allocation>> kAllocations = {
    {"preserving", Allocation::preserving},
    {"sequential", Allocation::sequential},
    {"block", Allocation::block},
    {"random", Allocation::random}};

class Loader {
  public:
    Result<Topology> load(const toml::table& file) {
        TableReader top{file, "The file", mistake_};
        top.read("seed", topology_.seed, 0, std::numeric_limits<std::int64_t>::max());
        read_nodes(top, "nat", [this](const toml::table& table) { read_nat(table); });
        read_nodes(top, "host", [this](const toml::table& table) { read_host(table); });
        if (!mistake_) {
            if (auto problem = resolve_nodes(topology_)) {
                const auto& lines = problem->is_nat ? nat_lines_ : host_lines_;
                mistake_ = {.line = problem->index < lines.size() ? lines[problem->index] : 0,
                            .sentence = std::move(problem->sentence)};
            }
        }
        if (mistake_) {
            return fail(Errc::invalid_argument, mistake_->text());
        }
        return std::move(topology_);
    }

  private:
    template <class Read>
    void read_nodes(TableReader& top, std::string_view key, const Read& read) {
        const auto* list = top.find_list(key);
        if (list == nullptr) {
            return;
        }
        for (const auto& node : *list) {
            if (!node.is_table()) {
                top.complain(node, fmt::format("{0} is a table that begins with [[{0}]]", key));
            } else if (topology_.nats.size() + topology_.hosts.size() >= kMaxNodes) {
                top.complain(node, fmt::format("a topology has at most {} NATs and hosts", kMaxNodes));
            }
            if (mistake_) {
                return;
            }
            read(*node.as_table());
        }
    }

    void read_nat(const toml::table& table) {
        TableReader reader{table, "[[nat]]", mistake_};
        auto& node = topology_.nats.emplace_back();
        auto& nat = node.nat;
        nat_lines_.push_back(table.source().begin.line);
        reader.read("name", nat.name);
        reader.read("behind", node.behind);
        reader.read_word("mapping", nat.mapping, kDependences);
        reader.read_word("filtering", nat.filtering, kDependences);
        reader.read_word("allocation", nat.allocation, kAllocations);
        reader.read("delta", nat.delta, -kMaxPort, kMaxPort);
        read_range(reader, nat);
        reader.read("block_size", nat.block_size, 1, kMaxPort);
        read_tcp(reader, nat);
        reader.read("hairpin", nat.hairpin);
        reader.read_word<Unsolicited>(
            "unsolicited", nat.unsolicited,
            {{"drop", Unsolicited::drop}, {"reject", Unsolicited::reject}, {"clash", Unsolicited::clash}});
        read_addresses(reader, "external", node.external);
        reader.read_word<Pooling>("pooling", nat.pooling,
                                  {{"paired", Pooling::paired}, {"arbitrary", Pooling::arbitrary}});
        reader.read("udp_timeout", nat.udp_timeout);
        reader.read("inbound_refresh", nat.inbound_refresh);
        reader.read("tcp_established_timeout", nat.tcp_established_timeout);
        reader.read("tcp_transitory_timeout", nat.tcp_transitory_timeout);
        reader.read("quota", nat.quota, 0, std::numeric_limits<std::int32_t>::max());
        reader.read("background", nat.background, kMaxBackground);
        read_firewall(reader, node);
        node.link = read_link(reader);
        read_lan(reader, node);
        // For the kernel engine; what it may be is that engine's.
        std::string kernel;
        reader.read("kernel", kernel);
        reader.finish();
        require_name(reader, table);
    }

    void read_host(const toml::table& table) {
        TableReader reader{table, "[[host]]", mistake_};
        auto& node = topology_.hosts.emplace_back();
        host_lines_.push_back(table.source().begin.line);
        reader.read("name", node.name);
        reader.read("behind", node.behind);
        read_addresses(reader, "addresses", node.addresses);
        bool ipv6 = false;
        reader.read("ipv6", ipv6);
        const auto is_v6 = [](const net::Address& address) { return !address.is_v4(); };
        if (ipv6 && std::ranges::none_of(node.addresses, is_v6)) {
            node.addresses.push_back(net::Address::any(net::Family::v6));
        }
        node.link = read_link(reader);
        reader.finish();
        require_name(reader, table);
    }

    static void require_name(TableReader& reader, const toml::table& table) {
        if (!reader.has("name")) {
            reader.complain(table, "it needs a name");
        }
    }

    static void read_range(TableReader& reader, NatConfig& nat) {
        const auto* list = reader.find_list("ports");
        if (list == nullptr) {
            return;
        }
        if (list->size() != 2) {
            reader.complain(*list, "ports is a pair, [first, last]");
            return;
        }
        const auto first = reader.integer("ports", *list->get(0), 1, kMaxPort);
        const auto last = reader.integer("ports", *list->get(1), 1, kMaxPort);
        if (first && last) {
            nat.first_port = static_cast<std::uint16_t>(*first);
            nat.last_port = static_cast<std::uint16_t>(*last);
        }
    }

    void read_tcp(TableReader& reader, NatConfig& nat) {
        if (const auto* table = reader.find_table("tcp")) {
            TableReader tcp{*table, "tcp of a [[nat]]", mistake_};
            tcp.read_word("mapping", nat.tcp_mapping, kDependences);
            tcp.read_word("filtering", nat.tcp_filtering, kDependences);
            tcp.read_word("allocation", nat.tcp_allocation, kAllocations);
            tcp.finish();
        }
    }

    static void read_firewall(TableReader& reader, NatNode& node) {
        if (const auto* blocked = reader.find_list("blocked")) {
            for (const auto& protocol : *blocked) {
                const auto known =
                    reader.word<Protocol>("blocked", protocol, {{"udp", Protocol::udp}, {"tcp", Protocol::tcp}});
                node.nat.udp_blocked = node.nat.udp_blocked || known == Protocol::udp;
                node.nat.tcp_blocked = node.nat.tcp_blocked || known == Protocol::tcp;
            }
        }
        if (const auto* ports = reader.find_list("open_ports")) {
            for (const auto& port : *ports) {
                if (const auto number = reader.integer("open_ports", port, 1, kMaxPort)) {
                    node.nat.open_ports.insert(static_cast<std::uint16_t>(*number));
                }
            }
        }
        enum class Ipv6 : std::uint8_t { off, open, closed };
        auto ipv6 = Ipv6::off;
        reader.read_word<Ipv6>("ipv6", ipv6, {{"closed", Ipv6::closed}, {"open", Ipv6::open}, {"off", Ipv6::off}});
        if (ipv6 == Ipv6::open) {
            node.nat.ipv6_filtering.reset();
        }
        if (ipv6 != Ipv6::off) {
            node.lan_v6 = net::Address::any(net::Family::v6);
        }
    }

    /// A number of addresses to be assigned, or a list of them.
    static void read_addresses(TableReader& reader, std::string_view key, std::vector<net::Address>& out) {
        const auto* node = reader.find(key);
        if (node == nullptr) {
            return;
        }
        if (!node->is_array()) {
            if (const auto count = reader.integer(key, *node, 1, kMaxAddresses)) {
                out.assign(static_cast<std::size_t>(*count), net::Address::any(net::Family::v4));
            }
            return;
        }
        const auto& list = *node->as_array();
        if (list.empty() || list.size() > 2 * kMaxAddresses) {
            reader.complain(list, fmt::format("{} has 1 to {} addresses", key, 2 * kMaxAddresses));
            return;
        }
        for (const auto& entry : list) {
            const auto text = entry.value_exact<std::string_view>();
            const auto address = text ? net::Address::parse(*text) : std::nullopt;
            if (!address || address->is_unspecified() || address->scope() != 0) {
                reader.complain(entry, fmt::format("{} is a number or a list of IP addresses in quotes", key));
                return;
            }
            out.push_back(*address);
        }
    }

    static void read_lan(TableReader& reader, NatNode& node) {
        std::string text;
        reader.read("lan", text);
        if (text.empty() && !reader.has("lan")) {
            return;
        }
        const auto slash = text.find('/');
        const auto address = net::Address::parse(text.substr(0, slash));
        std::uint8_t prefix = 0;
        const auto length = slash == std::string::npos ? std::string{} : text.substr(slash + 1);
        const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), prefix);
        if (!address || address->is_unspecified() || error != std::errc{} || end != length.data() + length.size()) {
            reader.complain(*reader.find("lan"), "lan is a network like \"192.168.1.0/24\"");
            return;
        }
        node.lan = *address;
        node.lan_prefix = prefix;
    }

    LinkPair read_link(TableReader& reader) {
        const auto* table = reader.find_table("link");
        if (table == nullptr) {
            return {};
        }
        if (!table->contains("up") && !table->contains("down")) {
            const auto both = read_direction(*table);
            return {.up = both, .down = both};
        }
        TableReader pair{*table, "a link with up and down", mistake_};
        LinkPair link;
        for (auto& [key, direction] : {std::pair{"up", &link.up}, std::pair{"down", &link.down}}) {
            if (const auto* given = pair.find_table(key)) {
                *direction = read_direction(*given);
            }
        }
        pair.finish();
        return link;
    }

    LinkConfig read_direction(const toml::table& table) {
        TableReader reader{table, "link", mistake_};
        LinkConfig link;
        reader.read("delay", link.delay);
        reader.read("jitter", link.jitter);
        reader.read("loss", link.loss, 1);
        reader.read("burst_loss", link.burst_loss, 1);
        reader.read("burst_length", link.burst_length, 1, kMaxBurst);
        reader.read_rate("rate", link.bytes_per_second);
        reader.read_size("queue", link.queue_bytes);
        reader.read("reorder", link.reorder, 1);
        reader.read("reorder_delay", link.reorder_delay);
        reader.read("duplicate", link.duplicate, 1);
        reader.read("corrupt", link.corrupt, 1);
        reader.read("mtu", link.mtu, 0, kMaxPort);
        reader.read("mtu_icmp", link.mtu_icmp);
        reader.finish();
        return link;
    }

    Topology topology_;
    std::vector<std::uint32_t> nat_lines_;
    std::vector<std::uint32_t> host_lines_;
    std::optional<Mistake> mistake_;
};

}  // namespace

Result<Topology> parse_topology(std::string_view toml) {
    if (toml.size() > kMaxFile) {
        return fail(Errc::too_large, fmt::format("A topology file has at most {} bytes.", kMaxFile));
    }
    const auto parsed = toml::parse(toml);
    if (!parsed) {
        const auto& error = parsed.error();
        return fail(
            Errc::malformed,
            Mistake{.line = error.source().begin.line, .sentence = std::string{error.description()} + '.'}.text());
    }
    return Loader{}.load(parsed.table());
}

Result<Topology> load_topology(const std::filesystem::path& file) {
    std::ifstream stream{file, std::ios::binary};
    std::string text(kMaxFile + 1, '\0');
    stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (!stream.eof() || stream.bad()) {
        return fail(Errc::invalid_argument,
                    fmt::format("{} cannot be read, or has more than {} bytes.", file.string(), kMaxFile));
    }
    text.resize(static_cast<std::size_t>(stream.gcount()));
    auto topology = parse_topology(text);
    if (!topology) {
        topology.error().detail = fmt::format("{}: {}", file.string(), topology.error().detail);
    }
    return topology;
}

}  // namespace pinhole::lab
