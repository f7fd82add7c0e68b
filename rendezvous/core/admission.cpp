#include "rendezvous/core/admission.hpp"

#include <algorithm>
#include <array>

namespace pinhole::rendezvous {

namespace {

/// What one machine can take addresses from: an IPv4 address, an IPv6 /64 (RFC 4291 §2.5.1).
net::Address source_of(const net::Address& address) {
    if (address.is_v4()) {
        return address;
    }
    std::array<std::uint8_t, 16> prefix{};
    std::ranges::copy(address.bytes().first(8), prefix.begin());
    return net::Address::v6(prefix);
}

}  // namespace

std::optional<std::string_view> Admission::enter(const net::Address& source, TimePoint now) {
    auto& counts = sources_[source_of(source)];
    ++total_;
    ++counts.all;
    ++counts.logging_in;
    if (total_ > config_.max_connections) {
        return "the server is full";
    }
    if (counts.all > config_.max_per_source) {
        return "too many connections from one address";
    }
    if (counts.logging_in > config_.max_logging_in_per_source) {
        return "too many unfinished logins from one address";
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
}

void Admission::leave(const net::Address& source, bool was_logged_in) {
    const auto found = sources_.find(source_of(source));
    if (found == sources_.end()) {
        return;
    }
    --total_;
    auto& counts = found->second;
    counts.logging_in -= was_logged_in ? 0 : 1;
    if (--counts.all == 0) {
        sources_.erase(found);
    }
}

}  // namespace pinhole::rendezvous
