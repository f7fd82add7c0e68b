#include "rendezvous/core/turn/address_policy.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace pinhole::turn {

namespace {

using net::Address;

/// A prefix in the tables below; IPv4 uses the first four bytes.
struct Prefix {
    net::Family family = net::Family::v4;
    std::array<std::uint8_t, 16> bytes{};
    std::uint8_t bits = 0;

    [[nodiscard]] bool contains(const Address& address) const {
        const auto candidate = address.bytes();
        if (address.family() != family) {
            return false;
        }
        for (std::size_t i = 0; i * 8 < bits; ++i) {
            const unsigned kept = std::min<unsigned>(8, static_cast<unsigned>(bits - i * 8));
            if (((candidate[i] ^ bytes[i]) >> (8 - kept)) != 0) {
                return false;
            }
        }
        return true;
    }
};

constexpr Prefix v4(std::array<std::uint8_t, 4> bytes, std::uint8_t bits) {
    return {.family = net::Family::v4, .bytes = {bytes[0], bytes[1], bytes[2], bytes[3]}, .bits = bits};
}

constexpr Prefix v6(std::array<std::uint8_t, 16> bytes, std::uint8_t bits) {
    return {.family = net::Family::v6, .bytes = bytes, .bits = bits};
}

// Packets to these reach the IPv4 address that begins at the byte given.
constexpr Prefix kMapped = v6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96);  // RFC 4291 §2.5.5.2
constexpr Prefix kCompatible = v6({}, 96);                                      // RFC 4291 §2.5.5.1
constexpr Prefix kTranslated = v6({0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96);    // RFC 7915 §4.1 (was RFC 2765)
constexpr Prefix kNat64 = v6({0, 0x64, 0xff, 0x9b}, 96);                        // RFC 6052 §2.1
constexpr Prefix k6to4 = v6({0x20, 0x02}, 16);                                  // RFC 3056 §2

/// Nothing that anybody may open: on Linux the first is another name of loopback.
constexpr std::array kNever{
    v4({0, 0, 0, 0}, 8),           // RFC 791: this host on this network
    v4({255, 255, 255, 255}, 32),  // RFC 919: broadcast
    v6({}, 128),                   // RFC 4291 §2.5.2
};

/// What is no address of a host in the internet: RFC 6890 and its registries. Networks of documentation and measurement
/// (RFC 5737, RFC 2544) are left out: nobody has services there, and models of the internet are built of them.
constexpr std::array kRefused{
    v4({10, 0, 0, 0}, 8),      // RFC 1918
    v4({100, 64, 0, 0}, 10),   // RFC 6598: between a provider and its customers
    v4({127, 0, 0, 0}, 8),     // RFC 1122: loopback
    v4({169, 254, 0, 0}, 16),  // RFC 3927: link-local, and the metadata service of clouds
    v4({172, 16, 0, 0}, 12),   // RFC 1918
    v4({192, 0, 0, 0}, 24),    // RFC 6890: protocol assignments
    v4({192, 88, 99, 0}, 24),  // RFC 7526: relays of 6to4
    v4({192, 168, 0, 0}, 16),  // RFC 1918
    v4({224, 0, 0, 0}, 4),     // RFC 5771: multicast
    v4({240, 0, 0, 0}, 4),     // RFC 1112: reserved
    kCompatible,               // and loopback
    kMapped,                   // what is reached by these is named by its IPv4 address
    kTranslated,
    v6({0, 0x64, 0xff, 0x9b, 0, 1}, 48),  // RFC 8215: NAT64 of the local network
    v6({0x01, 0}, 64),                    // RFC 6666: discarded
    v6({0x20, 0x01, 0, 0}, 32),           // RFC 4380: Teredo, an IPv4 address and a port in disguise
    v6({0x20, 0x01, 0, 2}, 48),           // RFC 5180: measurement
    v6({0x20, 0x01, 0, 0x10}, 28),        // RFC 4843: no addresses but hashes
    v6({0x20, 0x01, 0, 0x20}, 28),        // RFC 7343: likewise
    v6({0x3f, 0xfe}, 16),                 // RFC 3701: returned
    v6({0x5f, 0}, 16),                    // RFC 9602: segments of routes
    v6({0xfc, 0}, 7),                     // RFC 4193: unique local
    v6({0xfe, 0x80}, 10),                 // RFC 4291 §2.5.6: link-local
    v6({0xfe, 0xc0}, 10),                 // RFC 3879: site-local
    v6({0xff, 0}, 8),                     // RFC 4291 §2.7: multicast
};

/// Addresses that no packet bears: whoever means the IPv4 address says so.
bool is_disguise(const Address& address) {
    return kMapped.contains(address) || kCompatible.contains(address) || kTranslated.contains(address);
}

template <std::size_t N>
bool any_contains(const std::array<Prefix, N>& prefixes, const Address& address) {
    return std::ranges::any_of(prefixes, [&](const auto& prefix) { return prefix.contains(address); });
}

Address embedded(const Address& address, std::size_t offset) {
    return *Address::from_bytes(address.bytes().subspan(offset, 4));
}

/// RFC 5214 §6.1: an interface identifier that ends in the IPv4 address of a tunnel's end.
bool is_isatap(const Address& address) {
    const auto bytes = address.bytes();
    return bytes.size() == 16 && (bytes[8] & 0xfdU) == 0 && bytes[9] == 0 && bytes[10] == 0x5e && bytes[11] == 0xfe;
}

}  // namespace

