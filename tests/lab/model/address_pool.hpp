// The addresses of one LAN or of the internet: which are taken, and which a newcomer gets.
#pragma once

#include "common/net/endpoint.hpp"
#include "tests/lab/model/endpoint_key.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <set>

namespace pinhole::lab {

class AddressPool {
  public:
    /// The internet: 198.18.N.2 and following (RFC 2544's block) for the N-th thing on it, so that no two share a /24;
    /// 2001:2:0:N::2 (RFC 5180's).
    AddressPool() = default;
    /// A LAN; the router has the first address of each family.
    AddressPool(const net::Address& lan, std::uint8_t prefix, const std::optional<net::Address>& lan_v6);

    /// false if it is taken or does not belong here.
    bool reserve(const net::Address& address);
    void release(const net::Address& address);
    /// The next thing on the internet begins; to be called before its addresses are taken.
    void next_member();
    /// A free address; one that was given back comes last. nullopt: none is left.
    [[nodiscard]] std::optional<net::Address> take(net::Family family);

    /// Whether somebody may have the address here.
    [[nodiscard]] bool contains(const net::Address& address) const;
    /// Whether a LAN's router keeps packets for the address in the LAN: also those to nobody and to all.
    [[nodiscard]] bool covers(const net::Address& address) const;

    [[nodiscard]] bool has_v6() const { return is_internet() || v6_; }

    /// The router's own.
    [[nodiscard]] net::Address router(net::Family family) const;

  private:
    [[nodiscard]] bool is_internet() const { return !v4_; }

    /// The bits that number hosts in a LAN.
    [[nodiscard]] std::uint64_t host_mask() const { return (std::uint64_t{1} << (32U - prefix_)) - 1; }

    [[nodiscard]] std::optional<AddressKey> find_internet(net::Family family);
    [[nodiscard]] std::optional<AddressKey> find_lan(net::Family family);
    [[nodiscard]] std::optional<AddressKey> take_back(net::Family family);

    /// Host part 0.
    std::optional<AddressKey> v4_;
    std::uint8_t prefix_ = 24;
    std::optional<AddressKey> v6_;
    std::uint64_t member_ = 0;
    std::uint64_t next_v4_ = 2;
    std::uint64_t next_v6_ = 2;
    std::set<AddressKey> taken_;
    /// Still among `taken_`, until all others are, too.
    std::deque<AddressKey> given_back_;
};

}  // namespace pinhole::lab
