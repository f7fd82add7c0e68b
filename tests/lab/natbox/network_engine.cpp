#include "tests/lab/natbox/network_engine.hpp"

#include "tests/lab/natbox/link_settings.hpp"
#include "tests/lab/natbox/packet_codec.hpp"
#include "tests/lab/natbox/words.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace pinhole::natbox {

namespace {

using Json = nlohmann::ordered_json;

std::unexpected<Error> usage(const char* form) {
    return fail(Errc::invalid_argument, fmt::format("the command is: {}", form));
}

/// New mappings per second that the model is asked to make; far beyond the busiest provider's NAT.
constexpr double kMostBackground = 1e5;

}  // namespace

NetworkEngine::NetworkEngine(lab::Topology topology, const std::vector<std::string>& hosts)
    : topology_(std::move(topology)), network_(topology_) {
    for (const auto& name : hosts) {
        const auto host = network_.host(name);
        device_of_.emplace(host, ports_.size());
        ports_.push_back({.host = host, .name = name});
    }
    network_.on_drop = [this](const lab::Packet&, const char* where, const char* reason) {
        ++drops_[fmt::format("{}: {}", where, reason)];
    };
}

void NetworkEngine::handle_packet(std::size_t device, ByteView raw, TimePoint now) {
    auto& port = ports_[device];
    ++port.sent;
    if (auto packet = parse(raw)) {
        network_.send(port.host, std::move(*packet), now);
    } else {
        ++port.untranslatable;
    }
}

std::optional<Outgoing> NetworkEngine::poll_packet(TimePoint now) {
    while (auto delivery = network_.poll(now)) {
        const auto device = device_of_.find(delivery->to);
        if (device == device_of_.end()) {
            continue;
        }
        if (auto raw = to_raw(std::move(delivery->packet))) {
            ++ports_[device->second].received;
            return Outgoing{device->second, std::move(*raw)};
        }
    }
    return std::nullopt;
}

std::optional<DeviceChange> NetworkEngine::poll_change() {
    if (changes_.empty()) {
        return std::nullopt;
    }
    auto change = std::move(changes_.front());
    changes_.erase(changes_.begin());
    return change;
}

std::optional<TimePoint> NetworkEngine::next_timeout() const {
    return network_.next_timeout();
}

const lab::NatNode* NetworkEngine::nat_node(std::string_view name) const {
    const auto nat = std::ranges::find(topology_.nats, name, [](const auto& node) { return node.nat.name; });
    return nat == topology_.nats.end() ? nullptr : &*nat;
}

std::vector<NetworkAddress> NetworkEngine::addresses(std::size_t device) const {
    const auto& node = network_.node(ports_[device].host);
    const auto* nat = nat_node(node.behind);
    std::vector<NetworkAddress> all;
    for (const auto& address : node.addresses) {
        const std::uint8_t alone = address.is_v4() ? 32 : 128;
        const std::uint8_t in_lan = address.is_v4() && nat != nullptr ? nat->lan_prefix : 64;
        all.push_back({address, nat == nullptr ? alone : in_lan});
    }
    return all;
}

std::size_t NetworkEngine::mtu(std::size_t device) const {
    return network_.node(ports_[device].host).link.up.mtu;
}

std::string NetworkEngine::public_address(std::size_t device) const {
    const auto host = ports_[device].host;
    const auto* nat = nat_node(network_.node(host).behind);
    // Layers end: a resolved topology has no circles.
    while (nat != nullptr && nat_node(nat->behind) != nullptr) {
        nat = nat_node(nat->behind);
    }
    return nat == nullptr ? network_.address(host)->text() : nat->external.front().text();
}

std::string NetworkEngine::handle_command(std::string_view line, TimePoint now) {
    const auto words = words_of(line);
    if (words.size() == 1 && words[0] == "stats") {
        return stats(now);
    }
    const auto done = execute(words, now);
    return done ? "ok" : "error: " + done.error().detail;
}

Status NetworkEngine::execute(const Words& words, TimePoint now) {
    if (words.empty()) {
        return fail(Errc::invalid_argument, "the line is empty");
    }
    const auto verb = words[0];
    if (verb == "rebind" || verb == "expire") {
        if (words.size() != 2) {
            return usage("rebind NAT, or expire NAT");
        }
        const auto nat = find_nat(words[1]);
        if (!nat) {
            return std::unexpected{nat.error()};
        }
        verb == "rebind" ? (*nat)->rebind(now) : (*nat)->expire_all();
        return {};
    }
    if (verb == "block" || verb == "unblock") {
        return block(words, verb == "block");
    }
    if (verb == "link") {
        return change_link(words);
    }
    if (verb == "cut" || verb == "restore") {
        return cut(words, verb == "cut");
    }
    if (verb == "background") {
        return background(words);
    }
    if (verb == "move") {
        return move(words, now);
    }
    return fail(Errc::invalid_argument, fmt::format("there is no command '{}'", verb));
}

