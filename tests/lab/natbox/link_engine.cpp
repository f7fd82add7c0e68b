#include "tests/lab/natbox/link_engine.hpp"

#include "tests/lab/natbox/ip_header.hpp"
#include "tests/lab/natbox/link_settings.hpp"
#include "tests/lab/natbox/words.hpp"

#include <utility>

#include <nlohmann/json.hpp>

namespace pinhole::natbox {

namespace {

/// Ethernet's, what a device has whose line is narrower and silent.
constexpr std::size_t kUsualMtu = 1500;

}  // namespace

LinkEngine::LinkEngine(const lab::LinkPair& config, std::uint64_t seed)
    : rng_(seed), directions_{Direction{lab::Link{config.up, rng_}}, Direction{lab::Link{config.down, rng_}}} {}

void LinkEngine::handle_packet(std::size_t device, ByteView raw, TimePoint now) {
    lab::Packet packet;
    packet.ecn = ecn_of(raw);
    packet.size = raw.size();
    packet.payload = to_bytes(raw);
    ++directions_[device].packets;
    (void)directions_[device].link.send(std::move(packet), now);
}

std::optional<Outgoing> LinkEngine::poll_packet(TimePoint now) {
    for (std::size_t from = 0; from < directions_.size(); ++from) {
        if (auto packet = directions_[from].link.receive(now)) {
            set_ecn(packet->payload, packet->ecn);
            return Outgoing{1 - from, std::move(packet->payload)};
        }
    }
    return std::nullopt;
}

std::optional<DeviceChange> LinkEngine::poll_change() {
    if (changes_.empty()) {
        return std::nullopt;
    }
    auto change = std::move(changes_.back());
    changes_.pop_back();
    return change;
}

std::optional<TimePoint> LinkEngine::next_timeout() const {
    return earliest(directions_[0].link.next_arrival(), directions_[1].link.next_arrival());
}

std::size_t LinkEngine::device_mtu(std::size_t device) const {
    const auto& config = directions_[device].link.config();
    return config.mtu_icmp ? config.mtu : std::max(config.mtu, kUsualMtu);
}

std::string LinkEngine::handle_command(std::string_view line, TimePoint /*now*/) {
    const auto words = words_of(line);
    if (words.size() == 1 && words[0] == "stats") {
        return stats();
    }
    const auto done = change(words);
    return done ? "ok" : "error: " + done.error().detail;
}

Status LinkEngine::change(const std::vector<std::string_view>& words) {
    if (words.size() < 3 || words[0] != "link" || (words[1] != "up" && words[1] != "down" && words[1] != "both")) {
        return fail(Errc::invalid_argument, "the command is: link up|down|both KEY=VALUE…, or stats");
    }
    const std::vector<std::string_view> settings(words.begin() + 2, words.end());
    for (std::size_t from = 0; from < directions_.size(); ++from) {
        if (words[1] == (from == 0 ? "down" : "up")) {
            continue;
        }
        const auto mtu = device_mtu(from);
        if (auto status = set_link(directions_[from].link.config(), settings); !status) {
            return status;
        }
        if (device_mtu(from) != mtu) {
            changes_.push_back({.device = from, .addresses = {}, .mtu = device_mtu(from)});
        }
    }
    return {};
}

std::string LinkEngine::stats() const {
    const auto direction = [](const Direction& from) {
        return nlohmann::ordered_json{{"packets", from.packets}, {"dropped", from.link.dropped()}};
    };
    return nlohmann::ordered_json{{"up", direction(directions_[0])}, {"down", direction(directions_[1])}}.dump();
}

}  // namespace pinhole::natbox
