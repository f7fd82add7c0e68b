#include "peer/netcheck/wire.hpp"

#include "common/stun/builder.hpp"
#include "common/stun/integrity.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::netcheck {

namespace {

using State = Exchange::State;

/// More than any Binding answer; what a stream may hold unread.
constexpr std::size_t kMaxStream = 2048;

bool plausible(const net::Endpoint& endpoint, net::Family family) {
    return endpoint.port != 0 && endpoint.address.family() == family && !endpoint.address.is_unspecified() &&
           !endpoint.address.is_multicast();
}

net::Endpoint plain(const net::Endpoint& endpoint) {
    return {.address = endpoint.address.unmapped(), .port = endpoint.port};
}

bool changes(const Question& question) {
    return question.change.change_ip || question.change.change_port;
}

Bytes request(const Question& question, const stun::TransactionId& id) {
    stun::MessageBuilder message{stun::MessageClass::request, stun::kBinding, id};
    if (changes(question)) {
        message.change_request(question.change);
    }
    if (const auto port = question.response_port) {
        message.response_port(*port);
    }
    return message.fingerprint().finish();
}

}  // namespace

SocketId Wire::add(Socket socket) {
    const SocketId id{sockets_.size()};
    if (live_ >= Netcheck::kMaxSockets) {
        socket.state = SocketState::failed;
    } else {
        ++live_;
    }
    sockets_.push_back(std::move(socket));
    return id;
}

SocketId Wire::open_udp(net::Family family) {
    const auto id = add({.transport = Transport::udp});
    if (!failed(id)) {
        actions_.emplace_back(OpenUdp{.socket = id, .family = family});
    }
    return id;
}

SocketId Wire::open_tcp(const net::Endpoint& remote, std::optional<SocketId> same_port_as, TimePoint now) {
    const auto id = add({.transport = Transport::tcp, .remote = remote, .wanted = now});
    if (!failed(id)) {
        actions_.emplace_back(OpenTcp{.socket = id, .remote = remote, .same_port_as = same_port_as});
    }
    return id;
}

Wire::Socket* Wire::live(SocketId socket) {
    if (socket.value >= sockets_.size()) {
        return nullptr;
    }
    auto& found = sockets_[socket.value];
    return found.state == SocketState::opening || found.state == SocketState::open ? &found : nullptr;
}

void Wire::close(SocketId socket) {
    if (auto* found = live(socket)) {
        found->state = SocketState::closed;
        found->stream.clear();
        --live_;
        actions_.emplace_back(Close{.socket = socket});
        fail_exchanges(socket);
    }
}

void Wire::close_all() {
    for (std::size_t i = 0; i < sockets_.size(); ++i) {
        close(SocketId{i});
    }
}

void Wire::fail_exchanges(SocketId socket) {
    for (auto& exchange : exchanges_) {
        if (exchange.question.socket == socket && !exchange.done()) {
            exchange.state = State::failed;
        }
    }
    ++version_;
}

ExchangeId Wire::ask(const Question& question, TimePoint now) {
    const ExchangeId id{exchanges_.size()};
    exchanges_.push_back({.question = question, .due = now});
    if (live(exchanges_.back().question.socket) == nullptr) {
        exchanges_.back().state = State::failed;
    }
    ++version_;
    return id;
}

bool Wire::open(SocketId socket) const {
    return sockets_[socket.value].state == SocketState::open;
}

bool Wire::failed(SocketId socket) const {
    return sockets_[socket.value].state == SocketState::failed;
}

Duration Wire::opening_time(SocketId socket) const {
    return sockets_[socket.value].opened - sockets_[socket.value].wanted;
}

Duration Wire::rto() const {
    const auto known = rtt();
    return known ? std::clamp(2 * *known, kMinRto, kMaxRto) : kUnknownRto;
}

Duration Wire::linger() const {
    const auto known = rtt();
    return known ? std::clamp(3 * *known, kMinLinger, kMaxLinger) : kMaxLinger;
}

void Wire::handle_opened(SocketId socket, const net::Endpoint& local, TimePoint now) {
    auto* found = live(socket);
    if (found == nullptr || found->state == SocketState::open) {
        return;
    }
    found->state = SocketState::open;
    found->local = plain(local);
    found->opened = now;
    ++version_;
}

void Wire::handle_failed(SocketId socket) {
    if (auto* found = live(socket)) {
        found->state = SocketState::failed;
        found->stream.clear();
        --live_;
        fail_exchanges(socket);
    }
}

void Wire::handle_received(SocketId socket, const net::Endpoint& from, ByteView payload, TimePoint now) {
    const auto* found = live(socket);
    if (found == nullptr || found->state != SocketState::open) {
        return;
    }
    if (found->transport == Transport::tcp) {
        read_stream(socket, payload, now);
    } else {
        take(socket, plain(from), payload, now);
    }
}

// RFC 8489 §6.2.2: messages follow each other, the length in the header frames them.
void Wire::read_stream(SocketId socket, ByteView bytes, TimePoint now) {
    const auto remote = sockets_[socket.value].remote;
    auto& stream = sockets_[socket.value].stream;
    if (bytes.size() > kMaxStream - stream.size()) {
        handle_failed(socket);
        actions_.emplace_back(Close{.socket = socket});
        return;
    }
    stream.insert(stream.end(), bytes.begin(), bytes.end());
    while (stream.size() >= stun::kHeaderSize) {
        const std::size_t size = stun::kHeaderSize + (std::size_t{stream[2]} << 8) + stream[3];
        if (size > stream.size()) {
            break;
        }
        const Bytes message{stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(size)};
        stream.erase(stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(size));
        take(socket, remote, message, now);
    }
}

