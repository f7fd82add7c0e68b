#include "rendezvous/shell/relay_sockets.hpp"

#include "common/io/relay_socket.hpp"

#include <array>
#include <cerrno>
#include <utility>

#include <sys/epoll.h>
#include <unistd.h>

namespace pinhole::rendezvous {

namespace {

/// Ports drawn for one allocation. With half of the range taken, the chance that all are in use is 2^-64.
constexpr int kPortAttempts = 64;
/// Sockets served between two looks at everything else.
constexpr std::size_t kReady = 64;
/// With all of these ready, so many times before anything else is looked at.
constexpr int kRounds = 4;
/// Messages received from all of them before what they carried is sent on. Each takes two pages or more.
constexpr std::size_t kSlots = 64;
/// With less room a busy socket would have many system calls for a few messages each.
constexpr std::size_t kRoom = 8;
/// Errors read from one socket before the next.
constexpr int kErrorsAtOnce = 16;

constexpr std::uint32_t kEvents = EPOLLIN | EPOLLERR;

}  // namespace

RelaySockets::RelaySockets(io::asio::any_io_executor executor, PortRange ports, io::UdpGather& gather, Rng& rng)
    : ports_(ports),
      gather_(gather),
      rng_(rng),
      receiver_(kSlots),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      ready_(std::move(executor)) {
    boost::system::error_code ignored;
    ready_.assign(epoll_, ignored);
}

RelaySockets::~RelaySockets() {
    for (const auto& [id, relay] : relays_) {
        ::close(relay.descriptor);
    }
}

void RelaySockets::stop() {
    stopping_ = true;
    boost::system::error_code ignored;
    ready_.cancel(ignored);
}

io::asio::awaitable<void> RelaySockets::run(Handler handler) {
    while (!stopping_) {
        const auto result = co_await ready_.async_wait(io::asio::posix::stream_descriptor::wait_read, io::use_tuple);
        if (stopping_ || std::get<0>(result)) {
            co_return;
        }
        for (int round = 0; round < kRounds && serve_ready(handler); ++round) {}
    }
}

bool RelaySockets::serve_ready(const Handler& handler) {
    std::array<epoll_event, kReady> events{};
    const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 0);
    for (int i = 0; i < count; ++i) {
        const auto& event = events.at(static_cast<std::size_t>(i));
        serve(turn::RelayId{event.data.u64}, event.events, handler);
        if (receiver_.room() < kRoom) {
            end_batch(handler);
        }
    }
    end_batch(handler);
    return count == static_cast<int>(events.size());
}

void RelaySockets::end_batch(const Handler& handler) {
    handler.after_batch();
    receiver_.clear();
}

void RelaySockets::serve(turn::RelayId id, std::uint32_t events, const Handler& handler) {
    const auto found = relays_.find(id.value);
    if (found == relays_.end()) {
        return;  // closed because of what came to another one
    }
    const auto relay = found->second;
    if ((events & EPOLLERR) != 0) {
        read_errors(id, relay, handler);
    }
    const auto first = receiver_.size();
    const auto count = receiver_.receive(relay.descriptor);
    bool open = true;
    const auto deliver = [&](const net::Received& datagram) {
        handler.on_datagram(id, outside_.seen(datagram.path.remote, relay.local.address), datagram.payload);
        open = relays_.contains(id.value);
        return open;
    };
    for (std::size_t i = 0; i < count && open; ++i) {
        receiver_.deliver(first + i, relay.local, deliver);
    }
}

void RelaySockets::read_errors(turn::RelayId id, const Relay& relay, const Handler& handler) {
    for (int i = 0; i < kErrorsAtOnce && relays_.contains(id.value); ++i) {
        const auto error = io::read_icmp_error(relay.descriptor);
        if (!error) {
            return;
        }
        if (error->to) {
            handler.on_icmp(id, outside_.seen(*error->to, relay.local.address),
                            {.type = error->type, .code = error->code, .data = error->mtu});
        }
    }
}

Result<RelaySockets::Relay> RelaySockets::bind(const net::Endpoint& at) const {
    const auto descriptor = io::open_relay_socket(at);
    if (!descriptor) {
        return std::unexpected(descriptor.error());
    }
    return Relay{.descriptor = *descriptor, .local = at};
}

Status RelaySockets::watch(turn::RelayId id, const Relay& relay) {
    epoll_event event{};
    event.events = kEvents;
    event.data.u64 = id.value;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, relay.descriptor, &event) != 0) {
        ::close(relay.descriptor);
        return fail_errno("relay socket");
    }
    relays_.emplace(id.value, relay);
    return {};
}

Result<net::Endpoint> RelaySockets::open(const turn::OpenRelay& wish, const net::Address& at) {
    const auto width = static_cast<std::uint64_t>(ports_.last - ports_.first) + 1;
    const bool two = wish.port == turn::PortWish::even_and_next && wish.next;
    auto failure = make_error_code(std::errc::address_in_use);
    for (int attempt = 0; attempt < kPortAttempts; ++attempt) {
        auto port = static_cast<std::uint16_t>(ports_.first + rng_.below(width));
        if (wish.port != turn::PortWish::any) {
            port &= 0xfffeU;
        }
        if (port < ports_.first || (two && port == ports_.last)) {
            continue;
        }
        const auto first = bind({.address = at, .port = port});
        if (!first) {
            failure = first.error().code;
            continue;
        }
        if (!two) {
            auto status = watch(wish.relay, *first);
            return status ? Result<net::Endpoint>{first->local} : std::unexpected(status.error());
        }
        const auto second = bind({.address = at, .port = static_cast<std::uint16_t>(port + 1)});
        if (!second) {
            ::close(first->descriptor);
            continue;
        }
        if (!watch(wish.relay, *first) || !watch(*wish.next, *second)) {
            close(wish.relay);
            close(*wish.next);
            break;
        }
        return first->local;
    }
    return fail(failure, "UDP " + at.text());
}

void RelaySockets::close(turn::RelayId relay) {
    const auto found = relays_.find(relay.value);
    if (found != relays_.end()) {
        gather_.flush();  // it may hold datagrams for this descriptor
        ::close(found->second.descriptor);
        relays_.erase(found);
    }
}

void RelaySockets::send(turn::RelayId relay, const net::Endpoint& peer, ByteView payload) {
    const auto found = relays_.find(relay.value);
    if (found != relays_.end()) {
        const auto& local = found->second.local.address;
        gather_.add(found->second.descriptor, {.local = {}, .remote = outside_.reached(peer, local)}, payload);
    }
}

void RelaySockets::send_unfragmented(turn::RelayId relay, const net::Endpoint& peer, ByteView payload) {
    const auto found = relays_.find(relay.value);
    if (found != relays_.end()) {
        const auto& local = found->second.local.address;
        io::send_unfragmented(found->second.descriptor, outside_.reached(peer, local), payload);
    }
}

}  // namespace pinhole::rendezvous
