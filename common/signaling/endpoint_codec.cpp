#include "common/signaling/endpoint_codec.hpp"

#include <algorithm>

namespace pinhole::signaling {

namespace {

constexpr std::size_t kPortSize = 2;

bool is_broadcast(const net::Address& address) {
    return address.is_v4() && std::ranges::all_of(address.bytes(), [](auto byte) { return byte == 0xff; });
}

std::optional<net::Address> read_address(ByteView bytes) {
    const auto address = net::Address::from_bytes(bytes);
    return address && address->unmapped() == *address ? address : std::nullopt;
}

}  // namespace

std::string endpoint_blob(const net::Endpoint& endpoint) {
    auto blob = address_blob(endpoint.address);
    blob += static_cast<char>(endpoint.port >> 8);
    blob += static_cast<char>(endpoint.port & 0xff);
    return blob;
}

std::optional<net::Endpoint> to_endpoint(const std::string& blob) {
    if (blob.size() < kPortSize) {
        return std::nullopt;
    }
    const auto bytes = as_bytes(blob);
    const auto address = read_address(bytes.first(bytes.size() - kPortSize));
    const auto port = ByteReader{bytes.last(kPortSize)}.u16();
    return address && port ? std::optional{net::Endpoint{.address = *address, .port = *port}} : std::nullopt;
}

std::string address_blob(const net::Address& address) {
    return std::string{as_text(address.unmapped().bytes())};
}

std::optional<net::Address> to_address(const std::string& blob) {
    return read_address(as_bytes(blob));
}

bool is_unicast(const net::Address& address) {
    return !address.is_unspecified() && !address.is_multicast() && !is_broadcast(address);
}

bool is_destination(const net::Endpoint& endpoint) {
    return endpoint.port != 0 && is_unicast(endpoint.address);
}

}  // namespace pinhole::signaling
