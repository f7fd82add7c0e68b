#include "peer/shell/relays.hpp"

#include "common/base/log.hpp"
#include "common/io/connect.hpp"
#include "common/io/tokens.hpp"
#include "peer/relay/errors.hpp"
#include "peer/shell/candidates.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include <fmt/format.h>

namespace pinhole::shell {

namespace asio = boost::asio;

namespace {

/// Between the ways to one relay: a little more than RFC 8305 §8 has between addresses, because a connection that came
/// up too early costs more here, and is used for long.
constexpr Duration kTransportStagger = 300ms;
constexpr Duration kFamilyStagger = 150ms;
/// What is not the way that worked before waits for that one.
constexpr Duration kSecondChoice = 1s;
/// A call's candidates are complete then, with or without a relay: three retransmissions over UDP, and time for TLS.
constexpr Duration kSettle = 3s;
/// The list comes right behind the login.
constexpr Duration kExpect = 1s;
constexpr Duration kLinger = 10s;
constexpr Duration kFirstRetry = 2s;
constexpr int kMaxDoublings = 5;
/// Other servers and other ports that one attempt may be sent to (RFC 8489 §10, RFC 8656 §7.4).
constexpr int kMaxMoves = 2;
constexpr std::size_t kMaxPast = 32;
/// Addresses that are let in before anything is sent to them: the newest.
constexpr std::size_t kMaxPermitted = 64;

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

relay::Credentials credentials_of(const signaling::Relay& relay) {
    return {.username = relay.username, .password = relay.password};
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

std::string relay_url(const std::string& host, std::uint16_t port, RelayTransport transport) {
    const auto address = net::Address::parse(host);
    const bool brackets = address && !address->is_v4();
    return fmt::format("{}:{}:{}{}", transport == RelayTransport::tls ? "turns" : "turn",
                       brackets ? '[' + host + ']' : host, port,
                       transport == RelayTransport::udp ? "?transport=udp" : "?transport=tcp");
}

Relays::Relays(asio::any_io_executor executor, std::optional<net::Address> bind, Rng& rng)
    : executor_(std::move(executor)),
      bind_(std::move(bind)),
      rng_(rng),
      settle_timer_(executor_),
      retry_timer_(executor_),
      linger_timer_(executor_) {}

void Relays::start(Callbacks callbacks) {
    callbacks_ = std::move(callbacks);
}

void Relays::after(asio::steady_timer& timer, Duration delay, void (Relays::*action)()) {
    timer.expires_after(std::chrono::duration_cast<std::chrono::steady_clock::duration>(delay));
    timer.async_wait([weak = weak_from_this(), action](const boost::system::error_code& cancelled) {
        if (const auto self = weak.lock(); self && !cancelled && !self->stopped_) {
            ((*self).*action)();
        }
    });
}

void Relays::handle_servers(const std::vector<net::Endpoint>& servers) {
    rendezvous_ = servers;
    for (auto& server : servers_) {
        if (server.relay.host.empty()) {
            set_endpoints(server, servers);
        }
    }
}

void Relays::set_endpoints(Server& server, const std::vector<net::Endpoint>& endpoints) {
    server.endpoints.clear();
    for (const auto& endpoint : endpoints) {
        const auto family = endpoint.address.family();
        const bool usable = (!bind_ || bind_->family() == family) &&
                            std::ranges::none_of(server.endpoints, [family](const auto& other) {
                                return other.address.family() == family;
                            });
        if (usable) {
            server.endpoints.push_back(endpoint);
        }
    }
}

void Relays::handle_online() {
    expecting_ = true;
    unsettled_ = true;
    after(settle_timer_, kExpect, &Relays::settle);
}

void Relays::handle_list(const signaling::Relays& list) {
    ++list_;
    auto known = std::exchange(servers_, {});
    for (const auto& relay : list.relays) {
        Server server{.relay = relay, .endpoints = {}, .best = {}};
        for (auto& before : known) {
            if (before.relay.host == relay.host && before.relay.port == relay.port) {
                server.endpoints = std::move(before.endpoints);
                server.best = std::move(before.best);
            }
        }
        servers_.push_back(std::move(server));
        if (relay.host.empty()) {
            set_endpoints(servers_.back(), rendezvous_);
        } else if (const auto address = net::Address::parse(relay.host)) {
            set_endpoints(servers_.back(), {{.address = *address, .port = relay.port}});
        } else if (servers_.back().endpoints.empty()) {
            ++resolving_;
            io::spawn(executor_, "relay's name", resolve(relay.host, relay.port, list_));
        }
    }
    if (active_) {
        // A list comes after each login: then the server, and our relay with it, may have been restarted.
        for (const auto& server : servers_) {
            if (std::ranges::find(server.endpoints, active_->target().endpoint) != server.endpoints.end()) {
                active_->replace(credentials_of(server.relay));
            }
        }
        active_->verify();
        settle();
        return;
    }
    expecting_ = false;
    abandon_race();
    begin_race();
}

asio::awaitable<void> Relays::resolve(std::string host, std::uint16_t port, std::uint64_t list) {
    const auto self = shared_from_this();
    const auto endpoints = co_await io::resolve(executor_, host, port);
    --resolving_;
    if (stopped_ || list != list_) {
        co_return;
    }
    for (std::size_t i = 0; i < servers_.size(); ++i) {
        auto& server = servers_[i];
        if (server.relay.host == host && server.relay.port == port && server.endpoints.empty() && endpoints) {
            set_endpoints(server, *endpoints);
            if (!active_) {
                add_attempts(i, false);
            }
        }
    }
    finish_if_hopeless();
}

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
        unsettled_ = true;
        after(settle_timer_, kSettle, &Relays::settle);
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
            const RelayTarget target{
                .endpoint = server.endpoints[i], .transport = transport, .host = host_of(server.relay)};
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
    if (attempt.challenge) {
        servers_[attempt.server].best.reset();
    }
    follow(attempt, failed);
    if (wanted_) {
        choose_next();
    }
    finish_if_hopeless();
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

void Relays::settle() {
    expecting_ = false;
    settle_timer_.cancel();
    if (std::exchange(unsettled_, false) && callbacks_.settled) {
        callbacks_.settled();
    }
}

void Relays::handle_lost(const Error& error) {
    log::info("lost the relay: {}", error.message());
    for (auto& server : servers_) {
        if (server.best && server.best->target == active_->target()) {
            server.best.reset();
        }
    }
    drop_active();
    if (wanted_) {
        begin_race();
    }
}

void Relays::drop_active() {
    if (!active_) {
        return;
    }
    active_->release();
    active_.reset();
    past_.insert(past_.end(), relayed_.begin(), relayed_.end());
    if (past_.size() > kMaxPast) {
        past_.erase(past_.begin(), past_.end() - kMaxPast);
    }
    relayed_.clear();
}

void Relays::handle_network_changed() {
    if (active_) {
        if (source_address_for(active_->target().endpoint) == active_source_) {
            active_->verify();
            return;
        }
        drop_active();
    }
    abandon_race();
    begin_race();
}

void Relays::want(bool wanted) {
    if (wanted == wanted_) {
        return;
    }
    wanted_ = wanted;
    linger_timer_.cancel();
    if (!wanted) {
        permitted_.clear();
        retry_timer_.cancel();
        after(linger_timer_, kLinger, &Relays::give_back);
    } else if (!active_ && race_.empty()) {
        begin_race();
    } else if (!active_) {
        unsettled_ = true;
        after(settle_timer_, kSettle, &Relays::settle);
        choose_next();
    }
}

void Relays::give_back() {
    if (!wanted_) {
        drop_active();
    }
}

void Relays::permit(const std::vector<net::Candidate>& remotes) {
    for (const auto& remote : remotes) {
        const bool known = std::ranges::any_of(
            permitted_, [&](const auto& other) { return other.address == remote.endpoint.address; });
        // A relay sends to no private address, unless its operator wants it to; then a check asks for it.
        if (remote.transport != net::Transport::udp || remote.endpoint.address.is_private() || known) {
            continue;
        }
        permitted_.push_back(remote.endpoint);
        if (permitted_.size() > kMaxPermitted) {
            permitted_.erase(permitted_.begin());
        }
        if (active_) {
            active_->permit(remote.endpoint);
        }
    }
}

bool Relays::owns(const net::Endpoint& local) const {
    return std::ranges::find(relayed_, local) != relayed_.end() || std::ranges::find(past_, local) != past_.end();
}

io::SendResult Relays::send(const net::PathAddresses& path, ByteView payload, std::size_t segment) {
    const bool current = active_ && std::ranges::find(relayed_, path.local) != relayed_.end();
    return current ? active_->send(path, payload, segment) : io::SendResult::failed;
}

std::vector<net::Candidate> Relays::candidates() const {
    std::vector<net::Candidate> result;
    for (const auto& relayed : relayed_) {
        // RFC 8445 §5.1.2.1: of two relays the one that is reached by UDP.
        const auto transport = static_cast<std::uint16_t>(active_->target().transport);
        const auto preference = static_cast<std::uint16_t>(65535 - 2 * transport - (relayed.address.is_v4() ? 1 : 0));
        result.push_back({.type = net::CandidateType::relayed,
                          .endpoint = relayed,
                          .base = relayed,
                          .priority = net::candidate_priority(net::CandidateType::relayed, preference),
                          .foundation = relayed.address.is_v4() ? "r4" : "r6"});
    }
    return result;
}

bool Relays::under_way() const {
    return unsettled_ && (expecting_ || (wanted_ && !active_));
}

std::optional<RelayTransport> Relays::transport_of(const net::Endpoint& local) const {
    const bool current = active_ && std::ranges::find(relayed_, local) != relayed_.end();
    return current ? std::optional{active_->target().transport} : std::nullopt;
}

bool Relays::measuring() const {
    return !race_.empty() || resolving_ > 0;
}

std::vector<Relays::Measured> Relays::measured() const {
    std::vector<Measured> result;
    for (const auto& server : servers_) {
        auto host = server.relay.host;
        auto port = server.relay.port;
        if (host.empty() && !server.endpoints.empty()) {
            const auto& endpoint = server.best ? server.best->target.endpoint : server.endpoints.front();
            host = endpoint.address.text();
            port = endpoint.port;
        }
        const auto transport = server.best        ? server.best->target.transport
                               : server.relay.udp ? RelayTransport::udp
                               : server.relay.tcp ? RelayTransport::tcp
                                                  : RelayTransport::tls;
        result.push_back({.url = relay_url(host, port, transport),
                          .rtt = server.best ? std::optional{server.best->rtt} : std::nullopt});
    }
    return result;
}

void Relays::stop() {
    stopped_ = true;
    settle_timer_.cancel();
    retry_timer_.cancel();
    linger_timer_.cancel();
    abandon_race();
    drop_active();
}

}  // namespace pinhole::shell
