#include "tests/lab/model/address_pool.hpp"

#include <algorithm>

namespace pinhole::lab {

namespace {

/// 198.18.0.0/15, as an IPv4-mapped address.
constexpr AddressKey kInternetV4{.high = 0, .low = 0xffff'c612'0000};
constexpr std::uint64_t kInternetMembers = 512;
/// 2001:2:0::/48.
constexpr std::uint64_t kInternetV6 = 0x2001'0002'0000'0000;

}  // namespace

AddressPool::AddressPool(const net::Address& lan, std::uint8_t prefix, const std::optional<net::Address>& lan_v6)
    : v4_(key_of(lan)), prefix_(prefix) {
    v4_->low &= ~host_mask();
    taken_.insert({.high = v4_->high, .low = v4_->low + 1});
    if (lan_v6) {
        v6_ = AddressKey{.high = key_of(*lan_v6).high, .low = 0};
        taken_.insert({.high = v6_->high, .low = 1});
    }
}

bool AddressPool::reserve(const net::Address& address) {
    return contains(address) && taken_.insert(key_of(address)).second;
}

void AddressPool::release(const net::Address& address) {
    given_back_.push_back(key_of(address));
}

void AddressPool::next_member() {
    if (is_internet()) {
        member_ = member_ % (kInternetMembers - 1) + 1;
        next_v4_ = next_v6_ = 2;
    }
}

std::optional<net::Address> AddressPool::take(net::Family family) {
    auto key = is_internet() ? find_internet(family) : find_lan(family);
    if (!key) {
        key = take_back(family);
    }
    if (!key) {
        return std::nullopt;
    }
    taken_.insert(*key);
    return address_of(*key);
}

std::optional<AddressKey> AddressPool::take_back(net::Family family) {
    const auto where = std::ranges::find(given_back_, family == net::Family::v4, &AddressKey::is_v4);
    if (where == given_back_.end()) {
        return std::nullopt;
    }
    const auto key = *where;
    given_back_.erase(where);
    return key;
}

std::optional<AddressKey> AddressPool::find_internet(net::Family family) {
    const bool v4 = family == net::Family::v4;
    for (std::uint64_t tries = 0; tries < kInternetMembers; ++tries) {
        for (auto& next = v4 ? next_v4_ : next_v6_; next < 255;) {
            const auto number = next++;
            const AddressKey key = v4 ? AddressKey{.high = 0, .low = kInternetV4.low + (member_ << 8U) + number}
                                      : AddressKey{.high = kInternetV6 + member_, .low = number};
            if (!taken_.contains(key)) {
                return key;
            }
        }
        next_member();
    }
    return std::nullopt;
}

std::optional<AddressKey> AddressPool::find_lan(net::Family family) {
    const bool v4 = family == net::Family::v4;
    if (!v4 && !v6_) {
        return std::nullopt;
    }
    const auto base = v4 ? *v4_ : *v6_;
    // Neither the network's own address nor the broadcast one; a /64 is used like a /16.
    const std::uint64_t size = v4 ? host_mask() + 1 : 1U << 16U;
    auto& next = v4 ? next_v4_ : next_v6_;
    for (std::uint64_t tries = 0; tries < size; ++tries) {
        const AddressKey key{.high = base.high, .low = base.low + next};
        next = next + 2 < size ? next + 1 : 2;
        if (!taken_.contains(key) && key.low - base.low + 1 < size) {
            return key;
        }
    }
    return std::nullopt;
}

bool AddressPool::contains(const net::Address& address) const {
    if (address.is_unspecified() || address.is_multicast() || address.is_loopback()) {
        return false;
    }
    if (is_internet()) {
        return true;
    }
    if (!covers(address)) {
        return false;
    }
    const auto number = key_of(address).low & host_mask();
    return !address.is_v4() || (number != 0 && number != host_mask());
}

bool AddressPool::covers(const net::Address& address) const {
    if (is_internet()) {
        return true;
    }
    const auto key = key_of(address);
    return address.is_v4() ? (key.low & ~host_mask()) == v4_->low : v6_ && key.high == v6_->high;
}

net::Address AddressPool::router(net::Family family) const {
    if (is_internet()) {
        return address_of(family == net::Family::v4 ? AddressKey{.high = 0, .low = kInternetV4.low + 1}
                                                    : AddressKey{.high = kInternetV6, .low = 1});
    }
    const auto base = family == net::Family::v4 ? *v4_ : v6_.value_or(AddressKey{});
    return address_of({.high = base.high, .low = base.low + 1});
}

}  // namespace pinhole::lab
