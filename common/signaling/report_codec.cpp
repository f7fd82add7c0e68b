#include "common/signaling/report_codec.hpp"

#include "common/base/limits.hpp"
#include "common/signaling/endpoint_codec.hpp"
#include "rendezvous.pb.h"

#include <chrono>
#include <cmath>
#include <cstdint>
#include <optional>
#include <utility>

namespace pinhole::signaling {

namespace {

namespace pb = rendezvous::v1;
using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::uint32_t kMaxPort = 65535;
constexpr std::int32_t kMaxDelta = 65535;
constexpr double kMaxRate = 1e6;
constexpr milliseconds kMaxLifetime = 24h;
constexpr microseconds kMaxRtt = 60s;
constexpr std::uint32_t kMaxTtl = 255;

bool is_port(std::uint32_t port) {
    return port >= 1 && port <= kMaxPort;
}

bool is_delta(std::int32_t delta) {
    return delta >= -kMaxDelta && delta <= kMaxDelta;
}

bool is_rate(double rate) {
    return std::isfinite(rate) && rate >= 0 && rate <= kMaxRate;
}

bool is_block(std::uint32_t first, std::uint32_t last) {
    return is_port(first) && is_port(last) && first <= last && last - first < net::kMaxBlock;
}

// --- values to Protobuf ---

void put(const net::ProtocolReport& from, pb::ProtocolReport& to) {
    if (from.open) {
        to.set_open(*from.open);
    }
    to.set_mapping(static_cast<pb::NatBehavior>(from.mapping));
    to.set_filtering(static_cast<pb::NatBehavior>(from.filtering));
    to.set_allocation(static_cast<pb::PortAllocation>(from.allocation));
    if (from.delta && is_delta(*from.delta)) {
        to.set_delta(*from.delta);
    }
    if (from.block && is_block(from.block->first, from.block->last)) {
        to.set_block_first(from.block->first);
        to.set_block_last(from.block->last);
    }
    if (from.rate && is_rate(*from.rate)) {
        to.set_rate(*from.rate);
    }
    if (from.hairpin) {
        to.set_hairpin(*from.hairpin);
    }
    if (from.lifetime && *from.lifetime >= 0s && *from.lifetime <= kMaxLifetime) {
        to.set_lifetime_ms(static_cast<std::uint32_t>(duration_cast<milliseconds>(*from.lifetime).count()));
    }
    if (from.reflexive && is_destination(*from.reflexive)) {
        to.set_reflexive(endpoint_blob(*from.reflexive));
    }
    for (const auto port : from.samples) {
        if (is_port(port) && std::cmp_less(to.samples_size(), limits::kMaxReportSamples)) {
            to.add_samples(port);
        }
    }
    if (from.opening_ttl && *from.opening_ttl != 0) {
        to.set_opening_ttl(*from.opening_ttl);
    }
}

// --- Protobuf to values ---

std::unexpected<Error> malformed(const char* what) {
    return fail(Errc::malformed, what);
}

/// A word that a later version may add is nothing that this one knows.
template <class Enum>
Enum known(int number, Enum last) {
    return number >= 0 && number <= static_cast<int>(last) ? static_cast<Enum>(number) : Enum::unknown;
}

Status get_samples(const pb::ProtocolReport& from, std::vector<std::uint16_t>& to) {
    if (std::cmp_greater(from.samples_size(), limits::kMaxReportSamples)) {
        return fail(Errc::too_large, "samples of a report");
    }
    for (const auto port : from.samples()) {
        if (!is_port(port)) {
            return malformed("sample of a report");
        }
        to.push_back(static_cast<std::uint16_t>(port));
    }
    return {};
}

Status get_allocation(const pb::ProtocolReport& from, net::ProtocolReport& to) {
    to.allocation = known(from.allocation(), net::PortAllocation::random);
    if (from.has_delta()) {
        if (!is_delta(from.delta())) {
            return malformed("delta of a report");
        }
        to.delta = from.delta();
    }
    if (from.has_block_first() || from.has_block_last()) {
        if (!is_block(from.block_first(), from.block_last())) {
            return malformed("port block of a report");
        }
        to.block = net::PortRange{.first = static_cast<std::uint16_t>(from.block_first()),
                                  .last = static_cast<std::uint16_t>(from.block_last())};
    }
    if (from.has_rate()) {
        if (!is_rate(from.rate())) {
            return malformed("rate of a report");
        }
        to.rate = from.rate();
    }
    return get_samples(from, to.samples);
}

Status get_endpoint(const std::string& from, std::optional<net::Endpoint>& to) {
    if (from.empty()) {
        return {};
    }
    to = to_endpoint(from);
    return to && is_destination(*to) ? Status{} : malformed("reflexive address of a report");
}

Status get(const pb::ProtocolReport& from, net::ProtocolReport& to) {
    if (from.has_open()) {
        to.open = from.open();
    }
    to.mapping = known(from.mapping(), net::NatBehavior::address_and_port_dependent);
    to.filtering = known(from.filtering(), net::NatBehavior::address_and_port_dependent);
    if (from.has_hairpin()) {
        to.hairpin = from.hairpin();
    }
    if (from.has_lifetime_ms()) {
        to.lifetime = milliseconds{from.lifetime_ms()};
        if (*to.lifetime > kMaxLifetime) {
            return malformed("lifetime of a report");
        }
    }
    if (from.has_opening_ttl()) {
        if (from.opening_ttl() == 0 || from.opening_ttl() > kMaxTtl) {
            return malformed("TTL of a report");
        }
        to.opening_ttl = static_cast<std::uint8_t>(from.opening_ttl());
    }
    if (auto status = get_endpoint(from.reflexive(), to.reflexive); !status) {
        return status;
    }
    return get_allocation(from, to);
}

Status get_local(const pb::Report& from, std::vector<net::Address>& to) {
    if (std::cmp_greater(from.local_size(), limits::kMaxReportAddresses)) {
        return fail(Errc::too_large, "addresses of a report");
    }
    for (const auto& blob : from.local()) {
        const auto address = to_address(blob);
        if (!address || !is_unicast(*address)) {
            return malformed("address of a report");
        }
        to.push_back(*address);
    }
    return {};
}

}  // namespace

void put_report(const net::NetReport& from, pb::Report& to) {
    put(from.udp, *to.mutable_udp());
    put(from.tcp, *to.mutable_tcp());
    for (const auto& address : from.local) {
        if (is_unicast(address.unmapped()) && std::cmp_less(to.local_size(), limits::kMaxReportAddresses)) {
            to.add_local(address_blob(address));
        }
    }
    if (from.ipv6) {
        to.set_ipv6(*from.ipv6);
    }
    if (from.reflexive_v6 && is_destination(*from.reflexive_v6) && !from.reflexive_v6->address.unmapped().is_v4()) {
        to.set_reflexive_v6(endpoint_blob(*from.reflexive_v6));
    }
    if (from.rtt && *from.rtt >= 0s && *from.rtt <= kMaxRtt) {
        to.set_rtt_us(static_cast<std::uint32_t>(duration_cast<microseconds>(*from.rtt).count()));
    }
}

Result<net::NetReport> to_report(const pb::Report& from) {
    net::NetReport report;
    if (auto status = get(from.udp(), report.udp); !status) {
        return std::unexpected(status.error());
    }
    if (auto status = get(from.tcp(), report.tcp); !status) {
        return std::unexpected(status.error());
    }
    if (auto status = get_local(from, report.local); !status) {
        return std::unexpected(status.error());
    }
    if (auto status = get_endpoint(from.reflexive_v6(), report.reflexive_v6); !status) {
        return std::unexpected(status.error());
    }
    if (report.reflexive_v6 && report.reflexive_v6->address.is_v4()) {
        return malformed("reflexive IPv6 address of a report");
    }
    if (from.has_ipv6()) {
        report.ipv6 = from.ipv6();
    }
    if (from.has_rtt_us()) {
        report.rtt = microseconds{from.rtt_us()};
        if (*report.rtt > kMaxRtt) {
            return malformed("round trip of a report");
        }
    }
    return report;
}

}  // namespace pinhole::signaling
