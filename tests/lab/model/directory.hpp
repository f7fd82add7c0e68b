// Who is where in a network: names, which realm (the internet or a NAT's LAN) each thing is in, and which line leads to
// an address. Things are numbered as their lines: the NATs, then the hosts; a NAT's number is also that of its LAN.
#pragma once

#include "tests/lab/model/address_pool.hpp"
#include "tests/lab/model/endpoint_key.hpp"
#include "tests/lab/model/topology.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pinhole::lab {

class Directory {
  public:
    /// The internet among realms.
    static constexpr std::size_t kCore = std::numeric_limits<std::size_t>::max();

    explicit Directory(const Topology& topology);

    [[nodiscard]] std::size_t nats() const { return lans_.size(); }

    // --- by names, which must exist ---
    [[nodiscard]] std::size_t line_named(std::string_view name) const;
    [[nodiscard]] std::size_t nat_named(std::string_view name) const;
    [[nodiscard]] std::size_t host_named(std::string_view name) const;

    [[nodiscard]] const std::vector<HostNode>& hosts() const { return hosts_; }

    /// The realm that a line leads up to.
    [[nodiscard]] std::size_t realm_of(std::size_t line) const { return realm_of_[line]; }

    /// "internet", or the name of the NAT.
    [[nodiscard]] const std::string& realm_name(std::size_t realm) const { return at(realm).name; }

    /// Of the router: the NAT on its inner side, or the core.
    [[nodiscard]] net::Address router(std::size_t realm, net::Family family) const {
        return at(realm).pool.router(family);
    }

    /// Whether an address belongs to a LAN, although perhaps nobody has it.
    [[nodiscard]] bool is_local(std::size_t realm, const net::Address& address) const {
        return at(realm).pool.covers(address);
    }

    /// The line of the thing in a realm that has an address.
    [[nodiscard]] std::optional<std::size_t> neighbour(std::size_t realm, const net::Address& address) const;
    /// The same, or the line towards the IPv6 prefix that an address is in.
    [[nodiscard]] std::optional<std::size_t> route(std::size_t realm, const net::Address& address) const;

    /// Puts a host elsewhere and gives it addresses there; its first, or an unspecified one if there are none left.
    net::Address move(std::size_t host, std::string_view behind);

  private:
    struct Realm {
        std::string name;
        AddressPool pool;
        std::map<AddressKey, std::size_t> members;
        /// By the upper half of the IPv6 prefixes that are behind a NAT in it.
        std::map<std::uint64_t, std::size_t> prefixes;
    };

    [[nodiscard]] Realm& at(std::size_t realm) { return realm == kCore ? internet_ : lans_[realm]; }

    [[nodiscard]] const Realm& at(std::size_t realm) const { return realm == kCore ? internet_ : lans_[realm]; }

    [[nodiscard]] std::size_t realm_named(std::string_view behind) const;
    void add_prefix(std::size_t nat, const net::Address& prefix);
    void join(std::size_t line, const net::Address& address);
    void take_address(std::size_t host, net::Family family);

    std::map<std::string, std::size_t, std::less<>> by_name_;
    std::vector<std::size_t> realm_of_;
    Realm internet_;
    std::vector<Realm> lans_;
    std::vector<HostNode> hosts_;
    /// By host: it had an IPv6 address to begin with.
    std::vector<bool> wants_v6_;
};

}  // namespace pinhole::lab
