#include "peer/punch/open_step.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::punch {

namespace {

/// Between the probes of one burst: a NAT sees them in order, and no queue on the way overflows.
constexpr Duration kBurstInterval = 1ms;
constexpr Duration kSampleRetry = 300ms;
constexpr int kSampleAsks = 3;
/// The first router drops what has 1.
constexpr std::uint8_t kSmallestTtl = 2;

}  // namespace

OpenStep::OpenStep(net::PunchStep plan, std::size_t index, std::optional<net::Endpoint> stun, TimePoint go)
    : plan_(std::move(plan)),
      index_(index),
      stun_(stun),
      aimed_late_(plan_.target.port == 0),
      repeat_interval_(net::open_repeat(plan_)),
      bursts_left_(plan_.sockets == 0 ? 0 : net::max_probes(plan_) / plan_.sockets),
      start_(go + plan_.start),
      end_(start_ + plan_.budget),
      ttl_(plan_.first_ttl) {
    if (!stun_ || stun_->address.family() != plan_.target.address.family()) {
        plan_.sample = false;
    }
}

void OpenStep::retarget(const net::Endpoint& remote) {
    if (!begun_ && !aimed_late_ && remote.address == plan_.target.address && remote.port != 0) {
        plan_.target = remote;
    }
}

void OpenStep::aim(std::uint16_t port, Outbox& out, TimePoint now) {
    if (over_ || now >= end_ || !aimed_late_ || port == 0) {
        return;
    }
    const bool first = plan_.target.port == 0;
    plan_.target.port = port;
    if (!begun_) {
        return;
    }
    if (first) {
        add_burst(out, now);
    } else {
        repeat(now);
        ttl_ = plan_.first_ttl;
    }
    send_queued(out, now);
}

void OpenStep::begin(Outbox& out, TimePoint now) {
    begun_ = true;
    if (plan_.sample) {
        add(Role::before, out);
    }
    if (plan_.target.port != 0) {
        add_burst(out, now);
    }
}

void OpenStep::add_burst(Outbox& out, TimePoint now) {
    bursts_left_ -= std::min(bursts_left_, 1U);
    for (std::uint16_t i = 0; i < plan_.sockets; ++i) {
        add(Role::punch, out);
    }
    if (plan_.sample && !aimed_late_) {
        add(Role::after, out);
    }
    repeat_at_ = now + repeat_interval_;
}

void OpenStep::add(Role role, Outbox& out) {
    if (const auto token = out.open(plan_.target.address.family())) {
        queue_.push_back(sockets_.size());
        sockets_.push_back({.role = role, .token = *token, .id = stun::TransactionId::generate(out.rng())});
    }
}

bool OpenStep::settle(SocketToken token, std::optional<net::Endpoint> local, Outbox& out, TimePoint now) {
    const auto found = std::ranges::find_if(
        sockets_, [&](const Socket& socket) { return socket.token == token && socket.state == State::asked; });
    if (found == sockets_.end()) {
        return false;
    }
    if (!local) {
        found->state = State::gone;
        out.failed();
    } else {
        found->state = State::open;
        found->local = *local;
        if (found->unwanted) {
            drop(*found, out);
        }
    }
    work(out, now);
    return true;
}

bool OpenStep::handle_datagram(const net::PathAddresses& path, ByteView payload, Outbox& out, TimePoint now) {
    const auto found = std::ranges::find_if(
        sockets_, [&](const Socket& socket) { return socket.state == State::open && socket.local == path.local; });
    if (found == sockets_.end()) {
        return false;
    }
    if (found->role == Role::punch) {
        if (path.remote.address == plan_.target.address) {
            found->heard = true;
            out.promote(path, plan_.strategy);
        }
        return false;
    }
    const auto message = stun::MessageView::parse(payload);
    if (!message || path.remote != stun_ || message->message_class() != stun::MessageClass::success ||
        message->transaction_id() != found->id) {
        return false;
    }
    if (!found->external) {
        found->external = message->xor_mapped_address();
        found->retry_at.reset();
        work(out, now);
    }
    return true;
}

void OpenStep::work(Outbox& out, TimePoint now) {
    if (over_ || now < start_) {
        return;
    }
    if (now >= end_) {
        finish(out);
        return;
    }
    if (!begun_) {
        begin(out, now);
    }
    if (repeat_at_ && now >= *repeat_at_) {
        repeat(now);
    }
    send_queued(out, now);
    tend_samples(out, now);
}

void OpenStep::send_queued(Outbox& out, TimePoint now) {
    while (!queue_.empty()) {
        auto& socket = sockets_[queue_.front()];
        if (socket.state == State::asked) {
            return;  // what comes behind must not overtake it
        }
        if (socket.state == State::open) {
            if (now < next_at_) {
                return;
            }
            next_at_ = now + kBurstInterval;
            if (socket.role != Role::punch) {
                ask(socket, out, now);
            } else if (!out.probe({.local = socket.local, .remote = plan_.target}, ttl_of(queue_.front()), now)) {
                queue_.clear();
                repeat_at_.reset();
                return;
            }
        }
        queue_.pop_front();
    }
}

