#include "peer/ice/gatherer.hpp"

#include "common/stun/builder.hpp"
#include "common/stun/integrity.hpp"

#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

namespace pinhole::ice {

namespace {

constexpr Duration kInitialRto = 250ms;
constexpr int kMaxSends = 5;
/// Bases asked at once; far more than a host has addresses.
constexpr std::size_t kMaxBases = 64;

bool plausible(const net::Endpoint& reflexive, const net::Endpoint& base) {
    const auto& address = reflexive.address;
    return address.family() == base.address.family() && reflexive.port != 0 && !address.is_unspecified() &&
           !address.is_multicast();
}

}  // namespace

class Gatherer::Impl {
  public:
    explicit Impl(Rng& rng) : rng_(&rng) {}

    void add(const net::PathAddresses& path, TimePoint now) {
        if (requests_.size() >= kMaxBases) {
            return;
        }
        const auto id = stun::TransactionId::generate(*rng_);
        requests_.push_back({.path = path, .id = id});
        reported_ = false;
        send(requests_.back(), now);
    }

    void finish_adding() {
        finished_ = true;
        report_end();
    }

    bool handle_datagram(const net::PathAddresses& path, ByteView payload, TimePoint now) {
        if (!stun::is_stun(payload)) {
            return false;
        }
        const auto message = stun::MessageView::parse(payload);
        if (!message || message->method() != stun::kBinding ||
            (message->message_class() != stun::MessageClass::success &&
             message->message_class() != stun::MessageClass::error) ||
            (message->fingerprint() && !stun::verify_fingerprint(*message))) {
            return false;
        }
        // RFC 8489 §6.3: only who was asked may answer.
        const auto request = std::ranges::find_if(requests_, [&](const Request& candidate) {
            return candidate.id == message->transaction_id() && candidate.path.remote == path.remote &&
                   candidate.path.transport == path.transport;
        });
        if (request == requests_.end()) {
            return false;
        }
        if (!request->settled) {
            settle(*request, *message, now);
        }
        return true;
    }

    void handle_timeout(TimePoint now) {
        for (auto& request : requests_) {
            if (request.settled || request.deadline > now) {
                continue;
            }
            if (request.sends < kMaxSends) {
                send(request, now);
            } else {
                request.settled = true;
            }
        }
        report_end();
    }

    std::optional<net::Transmit> poll_transmit() { return take(transmits_); }

    std::optional<GatherEvent> poll_event() { return take(events_); }

    std::optional<TimePoint> next_timeout() const {
        std::optional<TimePoint> next;
        for (const auto& request : requests_) {
            if (!request.settled) {
                next = earliest(next, request.deadline);
            }
        }
        return next;
    }

  private:
    struct Request {
        net::PathAddresses path;
        stun::TransactionId id;
        int sends = 0;
        Duration rto = kInitialRto;
        TimePoint sent_at{};
        TimePoint deadline{};
        bool settled = false;
    };

    template <class T>
    static std::optional<T> take(std::deque<T>& queue) {
        if (queue.empty()) {
            return std::nullopt;
        }
        T front = std::move(queue.front());
        queue.pop_front();
        return front;
    }

    // RFC 8489 §6.2.1: the same message again, after twice the time.
    void send(Request& request, TimePoint now) {
        stun::MessageBuilder message{stun::MessageClass::request, stun::kBinding, request.id};
        transmits_.push_back({.path = request.path, .payload = message.fingerprint().finish()});
        ++request.sends;
        request.sent_at = now;
        request.deadline = now + request.rto;
        request.rto *= 2;
    }

    void settle(Request& request, const stun::MessageView& message, TimePoint now) {
        request.settled = true;
        const auto reflexive = message.xor_mapped_address();
        if (message.message_class() == stun::MessageClass::success && message.unknown_required().empty() && reflexive &&
            plausible(*reflexive, request.path.local)) {
            ++answered_;
            // After a retransmission it is a lower bound: which of the requests was answered cannot be told.
            events_.emplace_back(
                Reflexive{.path = request.path, .reflexive = *reflexive, .rtt = now - request.sent_at});
        }
        report_end();
    }

    void report_end() {
        if (finished_ && !reported_ && std::ranges::all_of(requests_, &Request::settled)) {
            reported_ = true;
            events_.emplace_back(Gathered{.answered = answered_, .asked = requests_.size()});
        }
    }

    Rng* rng_;
    std::vector<Request> requests_;
    std::deque<net::Transmit> transmits_;
    std::deque<GatherEvent> events_;
    std::size_t answered_ = 0;
    bool finished_ = false;
    bool reported_ = false;
};

Gatherer::Gatherer(Rng& rng) : impl_(std::make_unique<Impl>(rng)) {}

Gatherer::Gatherer(Gatherer&&) noexcept = default;
Gatherer& Gatherer::operator=(Gatherer&&) noexcept = default;
Gatherer::~Gatherer() = default;

void Gatherer::add(const net::PathAddresses& path, TimePoint now) {
    impl_->add(path, now);
}

void Gatherer::finish_adding(TimePoint) {
    impl_->finish_adding();
}

bool Gatherer::handle_datagram(const net::PathAddresses& path, ByteView payload, TimePoint now) {
    return impl_->handle_datagram(path, payload, now);
}

void Gatherer::handle_timeout(TimePoint now) {
    impl_->handle_timeout(now);
}

std::optional<net::Transmit> Gatherer::poll_transmit() {
    return impl_->poll_transmit();
}

std::optional<GatherEvent> Gatherer::poll_event() {
    return impl_->poll_event();
}

std::optional<TimePoint> Gatherer::next_timeout() const {
    return impl_->next_timeout();
}

}  // namespace pinhole::ice
