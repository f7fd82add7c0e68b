#include "common/io/interfaces.hpp"

#include "common/io/sockaddr.hpp"

#include <algorithm>
#include <memory>
#include <optional>

#include <ifaddrs.h>
#include <net/if.h>

namespace pinhole::io {

namespace {

struct FreeInterfaces {
    void operator()(ifaddrs* list) const { freeifaddrs(list); }
};

bool usable(const net::Address& address, bool include_loopback) {
    if (address.is_unspecified() || address.is_multicast() || (address.is_loopback() && !include_loopback)) {
        return false;
    }
    return address.is_v4() || !address.is_link_local();
}

}  // namespace

std::vector<net::Address> local_addresses(bool include_loopback) {
    ifaddrs* raw = nullptr;
    if (getifaddrs(&raw) != 0) {
        return {};
    }
    const std::unique_ptr<ifaddrs, FreeInterfaces> list{raw};
    std::vector<net::Address> found;
    for (const auto* entry = list.get(); entry != nullptr; entry = entry->ifa_next) {
        if ((entry->ifa_flags & IFF_UP) == 0) {
            continue;
        }
        if (const auto endpoint = from_sockaddr(entry->ifa_addr);
            endpoint && usable(endpoint->address, include_loopback)) {
            found.push_back(endpoint->address);
        }
    }
    std::ranges::sort(found);
    found.erase(std::ranges::unique(found).begin(), found.end());
    return found;
}

}  // namespace pinhole::io
