#include "rendezvous/core/admission.hpp"

namespace pinhole::rendezvous {

namespace {

constexpr std::size_t kMachineV6 = 8;
constexpr std::size_t kSiteV6 = 6;

/// What one machine can take addresses from: an IPv4 address, an IPv6 /64 (RFC 4291 §2.5.1).
net::Address source_of(const net::Address& address) {
    return address.is_v4() ? address : prefix_of(address, kMachineV6);
}

/// What one site can have many /64s from; IPv4 sites are not told apart from their addresses.
std::optional<net::Address> site_of(const net::Address& address) {
    return address.is_v4() ? std::nullopt : std::optional{prefix_of(address, kSiteV6)};
}

}  // namespace

std::optional<std::string_view> Admission::enter(const net::Address& source, TimePoint now) {
    const auto count = [](Counts& counts) -> const Counts& {
        ++counts.all;
        ++counts.logging_in;
        return counts;
    };
    const auto machine = count(sources_[source_of(source)]);
    const auto key = site_of(source);
    const auto site = key ? count(sites_[*key]) : Counts{};
    ++total_;
    if (total_ > config_.max_connections) {
        return "the server is full";
    }
    if (machine.all > config_.max_per_source) {
        return "too many connections from one address";
    }
    if (site.all > config_.max_per_site) {
        return "too many connections from one site";
    }
    if (machine.logging_in > config_.max_logging_in_per_source) {
        return "too many unfinished logins from one address";
    }
    if (site.logging_in > config_.max_logging_in_per_site) {
        return "too many unfinished logins from one site";
    }
    if (!opens_.allow(source, now)) {
        return "connections from one network come too fast";
    }
    return std::nullopt;
}

void Admission::logged_in(const net::Address& source) {
    if (const auto found = sources_.find(source_of(source)); found != sources_.end()) {
        --found->second.logging_in;
    }
    const auto key = site_of(source);
    if (const auto found = key ? sites_.find(*key) : sites_.end(); found != sites_.end()) {
        --found->second.logging_in;
    }
}

void Admission::leave(const net::Address& source, bool was_logged_in) {
    if (!sources_.contains(source_of(source))) {
        return;
    }
    --total_;
    leave(sources_, source_of(source), was_logged_in);
    if (const auto key = site_of(source)) {
        leave(sites_, *key, was_logged_in);
    }
}

void Admission::leave(Table& table, const net::Address& key, bool was_logged_in) {
    const auto found = table.find(key);
    if (found == table.end()) {
        return;
    }
    auto& counts = found->second;
    counts.logging_in -= was_logged_in ? 0 : 1;
    if (--counts.all == 0) {
        table.erase(found);
    }
}

}  // namespace pinhole::rendezvous
