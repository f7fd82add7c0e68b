// Datagrams of strangers at a STUN server with one address or two, with and without the magic cookie (RFC 8489, RFC
// 5780, RFC 3489). What must hold: an answer leaves from one of our endpoints, goes to the source address and to a port
// that was asked from or is none of a service, reads as STUN, and is not much larger than the request.
#include "common/stun/message.hpp"
#include "rendezvous/core/stun_service.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>

namespace {

using namespace pinhole;
using rendezvous::StunService;
using rendezvous::StunSite;

void require(bool condition) {
    if (!condition) {
        std::abort();
    }
}

const StunSite kV4{.addresses = {net::Address::v4({192, 0, 2, 1}), net::Address::v4({192, 0, 2, 2})},
                   .ports = {3478, 3479}};
const StunSite kV6{
    .addresses = {net::Address::v6({0x20, 1, 0xd, 0xb8, 0, 1}), net::Address::v6({0x20, 1, 0xd, 0xb8, 0, 2})},
    .ports = {3478, 3479}};
const net::Endpoint kClientV4{.address = net::Address::v4({203, 0, 113, 9}), .port = 53};
const net::Endpoint kClientV6{.address = net::Address::v6({0x20, 1, 0xd, 0xb8, 9}), .port = 40000};
/// Of our server, but not an address of discovery.
const net::Endpoint kThird{.address = net::Address::v4({192, 0, 2, 3}), .port = 3478};

/// On the wire, with IP and UDP headers.
double ratio(std::size_t answer, std::size_t request, std::size_t headers) {
    return static_cast<double>(answer + headers) / static_cast<double>(request + headers);
}

void check_datagram(StunService& service, ByteView bytes, const net::PathAddresses& path, const StunSite* site) {
    const auto answer = service.handle_datagram(bytes, path, TimePoint{});
    if (!answer) {
        return;
    }
    require(site == nullptr ? answer->path.local == path.local : site->contains(answer->path.local));
    require(answer->path.remote.address == path.remote.address);
    require(answer->path.remote.port == path.remote.port ||
            answer->path.remote.port >= rendezvous::kLowestResponsePort);
    const bool v4 = path.remote.address.is_v4();
    require(ratio(answer->payload.size(), bytes.size(), v4 ? 28 : 48) <= (v4 ? 1.75 : 2.2));

    auto payload = answer->payload;
    require(payload.size() >= stun::kHeaderSize &&
            std::ranges::equal(ByteView{payload}.subspan(4, 16), bytes.subspan(4, 16)));
    if (!stun::is_stun(payload)) {
        std::ranges::copy(std::array<std::uint8_t, 4>{0x21, 0x12, 0xa4, 0x42}, payload.begin() + 4);
    }
    const auto message = stun::MessageView::parse(payload);
    require(message && message->method() == stun::kBinding);
    require(message->message_class() == stun::MessageClass::error || message->mapped_address() == path.remote ||
            message->xor_mapped_address() == path.remote);
    // Two servers must not be able to keep each other busy.
    require(!service.handle_datagram(answer->payload, path, TimePoint{}));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView input{data, size};
    if (input.empty()) {
        return 0;
    }
    const auto bytes = input.subspan(1);
    StunService service{{.sites = {kV4, kV6}}};
    const bool v6 = (input[0] & 1U) != 0;
    const auto& site = v6 ? kV6 : kV4;
    const auto& client = v6 ? kClientV6 : kClientV4;
    const net::Endpoint local{.address = site.addresses[input[0] >> 1 & 1U], .port = site.ports[input[0] >> 2 & 1U]};
    check_datagram(service, bytes, {.local = local, .remote = client}, &site);
    check_datagram(service, bytes, {.local = kThird, .remote = kClientV4}, nullptr);
    if (const auto answer = service.handle_stream(bytes, {.local = local, .remote = client}, TimePoint{})) {
        require(stun::MessageView::parse(*answer).has_value());
    }
    return 0;
}