std::optional<AddressRange> AddressRange::parse(std::string_view text) {
    const auto slash = text.find('/');
    const auto address = Address::parse(text.substr(0, slash));
    if (!address || address->scope() != 0) {
        return std::nullopt;
    }
    const auto size = static_cast<std::uint8_t>(address->bytes().size() * 8);
    if (slash == std::string_view::npos) {
        return AddressRange{.address = *address, .bits = size};
    }
    const auto number = text.substr(slash + 1);
    std::uint8_t bits = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), bits);
    if (error != std::errc{} || end != number.data() + number.size() || bits > size) {
        return std::nullopt;
    }
    const auto bytes = address->bytes();
    for (std::size_t bit = bits; bit < size; ++bit) {
        if ((bytes[bit / 8] >> (7 - bit % 8) & 1U) != 0) {
            return std::nullopt;
        }
    }
    return AddressRange{.address = *address, .bits = bits};
}

bool AddressRange::contains(const Address& candidate) const {
    Prefix prefix{.family = address.family(), .bits = bits};
    std::ranges::copy(address.bytes(), prefix.bytes.begin());
    return prefix.contains(candidate);
}

Address canonical(const Address& address) {
    if (address.is_v4()) {
        return address;
    }
    if (k6to4.contains(address)) {
        return embedded(address, 2);
    }
    const bool spelled = kMapped.contains(address) || kTranslated.contains(address) || kNat64.contains(address) ||
                         (kCompatible.contains(address) && !address.is_unspecified() && !address.is_loopback());
    return spelled ? embedded(address, 12) : *Address::from_bytes(address.bytes());
}

AddressPolicy::AddressPolicy(const Config& config) : config_(config) {
    for (auto& address : config_.own) {
        address = canonical(address);
    }
    for (auto& listener : config_.listeners) {
        listener.address = canonical(listener.address);
    }
}

bool AddressPolicy::is_own(const Address& plain) const {
    return std::ranges::find(config_.own, plain) != config_.own.end();
}

bool AddressPolicy::is_open(const Address& peer, const Address& plain) const {
    // Both spellings are judged: NAT64 and 6to4 are ways of their own, and lead to the same host.
    const auto unscoped = *Address::from_bytes(peer.bytes());
    if (any_contains(kNever, plain) || any_contains(kNever, unscoped) || (unscoped != plain && is_disguise(unscoped))) {
        return false;
    }
    if (std::ranges::any_of(config_.allow, [&](const auto& range) { return range.contains(plain); })) {
        return true;
    }
    return !is_own(plain) && !any_contains(kRefused, plain) && !any_contains(kRefused, unscoped) &&
           !is_isatap(unscoped);
}

bool AddressPolicy::permits(const Address& peer) const {
    const auto plain = canonical(peer);
    // A relayed address of the server may be behind it; the port is judged when it is known.
    return (peer == plain && is_own(plain)) || is_open(peer, plain);
}

bool AddressPolicy::permits(const net::Endpoint& peer) const {
    const auto plain = canonical(peer.address);
    if (peer.port == 0 || std::ranges::find(config_.listeners, net::Endpoint{.address = plain, .port = peer.port}) !=
                              config_.listeners.end()) {
        return false;
    }
    const bool relayed = peer.port >= config_.first_relay_port && peer.port <= config_.last_relay_port;
    return (relayed && peer.address == plain && is_own(plain)) || is_open(peer.address, plain);
}

}  // namespace pinhole::turn
