#include "peer/punch/puncher.hpp"

#include "peer/punch/open_step.hpp"
#include "peer/punch/outbox.hpp"
#include "peer/punch/scan_step.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace pinhole::punch {

namespace {

/// After a path was found, the others live on for so long: the other side may have found another one.
constexpr Duration kLinger = 2s;

net::PunchStep bounded(net::PunchStep step) {
    step.start = std::clamp<Duration>(step.start, Duration{0}, net::kMaxPunchStart);
    step.budget = std::clamp<Duration>(step.budget, Duration{0}, net::kMaxPunchBudget);
    step.sockets = std::min(step.sockets, net::kMaxPunchSockets);
    step.probes = std::min(step.probes, net::kMaxScanProbes);
    if (step.ranges.size() > net::kMaxScanRanges) {
        step.ranges.resize(net::kMaxScanRanges);
    }
    return step;
}

}  // namespace

class Puncher::Impl {
  public:
    Impl(const Config& config, Rng& rng) : config_(config), out_(rng, config_.budget) {}

    void start(net::PunchPlan plan, TimePoint go) {
        if (state_ != State::idle) {
            return;
        }
        state_ = State::running;
        const auto count = std::min(plan.steps.size(), net::kMaxPunchSteps);
        for (std::size_t i = 0; i < count; ++i) {
            auto step = bounded(std::move(plan.steps[i]));
            // Whatever a server says: not this host, not everybody in its network, not the network's own machines.
            if (!net::is_scannable(step.target.address)) {
                continue;
            }
            if (step.act == net::PunchAct::open) {
                opens_.emplace(i, OpenStep{std::move(step), i, config_.stun, go});
            } else if (step.act == net::PunchAct::scan &&
                       step.target.address.family() == config_.main.address.family()) {
                add_scan(i, std::move(step), go);
            }
        }
    }

    void handle_scan(std::size_t step, std::vector<net::PortRange> ranges, TimePoint now) {
        if (state_ != State::running || ranges.empty()) {
            return;
        }
        if (const auto scan = scans_.find(step); scan != scans_.end()) {
            place_scans(now);
            scan->second.set_ranges(std::move(ranges), out_.rng(), now);
            scan->second.work(out_, now);
        } else if (const auto open = opens_.find(step); open != opens_.end()) {
            open->second.aim(ranges.front().first, out_, now);
        }
    }

    void handle_candidate(const net::Endpoint& remote) {
        for (auto& [index, open] : opens_) {
            open.retarget(remote);
        }
    }

    void settle(SocketToken token, std::optional<net::Endpoint> local, TimePoint now) {
        for (auto& [index, open] : opens_) {
            if (open.settle(token, local, out_, now)) {
                place_scans(now);
                return;
            }
        }
    }

    bool handle_datagram(const net::PathAddresses& path, ByteView payload, TimePoint now) {
        return state_ != State::over && std::ranges::any_of(opens_, [&](auto& entry) {
                   return entry.second.handle_datagram(path, payload, out_, now);
               });
    }

    void handle_success(const net::PathAddresses& path, TimePoint now) {
        if (state_ == State::over) {
            return;
        }
        kept_ = path.local;
        if (state_ == State::running) {
            state_ = State::lingering;
            close_at_ = now + kLinger;
            stop();
        }
    }

    void close() {
        state_ = State::over;
        close_at_.reset();
        stop();
        close_all_but(std::nullopt);
    }

    void handle_timeout(TimePoint now) {
        if (close_at_ && now >= *close_at_) {
            close_at_.reset();
            close_all_but(kept_);
        }
        if (state_ == State::running) {
            for (auto& [index, open] : opens_) {
                open.work(out_, now);
            }
            place_scans(now);
            for (auto& [index, scan] : scans_) {
                scan.work(out_, now);
            }
        }
    }

    std::optional<Action> poll_action() { return out_.poll(); }

