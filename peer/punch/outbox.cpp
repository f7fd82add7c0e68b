#include "peer/punch/outbox.hpp"

#include "common/stun/builder.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::punch {

Bytes make_probe(Rng& rng) {
    stun::MessageBuilder message{stun::MessageClass::indication, stun::kBinding, stun::TransactionId::generate(rng)};
    return message.fingerprint().finish();
}

std::optional<SocketToken> Outbox::open(net::Family family) {
    if (sockets_ >= kMaxSockets) {
        return std::nullopt;
    }
    ++sockets_;
    const SocketToken token{++last_token_};
    actions_.emplace_back(OpenSocket{.token = token, .family = family});
    return token;
}

void Outbox::close(const net::Endpoint& local) {
    --sockets_;
    actions_.emplace_back(CloseSocket{.local = local});
}

bool Outbox::probe(const net::PathAddresses& path, std::uint8_t ttl, TimePoint now) {
    if (probes_ >= kMaxProbes || (budget_ != nullptr && !budget_->take(now))) {
        return false;
    }
    ++probes_;
    actions_.emplace_back(SendProbe{.path = path, .payload = make_probe(*rng_), .ttl = ttl});
    return true;
}

void Outbox::ask(const net::PathAddresses& path, const stun::TransactionId& id) {
    stun::MessageBuilder message{stun::MessageClass::request, stun::kBinding, id};
    actions_.emplace_back(SendProbe{.path = path, .payload = message.fingerprint().finish()});
}

void Outbox::promote(const net::PathAddresses& path, net::Strategy strategy) {
    const auto same = std::ranges::count(promoted_, path.local, &net::PathAddresses::local);
    if (promoted_.size() < kMaxPromoted && same < kMaxPromotedOfSocket && promoted_.insert(path).second) {
        actions_.emplace_back(Promote{.path = path, .strategy = strategy});
    }
}

void Outbox::silence() {
    std::erase_if(actions_, [](const Action& action) {
        return !std::holds_alternative<CloseSocket>(action) && !std::holds_alternative<OpenSocket>(action);
    });
}

std::optional<Action> Outbox::poll() {
    if (actions_.empty()) {
        return std::nullopt;
    }
    auto action = std::move(actions_.front());
    actions_.pop_front();
    return action;
}

}  // namespace pinhole::punch
