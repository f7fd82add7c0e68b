#include "peer/shell/relays.hpp"

#include "common/base/log.hpp"
#include "common/io/connect.hpp"
#include "common/io/tokens.hpp"
#include "peer/shell/candidates.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

namespace pinhole::shell {

namespace asio = boost::asio;

namespace {

/// A call's candidates are complete then, with or without a relay: three retransmissions over UDP, and time for TLS.
constexpr Duration kSettle = 3s;
/// The list comes right behind the login.
constexpr Duration kExpect = 1s;
constexpr Duration kLinger = 10s;
constexpr std::size_t kMaxPast = 32;
/// Addresses that are let in before anything is sent to them: the newest.
constexpr std::size_t kMaxPermitted = 64;

}  // namespace

std::string relay_url(const std::string& host, std::uint16_t port, RelayTransport transport) {
    const auto address = net::Address::parse(host);
    const bool brackets = address && !address->is_v4();
    return fmt::format("{}:{}:{}{}", transport == RelayTransport::tls ? "turns" : "turn",
                       brackets ? '[' + host + ']' : host, port,
                       transport == RelayTransport::udp ? "?transport=udp" : "?transport=tcp");
}

relay::Credentials credentials_of(const signaling::Relay& relay) {
    return {.username = relay.username, .password = relay.password};
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
        Server server{.relay = relay, .endpoints = {}, .best = {}, .refused = {}};
        for (auto& before : known) {
            if (before.relay.host == relay.host && before.relay.port == relay.port) {
                server.endpoints = std::move(before.endpoints);
                // With another certificate it was started anew, and what it said before counts no more.
                if (before.relay.certificate == relay.certificate) {
                    server.best = std::move(before.best);
                    server.refused = std::move(before.refused);
                }
            }
        }
        servers_.push_back(std::move(server));
        if (relay.host.empty()) {
            set_endpoints(servers_.back(), rendezvous_);
        } else if (const auto address = net::Address::parse(relay.host)) {
            set_endpoints(servers_.back(), {{.address = *address, .port = relay.port}});
        } else if (servers_.back().endpoints.empty()) {
            ++resolving_;
            io::spawn(executor_, "relay's name", resolve(relay.host, relay.port, list_), shared_from_this());
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

void Relays::await_settling() {
    unsettled_ = true;
    after(settle_timer_, kSettle, &Relays::settle);
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
        await_settling();
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
                          .rtt = server.best ? std::optional{server.best->rtt} : std::nullopt,
                          .refused = server.refused});
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