    [[nodiscard]] std::optional<TimePoint> next_timeout() const {
        auto next = close_at_;
        if (state_ == State::running) {
            for (const auto& [index, open] : opens_) {
                next = earliest(next, open.next_timeout());
            }
            for (const auto& [index, scan] : scans_) {
                next = earliest(next, scan.next_timeout());
            }
        }
        return next;
    }

    [[nodiscard]] std::uint64_t probes() const { return out_.probes(); }

    [[nodiscard]] std::optional<net::Strategy> found(const net::PathAddresses& path) const {
        for (const auto& [index, open] : opens_) {
            if (open.owns(path.local)) {
                return open.strategy();
            }
        }
        for (const auto& [index, scan] : scans_) {
            if (scan.probed(path)) {
                return scan.strategy();
            }
        }
        return std::nullopt;
    }

  private:
    enum class State : std::uint8_t { idle, running, lingering, over };

    void add_scan(std::size_t index, net::PunchStep step, TimePoint go) {
        if (step.sockets == 0) {
            scans_.emplace(index, ScanStep{std::move(step), config_.main, go});
        } else if (!opens_.empty() && opens_.rbegin()->second.family() == step.target.address.family()) {
            scans_.emplace(index, ScanStep{std::move(step), std::nullopt, go});
            from_open_.emplace(index, opens_.rbegin()->first);
        }
    }

    /// Whose probes leave from a socket that an open step has, or has no more.
    void place_scans(TimePoint now) {
        for (const auto& [scan, open] : from_open_) {
            scans_.at(scan).leave_from(opens_.at(open).first_socket(), now);
        }
    }

    void stop() {
        out_.silence();
        for (auto& [index, open] : opens_) {
            open.stop();
        }
        for (auto& [index, scan] : scans_) {
            scan.stop();
        }
    }

    void close_all_but(const std::optional<net::Endpoint>& kept) {
        for (auto& [index, open] : opens_) {
            open.close_all_but(kept, out_);
        }
    }

    Config config_;
    Outbox out_;
    State state_ = State::idle;
    std::map<std::size_t, OpenStep> opens_;         ///< by index in the plan
    std::map<std::size_t, ScanStep> scans_;         ///< likewise
    std::map<std::size_t, std::size_t> from_open_;  ///< scans that leave from the socket of an open step
    std::optional<net::Endpoint> kept_;
    std::optional<TimePoint> close_at_;
};

Puncher::Puncher(const Config& config, Rng& rng) : impl_(std::make_unique<Impl>(config, rng)) {}

Puncher::Puncher(Puncher&&) noexcept = default;
Puncher& Puncher::operator=(Puncher&&) noexcept = default;
Puncher::~Puncher() = default;

void Puncher::start(net::PunchPlan plan, TimePoint go) {
    impl_->start(std::move(plan), go);
}

void Puncher::handle_scan(std::size_t step, std::vector<net::PortRange> ranges, TimePoint now) {
    impl_->handle_scan(step, std::move(ranges), now);
}

void Puncher::handle_candidate(const net::Endpoint& remote) {
    impl_->handle_candidate(remote);
}

void Puncher::handle_socket(SocketToken token, const net::Endpoint& local, TimePoint now) {
    impl_->settle(token, local, now);
}

void Puncher::handle_socket_failed(SocketToken token, TimePoint now) {
    impl_->settle(token, std::nullopt, now);
}

bool Puncher::handle_datagram(const net::PathAddresses& path, ByteView payload, TimePoint now) {
    return impl_->handle_datagram(path, payload, now);
}

void Puncher::handle_success(const net::PathAddresses& path, TimePoint now) {
    impl_->handle_success(path, now);
}

void Puncher::close() {
    impl_->close();
}

void Puncher::handle_timeout(TimePoint now) {
    impl_->handle_timeout(now);
}

std::optional<Action> Puncher::poll_action() {
    return impl_->poll_action();
}

std::optional<TimePoint> Puncher::next_timeout() const {
    return impl_->next_timeout();
}

std::uint64_t Puncher::probes() const {
    return impl_->probes();
}

std::optional<net::Strategy> Puncher::found(const net::PathAddresses& path) const {
    return impl_->found(path);
}

}  // namespace pinhole::punch
