// Where things are in a raw IP packet, found with every length checked. Knows no flows and changes nothing.
#pragma once

#include "common/base/bytes.hpp"
#include "common/net/datagram.hpp"
#include "common/net/endpoint.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>

namespace pinhole::natbox {

inline constexpr std::uint8_t kIcmp = 1;
inline constexpr std::uint8_t kTcp = 6;
inline constexpr std::uint8_t kUdp = 17;
inline constexpr std::uint8_t kIcmpV6 = 58;

inline constexpr std::size_t kIpv4Header = 20;
inline constexpr std::size_t kIpv6Header = 40;
inline constexpr std::size_t kIcmpHeader = 8;

/// How much of a packet must be there: all that its header declares, or only a beginning, as within an ICMP error.
enum class Extent : std::uint8_t { whole, beginning };

struct IpHeader {
    net::Family family = net::Family::v4;
    /// What follows the IP header and its extensions.
    std::uint8_t protocol = 0;
    /// Where that begins.
    std::size_t transport = 0;
    /// As the header declares it; bytes after it are padding.
    std::size_t total = 0;
    /// A fragment beyond the first: there is no transport header in it.
    bool later_fragment = false;
    net::Address source;
    net::Address destination;
    std::uint8_t ttl = 0;
    net::Ecn ecn = net::Ecn::not_ect;
};

/// nullopt: not IP, or lengths that contradict each other or the bytes.
[[nodiscard]] std::optional<IpHeader> parse_ip(ByteView raw, Extent extent = Extent::whole);

/// The two bits of any IP packet; not_ect of what is none.
[[nodiscard]] net::Ecn ecn_of(ByteView raw);
/// Writes them, and the header's checksum if it has one.
void set_ecn(ByteSpan raw, net::Ecn ecn);

}  // namespace pinhole::natbox
