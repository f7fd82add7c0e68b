// Relays' part that tries: which ways to which relays, in what order, and which of those that answer is used.
#include "common/base/log.hpp"
#include "peer/relay/errors.hpp"
#include "peer/shell/candidates.hpp"
#include "peer/shell/relays.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

namespace pinhole::shell {

namespace asio = boost::asio;

namespace {

/// Between the ways to one relay: a little more than RFC 8305 §8 has between addresses, because a connection that came
/// up too early costs more here, and is used for long.
constexpr Duration kTransportStagger = 300ms;
constexpr Duration kFamilyStagger = 150ms;
/// What is not the way that worked before waits for that one.
constexpr Duration kSecondChoice = 1s;
constexpr Duration kFirstRetry = 2s;
constexpr int kMaxDoublings = 5;
/// Other servers and other ports that one attempt may be sent to (RFC 8489 §10, RFC 8656 §7.4).
constexpr int kMaxMoves = 2;

bool offers(const signaling::Relay& relay, RelayTransport transport) {
    switch (transport) {
        case RelayTransport::udp:
            return relay.udp;
        case RelayTransport::tcp:
            return relay.tcp;
        case RelayTransport::tls:
            break;
    }
    return relay.tls;
}

/// A server that is reached over IPv6 may have nothing else; of the others nobody needs an IPv6 address, because two
/// relayed addresses of IPv4 always reach each other.
relay::Families families_for(const net::Endpoint& server) {
    return server.address.is_v4() ? relay::Families::v4 : relay::Families::both;
}

std::string host_of(const signaling::Relay& relay) {
    return net::Address::parse(relay.host) ? std::string{} : relay.host;
}

}  // namespace

// What is measured already is not measured again: it is known well enough to begin with.
void Relays::begin_race() {
    if (stopped_ || active_) {
        return;
    }
    const auto best = std::ranges::min_element(
        servers_, {}, [](const Server& server) { return server.best ? server.best->rtt : Duration::max(); });
    const bool measured = best != servers_.end() && best->best;
    if (measured && !wanted_) {
        return;
    }
    if (measured) {
        add_attempt({.server = static_cast<std::size_t>(best - servers_.begin()),
                     .target = best->best->target,
                     .challenge = best->best->challenge});
    }
    for (std::size_t i = 0; i < servers_.size(); ++i) {
        add_attempts(i, measured);
    }
    if (wanted_) {
        await_settling();
    }
    finish_if_hopeless();
}

void Relays::abandon_race() {
    for (auto& [id, attempt] : std::exchange(race_, {})) {
        if (attempt.link) {
            attempt.link->release();
        }
    }
}

void Relays::add_attempts(std::size_t index, bool later) {
    const auto& server = servers_[index];
    constexpr std::array kTransports{RelayTransport::udp, RelayTransport::tcp, RelayTransport::tls};
    Duration delay = later ? kSecondChoice : Duration{0};
    for (const auto transport : kTransports) {
        if (!offers(server.relay, transport)) {
            continue;
        }
        for (std::size_t i = 0; i < server.endpoints.size(); ++i) {
            const RelayTarget target{.endpoint = server.endpoints[i],
                                     .transport = transport,
                                     .host = host_of(server.relay),
                                     .certificate = server.relay.certificate};
            const bool first = std::ranges::none_of(race_, [&](const auto& other) {
                return other.second.target == target && other.second.server == index;
            });
            if (first) {
                add_attempt(
                    {.server = index, .target = target, .delay = delay + (i == 0 ? Duration{0} : kFamilyStagger)});
            }
        }
        delay += kTransportStagger;
    }
}

void Relays::add_attempt(Attempt attempt) {
    const auto id = ++last_attempt_;
    const auto delay = attempt.delay;
    race_.emplace(id, std::move(attempt));
    auto timer = std::make_shared<asio::steady_timer>(executor_);
    timer->expires_after(std::chrono::duration_cast<std::chrono::steady_clock::duration>(delay));
    timer->async_wait([weak = weak_from_this(), timer, id](const boost::system::error_code& cancelled) {
        if (const auto self = weak.lock(); self && !cancelled && !self->stopped_) {
            self->launch(id);
        }
    });
}

void Relays::launch(AttemptId id) {
    const auto found = race_.find(id);
    if (found == race_.end() || found->second.progress != Progress::waiting) {
        return;
    }
    auto& attempt = found->second;
    const bool at_once = wanted_ && attempt.challenge.has_value();
    attempt.progress = at_once ? Progress::allocating : Progress::asking;
    attempt.link =
        std::make_shared<RelayLink>(executor_,
                                    RelayLink::Config{.target = attempt.target,
                                                      .credentials = credentials_of(servers_[attempt.server].relay),
                                                      .challenge = attempt.challenge,
                                                      .families = families_for(attempt.target.endpoint),
                                                      .bind = bind_,
                                                      .allocate = at_once},
                                    rng_);
    attempt.link->start(callbacks_for(id));
}

RelayLink::Callbacks Relays::callbacks_for(AttemptId id) {
    const auto guarded = [weak = weak_from_this()](auto action) {
        return [weak, action](const auto&... args) {
            if (const auto self = weak.lock(); self && !self->stopped_) {
                action(*self, args...);
            }
        };
    };
    return {.event = guarded([id](Relays& relays, const relay::Event& event) { relays.handle_event(id, event); }),
            .datagram =
                guarded([](Relays& relays, const net::Received& datagram) { relays.callbacks_.datagram(datagram); }),
            .batch_over = guarded([](Relays& relays) { relays.callbacks_.batch_over(); })};
}

void Relays::handle_event(AttemptId id, const relay::Event& event) {
    if (const auto* challenged = std::get_if<relay::Challenged>(&event)) {
        handle_challenged(id, challenged->rtt);
    } else if (const auto* allocated = std::get_if<relay::Allocated>(&event)) {
        handle_allocated(id, *allocated);
    } else if (const auto* failed = std::get_if<relay::Failed>(&event)) {
        handle_failed(id, *failed);
    }
}

void Relays::handle_challenged(AttemptId id, Duration rtt) {
    const auto found = race_.find(id);
    if (found == race_.end()) {
        return;
    }
    auto& attempt = found->second;
    attempt.rtt = rtt;
    attempt.progress = Progress::challenged;
    note_best(attempt);
    if (wanted_) {
        choose_next();
        return;
    }
    // Measured: that is all for this relay.
    const auto server = attempt.server;
    for (auto other = race_.begin(); other != race_.end();) {
        if (other->second.server == server) {
            if (const auto link = other->second.link) {
                link->release();
            }
            other = race_.erase(other);
        } else {
            ++other;
        }
    }
    finish_if_hopeless();
}

void Relays::note_best(const Attempt& attempt) {
    auto& server = servers_[attempt.server];
    if (const auto& challenge = attempt.link->client().challenge()) {
        server.best = Best{.rtt = attempt.rtt, .target = attempt.target, .challenge = *challenge};
    }
}

void Relays::choose_next() {
    Attempt* chosen = nullptr;
    for (auto& [id, attempt] : race_) {
        if (attempt.progress == Progress::allocating) {
            return;
        }
        if (attempt.progress == Progress::challenged && (chosen == nullptr || attempt.rtt < chosen->rtt)) {
            chosen = &attempt;
        }
    }
    if (chosen != nullptr) {
        chosen->progress = Progress::allocating;
        const auto link = chosen->link;
        link->allocate();
    }
}

void Relays::handle_allocated(AttemptId id, const relay::Allocated& allocated) {
    const auto found = race_.find(id);
    if (found == race_.end() || active_) {
        return;
    }
    auto attempt = std::move(found->second);
    race_.erase(found);
    attempt.rtt = allocated.rtt;
    note_best(attempt);
    abandon_race();
    active_ = attempt.link;
    active_id_ = id;
    active_source_ = source_address_for(attempt.target.endpoint);
    relayed_ = allocated.relayed;
    failures_ = 0;
    log::debug("a relay answers over {} within {:.0f} ms", name(attempt.target.transport),
               1e3 * seconds(allocated.rtt));
    for (const auto& peer : permitted_) {
        active_->permit(peer);
    }
    if (!wanted_) {
        give_back();
        return;
    }
    for (const auto& candidate : candidates()) {
        callbacks_.found(candidate);
    }
    settle();
}

void Relays::handle_failed(AttemptId id, const relay::Failed& failed) {
    const auto found = race_.find(id);
    if (found == race_.end()) {
        if (active_ && id == active_id_) {
            handle_lost(failed.error);
        }
        return;
    }
    auto attempt = std::move(found->second);
    race_.erase(found);
    log::debug("relay over {}: {}", name(attempt.target.transport), failed.error.message());
    note_refused(servers_[attempt.server], failed.error);
    if (attempt.challenge) {
        servers_[attempt.server].best.reset();
    }
    follow(attempt, failed);
    if (wanted_) {
        choose_next();
    }
    finish_if_hopeless();
}

// Said once: it is asked again and again.
void Relays::note_refused(Server& server, const Error& error) {
    if (error.code != make_error_code(relay::Errc::wrong_certificate)) {
        return;
    }
    const auto known = std::exchange(server.refused, error.message());
    if (known != server.refused) {
        log::warn("relay over TLS: {}", server.refused);
    }
}

// RFC 8489 §10; RFC 8656 §7.4: another port, if the server takes ours for that of somebody else.
void Relays::follow(const Attempt& attempt, const relay::Failed& failed) {
    if (attempt.moves >= kMaxMoves) {
        return;
    }
    const bool elsewhere = failed.error.code == make_error_code(relay::Errc::elsewhere) && failed.alternate &&
                           failed.alternate->address.family() == attempt.target.endpoint.address.family();
    if (elsewhere || failed.error.code == make_error_code(relay::Errc::port_in_use)) {
        auto target = attempt.target;
        target.endpoint = elsewhere ? *failed.alternate : target.endpoint;
        add_attempt({.server = attempt.server, .target = target, .moves = attempt.moves + 1});
    }
}

void Relays::finish_if_hopeless() {
    if (!race_.empty() || resolving_ > 0 || active_) {
        return;
    }
    settle();
    if (wanted_ && !servers_.empty()) {
        retry_later();
    }
}

void Relays::retry_later() {
    const auto doublings = std::min(failures_++, kMaxDoublings);
    after(retry_timer_, kFirstRetry * (1 << doublings), &Relays::begin_race);
}

}  // namespace pinhole::shell