Result<lab::NatModel*> NetworkEngine::find_nat(std::string_view name) {
    if (nat_node(name) == nullptr) {
        return fail(Errc::invalid_argument, fmt::format("there is no NAT '{}'", name));
    }
    return &network_.nat(name);
}

Status NetworkEngine::find_node(std::string_view name) const {
    if (nat_node(name) == nullptr &&
        std::ranges::find(topology_.hosts, name, &lab::HostNode::name) == topology_.hosts.end()) {
        return fail(Errc::invalid_argument, fmt::format("there is no host or NAT '{}'", name));
    }
    return {};
}

Status NetworkEngine::block(const Words& words, bool blocked) {
    if (words.size() != 3 || (words[2] != "udp" && words[2] != "tcp")) {
        return usage("block NAT udp|tcp, or unblock NAT udp|tcp");
    }
    const auto nat = find_nat(words[1]);
    if (!nat) {
        return std::unexpected{nat.error()};
    }
    auto& config = (*nat)->config();
    (words[2] == "udp" ? config.udp_blocked : config.tcp_blocked) = blocked;
    return {};
}

Status NetworkEngine::change_link(const Words& words) {
    if (words.size() < 4 || (words[2] != "up" && words[2] != "down" && words[2] != "both")) {
        return usage("link HOST|NAT up|down|both KEY=VALUE…");
    }
    const auto name = words[1];
    if (auto known = find_node(name); !known) {
        return known;
    }
    const Words settings(words.begin() + 3, words.end());
    // Both directions take the same keys, so that one that is refused is refused before anything has changed.
    auto status = Status{};
    if (words[2] != "down") {
        status = set_link(network_.uplink(name).config(), settings);
    }
    if (status && words[2] != "up") {
        status = set_link(network_.downlink(name).config(), settings);
    }
    return status;
}

Status NetworkEngine::cut(const Words& words, bool dead) {
    if (words.size() != 3 || words[1] == words[2]) {
        return usage("cut HOST|NAT HOST|NAT, or restore HOST|NAT HOST|NAT");
    }
    for (const auto name : {words[1], words[2]}) {
        if (auto known = find_node(name); !known) {
            return known;
        }
    }
    dead ? network_.cut(words[1], words[2]) : network_.restore(words[1], words[2]);
    return {};
}

Status NetworkEngine::background(const Words& words) {
    double rate = -1;
    const auto text = words.size() == 3 ? words[2] : std::string_view{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rate);
    if (error != std::errc{} || end != text.data() + text.size() || !(rate >= 0 && rate <= kMostBackground)) {
        return usage("background NAT MAPPINGS_PER_SECOND");
    }
    const auto nat = find_nat(words[1]);
    if (!nat) {
        return std::unexpected{nat.error()};
    }
    (*nat)->config().background = rate;
    return {};
}

Status NetworkEngine::move(const Words& words, TimePoint now) {
    if (words.size() != 3) {
        return usage("move HOST NAT, or move HOST internet");
    }
    const auto port = std::ranges::find(ports_, words[1], &Port::name);
    if (port == ports_.end()) {
        return fail(Errc::invalid_argument, fmt::format("no host '{}' takes part", words[1]));
    }
    if (words[2] != lab::kInternet && nat_node(words[2]) == nullptr) {
        return fail(Errc::invalid_argument, fmt::format("there is no NAT '{}'", words[2]));
    }
    (void)network_.move(port->host, words[2], now);
    const auto device = static_cast<std::size_t>(port - ports_.begin());
    changes_.push_back({.device = device, .addresses = addresses(device), .mtu = {}});
    return {};
}

std::string NetworkEngine::stats(TimePoint now) {
    Json answer{{"hosts", Json::object()}, {"nats", Json::object()}, {"links", Json::object()}, {"drops", drops_}};
    for (std::size_t device = 0; device < ports_.size(); ++device) {
        const auto& port = ports_[device];
        auto& host = answer["hosts"][port.name];
        host = {{"addresses", Json::array()},
                {"public", public_address(device)},
                {"sent", port.sent},
                {"received", port.received},
                {"untranslatable", port.untranslatable}};
        for (const auto& address : network_.node(port.host).addresses) {
            host["addresses"].push_back(address.text());
        }
    }
    const auto link = [&](const std::string& name) {
        const auto direction = [](const lab::Link& line) { return Json{{"dropped", line.dropped()}}; };
        answer["links"][name] = {{"up", direction(network_.uplink(name))},
                                 {"down", direction(network_.downlink(name))}};
    };
    for (const auto& node : topology_.nats) {
        auto& nat = network_.nat(node.nat.name);
        const auto counters = nat.counters();
        answer["nats"][node.nat.name] = {{"mappings", nat.mappings(now)},
                                         {"mappings_made", counters.mappings_made},
                                         {"background_mappings", counters.background_mappings},
                                         {"dropped", counters.dropped}};
        link(node.nat.name);
    }
    for (const auto& node : topology_.hosts) {
        link(node.name);
    }
    return answer.dump();
}

}  // namespace pinhole::natbox