// Behind how many NATs we are cannot be measured where each destination sees another port. Probes that pass them all
// open them. Those that go further may come to the other side's NAT, and when that is scanned from, it may take another
// port from then on: so half of them have the smallest TTL, and those at both ends, where a scan in order comes first.
std::uint8_t OpenStep::ttl_of(std::size_t socket) const {
    if (ttl_ <= kSmallestTtl) {
        return ttl_;
    }
    const auto depth = std::min(socket, sockets_.size() - 1 - socket);
    const auto quarter = std::max<std::size_t>(sockets_.size() / 4, 1);
    if (depth < quarter) {
        return kSmallestTtl;
    }
    const auto more = 1 + (depth - quarter) * (ttl_ - kSmallestTtl) / quarter;
    return static_cast<std::uint8_t>(std::min<std::size_t>(kSmallestTtl + more, ttl_));
}

void OpenStep::repeat(TimePoint now) {
    // A burst that is still under way is given its time.
    if (queue_.empty() && bursts_left_ > 0) {
        --bursts_left_;
        ttl_ = 0;
        for (std::size_t i = 0; i < sockets_.size(); ++i) {
            if (sockets_[i].role == Role::punch) {
                queue_.push_back(i);
            }
        }
    }
    repeat_at_ = now + repeat_interval_;
}

void OpenStep::ask(Socket& socket, Outbox& out, TimePoint now) {
    ++socket.asks;
    socket.retry_at = now + kSampleRetry;
    out.ask({.local = socket.local, .remote = *stun_}, socket.id);
}

void OpenStep::tend_samples(Outbox& out, TimePoint now) {
    if (!plan_.sample || reported_) {
        return;
    }
    bool settled = true;
    for (auto& socket : sockets_) {
        if (socket.role == Role::punch || socket.external || socket.state == State::gone) {
            continue;
        }
        if (socket.retry_at && now >= *socket.retry_at) {
            if (socket.asks < kSampleAsks) {
                ask(socket, out, now);
            } else {
                socket.retry_at.reset();
            }
        }
        settled = settled && socket.asks >= kSampleAsks && !socket.retry_at;
    }
    if (!settled) {
        return;
    }
    reported_ = true;
    Samples samples{.step = index_, .external = {}, .before = {}, .after = {}};
    for (auto& socket : sockets_) {
        if (socket.role == Role::punch) {
            continue;
        }
        if (socket.external) {
            samples.external = socket.external->address;
            (socket.role == Role::before ? samples.before : samples.after).push_back(socket.external->port);
        }
        drop(socket, out);
    }
    if (!samples.before.empty() || !samples.after.empty()) {
        out.report(std::move(samples));
    }
}

void OpenStep::drop(Socket& socket, Outbox& out) {
    if (socket.state == State::open) {
        socket.state = State::gone;
        out.close(socket.local);
    } else if (socket.state == State::asked) {
        socket.unwanted = true;
    }
}

void OpenStep::finish(Outbox& out) {
    stop();
    for (auto& socket : sockets_) {
        if (!socket.heard) {
            drop(socket, out);
        }
    }
}

void OpenStep::stop() {
    over_ = true;
    queue_.clear();
    repeat_at_.reset();
}

void OpenStep::close_all_but(const std::optional<net::Endpoint>& kept, Outbox& out) {
    stop();
    for (auto& socket : sockets_) {
        if (socket.state != State::open || socket.local != kept) {
            drop(socket, out);
        }
    }
}

std::optional<TimePoint> OpenStep::next_timeout() const {
    if (over_) {
        return std::nullopt;
    }
    if (!begun_) {
        return start_;
    }
    auto next = earliest(end_, repeat_at_);
    if (!queue_.empty() && sockets_[queue_.front()].state != State::asked) {
        next = earliest(next, next_at_);
    }
    for (const auto& socket : sockets_) {
        if (!reported_ && socket.role != Role::punch && socket.state == State::open) {
            next = earliest(next, socket.retry_at);
        }
    }
    return next;
}

std::optional<net::Endpoint> OpenStep::first_socket() const {
    const auto first = std::ranges::find(sockets_, Role::punch, &Socket::role);
    return first == sockets_.end() || first->state != State::open ? std::nullopt : std::optional{first->local};
}

bool OpenStep::owns(const net::Endpoint& local) const {
    return std::ranges::any_of(sockets_, [&](const Socket& socket) {
        return socket.role == Role::punch && socket.state == State::open && socket.local == local;
    });
}

}  // namespace pinhole::punch
