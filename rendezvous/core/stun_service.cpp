#include "rendezvous/core/stun_service.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::rendezvous {

namespace {

/// IP and UDP headers of the larger family.
constexpr std::size_t kHeaders = 48;

}  // namespace

std::optional<net::Transmit> StunService::handle_datagram(ByteView request, const net::PathAddresses& path,
                                                          TimePoint now) {
    return answer({.bytes = request, .path = path, .transport = StunTransport::udp}, now);
}

std::optional<Bytes> StunService::handle_stream(ByteView request, const net::PathAddresses& path, TimePoint now) {
    auto transmit = answer({.bytes = request, .path = path, .transport = StunTransport::tcp}, now);
    return transmit ? std::optional{std::move(transmit->payload)} : std::nullopt;
}

std::optional<net::Transmit> StunService::answer(const BindingRequest& asked, TimePoint now) {
    auto result = answer_binding(asked, site_of(asked.path.local));
    if (!result) {
        ++stats_.dropped;
        return std::nullopt;
    }
    const auto cost = static_cast<double>(result->transmit.payload.size() + kHeaders);
    if (!limiter_.allow(asked.path.remote.address, now, cost)) {
        ++stats_.limited;
        return std::nullopt;
    }
    ++(result->success ? stats_.answered : stats_.refused);
    return std::move(result->transmit);
}

const StunSite* StunService::site_of(const net::Endpoint& local) const {
    const auto found = std::ranges::find_if(sites_, [&](const auto& site) { return site.contains(local); });
    return found == sites_.end() ? nullptr : &*found;
}

}  // namespace pinhole::rendezvous