// RFC 8489 §6.3: only an answer to what was asked counts, and only from whom it was asked.
void Wire::take(SocketId socket, const net::Endpoint& from, ByteView bytes, TimePoint now) {
    if (!stun::is_stun(bytes)) {
        return;
    }
    const auto message = stun::MessageView::parse(bytes);
    if (!message || message->method() != stun::kBinding ||
        (message->fingerprint() && !stun::verify_fingerprint(*message))) {
        return;
    }
    for (auto& exchange : exchanges_) {
        if (exchange.question.socket != socket && exchange.question.listener != socket) {
            continue;
        }
        const auto found = std::ranges::find(exchange.tries, message->transaction_id(), &Exchange::Try::id);
        if (found != exchange.tries.end()) {
            settle(exchange, static_cast<std::size_t>(found - exchange.tries.begin()), *message,
                   {.socket = socket, .from = from, .now = now});
            return;
        }
    }
}

void Wire::settle(Exchange& exchange, std::size_t attempt, const stun::MessageView& message, const Arrival& arrival) {
    const auto& question = exchange.question;
    const auto kind = message.message_class();
    const auto& from = arrival.from;
    const bool at_listener = arrival.socket == question.listener.value_or(question.socket);
    if (question.looped) {
        if (kind == stun::MessageClass::request && at_listener && !exchange.answered()) {
            exchange.state = State::answered;
            exchange.answer = Answer{.reflexive = from, .source = from, .other = {}};
            ++version_;
        }
        return;
    }
    if (!changes(question) && from != question.to) {
        return;
    }
    // An error comes back to who asked; so does the answer of a server that ignores where it was to go.
    if ((kind == stun::MessageClass::error || (kind == stun::MessageClass::success && !at_listener)) &&
        !exchange.done()) {
        exchange.state = State::refused;
        ++version_;
    }
    auto reflexive = message.xor_mapped_address();
    if (!reflexive) {
        reflexive = message.mapped_address();
    }
    if (kind != stun::MessageClass::success || !at_listener || !reflexive ||
        !plausible(plain(*reflexive), question.to.address.family())) {
        return;
    }
    exchange.first_answered = exchange.first_answered || attempt == 0;
    ++version_;
    if (exchange.answered()) {
        return;
    }
    const auto round_trip = arrival.now - exchange.tries[attempt].at;
    auto& best = sockets_[question.socket.value].transport == Transport::udp ? udp_rtt_ : tcp_rtt_;
    best = best ? std::min(*best, round_trip) : round_trip;
    auto other = message.other_address();
    if (other && !plausible(*other, question.to.address.family())) {
        other.reset();
    }
    // An answer that comes when all hope was given up is one nevertheless.
    exchange.state = State::answered;
    exchange.answer = Answer{.reflexive = plain(*reflexive), .source = from, .other = other, .rtt = round_trip};
}

bool Wire::sendable(const Exchange& exchange) const {
    return !exchange.done() && open(exchange.question.socket) &&
           static_cast<int>(exchange.tries.size()) < exchange.question.tries;
}

Exchange* Wire::next_due(TimePoint now) {
    Exchange* first = nullptr;
    for (auto& exchange : exchanges_) {
        if (sendable(exchange) && exchange.due <= now && (first == nullptr || exchange.due < first->due)) {
            first = &exchange;
        }
    }
    return first;
}

void Wire::send(Exchange& exchange, TimePoint now) {
    const auto& question = exchange.question;
    next_slot_ = now + kPacing;
    if (question.opening && !exchange.opened) {
        exchange.opened = true;
        stun::MessageBuilder nothing{stun::MessageClass::indication, stun::kBinding,
                                     stun::TransactionId::generate(*rng_)};
        actions_.emplace_back(Send{.socket = question.socket,
                                   .to = question.opening->to,
                                   .payload = nothing.fingerprint().finish(),
                                   .ttl = question.opening->ttl});
        return;
    }
    exchange.opened = false;
    const auto id = stun::TransactionId::generate(*rng_);
    exchange.tries.push_back({.id = id, .at = now});
    exchange.due = now + question.interval.value_or(rto());
    actions_.emplace_back(
        Send{.socket = question.socket, .to = question.to, .payload = request(question, id), .ttl = {}});
}

std::optional<TimePoint> Wire::expiry(const Exchange& exchange) const {
    if (exchange.done() || exchange.tries.empty()) {
        return std::nullopt;
    }
    std::optional<TimePoint> end;
    if (const auto patience = exchange.question.patience) {
        end = exchange.tries.front().at + *patience;
    }
    // TCP repeats by itself.
    const bool repeats = transport(exchange.question.socket) == Transport::udp;
    if (repeats && static_cast<int>(exchange.tries.size()) >= exchange.question.tries) {
        end = earliest(end, exchange.tries.back().at + linger());
    }
    return end;
}

void Wire::pump(TimePoint now) {
    for (auto& exchange : exchanges_) {
        if (const auto end = expiry(exchange); end && *end <= now) {
            exchange.state = State::silent;
            ++version_;
        }
    }
    while (now >= next_slot_) {
        auto* exchange = next_due(now);
        if (exchange == nullptr) {
            return;
        }
        send(*exchange, now);
    }
}

std::optional<Action> Wire::poll_action() {
    if (actions_.empty()) {
        return std::nullopt;
    }
    auto front = std::move(actions_.front());
    actions_.pop_front();
    return front;
}

std::optional<TimePoint> Wire::next_timeout() const {
    std::optional<TimePoint> next;
    for (const auto& exchange : exchanges_) {
        if (sendable(exchange)) {
            next = earliest(next, std::max(exchange.due, next_slot_));
        }
        next = earliest(next, expiry(exchange));
    }
    return next;
}

}  // namespace pinhole::netcheck
