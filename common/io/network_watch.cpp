#include "common/io/network_watch.hpp"

#include "common/base/log.hpp"
#include "common/io/clock.hpp"
#include "common/io/sockaddr.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

namespace pinhole::io {

namespace {

/// Documentation addresses (RFC 5737, RFC 3849): nobody's own, so their routes are those to the world.
constexpr std::array<const char*, 2> kWorld{"192.0.2.1", "2001:db8::1"};
/// Messages read at a time; the rest is left in the socket, whose buffer is the bound.
constexpr int kBudget = 64;

std::vector<std::pair<std::string, net::Address>> read_addresses() {
    std::vector<std::pair<std::string, net::Address>> found;
    ifaddrs* list = nullptr;
    if (getifaddrs(&list) != 0) {
        return found;
    }
    for (const auto* entry = list; entry != nullptr; entry = entry->ifa_next) {
        constexpr unsigned kLink = IFF_UP | IFF_RUNNING;
        const auto endpoint = from_sockaddr(entry->ifa_addr);
        if (endpoint && (entry->ifa_flags & kLink) == kLink && !endpoint->address.is_loopback()) {
            found.emplace_back(entry->ifa_name, endpoint->address);
        }
    }
    freeifaddrs(list);
    std::ranges::sort(found);
    return found;
}

Result<int> open_netlink() {
    const int socket = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (socket < 0) {
        return fail_errno("netlink");
    }
    sockaddr_nl local{};
    local.nl_family = AF_NETLINK;
    local.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
    sockaddr_storage storage{};
    std::memcpy(&storage, &local, sizeof local);
    if (::bind(socket, reinterpret_cast<const sockaddr*>(&storage), sizeof local) != 0) {
        auto error = fail_errno("netlink");
        ::close(socket);
        return error;
    }
    return socket;
}

}  // namespace

NetworkState read_network_state(std::span<const net::Address> destinations) {
    NetworkState state{.addresses = read_addresses(), .routes = {}};
    for (const auto* world : kWorld) {
        state.routes.push_back(route_to(*net::Address::parse(world)));
    }
    for (const auto& destination : destinations) {
        state.routes.push_back(route_to(destination));
    }
    return state;
}

class NetworkWatch::Impl : public std::enable_shared_from_this<Impl> {
  public:
    Impl(asio::any_io_executor executor, std::function<void()> changed)
        : executor_(std::move(executor)), changed_(std::move(changed)), socket_(executor_), timer_(executor_) {}

    Status start();
    void stop();

    void set_destinations(std::vector<net::Address> destinations);

  private:
    asio::awaitable<void> read_loop();
    bool read_messages();
    void look_soon();
    void look();

    asio::any_io_executor executor_;
    std::function<void()> changed_;
    asio::posix::stream_descriptor socket_;
    asio::steady_timer timer_;
    std::optional<TimePoint> burst_began_;
    std::vector<net::Address> destinations_;
    NetworkState state_;
    bool stopped_ = false;
};

Status NetworkWatch::Impl::start() {
    const auto socket = open_netlink();
    if (!socket) {
        return std::unexpected(socket.error());
    }
    boost::system::error_code error;
    socket_.assign(*socket, error);
    if (error) {
        ::close(*socket);
        return fail(error, "netlink");
    }
    state_ = read_network_state(destinations_);
    spawn(executor_, "network watch", read_loop(), shared_from_this());
    return {};
}

void NetworkWatch::Impl::set_destinations(std::vector<net::Address> destinations) {
    destinations_ = std::move(destinations);
    auto fresh = read_network_state(destinations_);
    if (state_.routes.size() >= kWorld.size()) {
        // Only what was not asked for before is new: a change that is still within its burst must not be lost.
        fresh.addresses = state_.addresses;
        std::copy_n(state_.routes.begin(), kWorld.size(), fresh.routes.begin());
    }
    state_ = std::move(fresh);
}

void NetworkWatch::Impl::stop() {
    stopped_ = true;
    timer_.cancel();
    boost::system::error_code ignored;
    socket_.close(ignored);
}

asio::awaitable<void> NetworkWatch::Impl::read_loop() {
    while (!stopped_) {
        auto waited = co_await socket_.async_wait(asio::posix::stream_descriptor::wait_read, use_tuple);
        if (stopped_) {
            co_return;
        }
        if (const auto error = std::get<0>(waited)) {
            log::debug("network watch: {}", error.message());
            co_return;
        }
        if (read_messages()) {
            look_soon();
        }
    }
}

bool NetworkWatch::Impl::read_messages() {
    // What does not fit is cut off, and that is fine: the contents do not matter.
    std::array<std::uint8_t, 4096> buffer{};
    bool any = false;
    for (int count = 0; count < kBudget; ++count) {
        const auto size = ::recv(socket_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (size < 0 && errno != EINTR && errno != ENOBUFS) {
            break;
        }
        any = true;  // ENOBUFS as well: the kernel had more to say than the buffer holds
    }
    return any;
}

void NetworkWatch::Impl::look_soon() {
    const auto time = now();
    if (!burst_began_) {
        burst_began_ = time;
    }
    timer_.expires_at(to_steady(std::min(time + kSettle, *burst_began_ + kPatience)));
    timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
        if (const auto self = weak.lock(); self && !error && !self->stopped_) {
            self->look();
        }
    });
}

void NetworkWatch::Impl::look() {
    burst_began_.reset();
    auto state = read_network_state(destinations_);
    if (state == state_) {
        return;
    }
    state_ = std::move(state);
    log::debug("the network has changed");
    changed_();
}

NetworkWatch::NetworkWatch(asio::any_io_executor executor, std::function<void()> changed)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(changed))) {}

NetworkWatch::~NetworkWatch() {
    impl_->stop();
}

Status NetworkWatch::start() {
    return impl_->start();
}

void NetworkWatch::set_destinations(std::vector<net::Address> destinations) {
    impl_->set_destinations(std::move(destinations));
}

void NetworkWatch::stop() {
    impl_->stop();
}

}  // namespace pinhole::io
