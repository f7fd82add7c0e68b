// Tells when this machine's place in the network has changed: addresses, links, and the routes to the world and to
// given destinations. The kernel's messages (rtnetlink(7)) say only "look again"; what counts is a snapshot, so that
// noise such as a renewed lease goes unnoticed. Driven by the shells; calls back on their executor.
//
// Timers: it looks kSettle after the last message of a burst, but kPatience after the first one at the latest.
#pragma once

#include "common/base/error.hpp"
#include "common/base/time.hpp"
#include "common/io/routes.hpp"
#include "common/io/tokens.hpp"
#include "common/net/endpoint.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace pinhole::io {

struct NetworkState {
    /// Interface and address, of interfaces that are up and have a link.
    std::vector<std::pair<std::string, net::Address>> addresses;
    /// To the world over IPv4 and IPv6, then to each destination that was asked for.
    std::vector<std::optional<Route>> routes;

    friend bool operator==(const NetworkState&, const NetworkState&) = default;
};

[[nodiscard]] NetworkState read_network_state(std::span<const net::Address> destinations);

class NetworkWatch {
  public:
    static constexpr Duration kSettle = 300ms;
    static constexpr Duration kPatience = 2s;

    /// `changed` may destroy the watch.
    NetworkWatch(asio::any_io_executor executor, std::function<void()> changed);
    ~NetworkWatch();
    NetworkWatch(const NetworkWatch&) = delete;
    NetworkWatch& operator=(const NetworkWatch&) = delete;

    /// From now on. The error: the kernel offers no netlink here.
    [[nodiscard]] Status start();
    /// Routes to these count as well; what they are now is no change.
    void set_destinations(std::vector<net::Address> destinations);
    /// No callback follows.
    void stop();

  private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace pinhole::io
