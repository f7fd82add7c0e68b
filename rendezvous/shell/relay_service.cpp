#include "rendezvous/shell/relay_service.hpp"

#include "common/base/wall_time.hpp"
#include "common/io/clock.hpp"
#include "common/io/interfaces.hpp"
#include "common/stun/channel_data.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::rendezvous {

namespace {

constexpr std::size_t kReadSize = 4096;
/// The largest request that makes sense; without an allocation nobody has data to send.
constexpr std::size_t kMaxGuestMessage = 2048;
/// A guest asks a few times; whoever goes on holds a place in the waiting room for nothing.
constexpr int kMaxBindings = 64;
/// A client of STUN holds a place for some seconds and needs four of them at once for a whole discovery.
constexpr Admission::Config kGuests{.max_connections = 1000,
                                    .max_per_source = 32,
                                    .max_logging_in_per_source = 32,
                                    .max_per_site = 128,
                                    .max_logging_in_per_site = 128,
                                    .opens = {}};
/// How often idle connections are looked for, and the core is told the clock and the addresses of the system.
constexpr Duration kSweep = 2s;

std::chrono::seconds unix_time() {
    return std::chrono::seconds{wall_now().unix_ms / 1000};
}

turn::TurnConfig core_config(const RelayOptions& options, bool v4, bool v6) {
    turn::TurnConfig config;
    config.lifetimes = options.lifetimes;
    config.v4 = v4;
    config.v6 = v6;
    return config;
}

turn::Authenticator::Config credentials(const RelayOptions& options, const std::string& secret) {
    return {.secrets = {secret},
            .users = options.users,
            .nonce_lifetime = options.nonce_lifetime,
            .unix_time = unix_time(),
            .unix_time_at = io::now()};
}

bool has_family(net::Family family) {
    return std::ranges::any_of(io::local_addresses(true),
                               [&](const net::Address& address) { return address.family() == family; });
}

}  // namespace

RelayService::RelayService(io::asio::any_io_executor executor, const RelayOptions& options, const std::string& secret,
                           StunService& stun, Rng& rng)
    : executor_(executor),
      options_(options),
      stun_(stun),
      guests_(kGuests),
      core_(core_config(options, has_family(net::Family::v4), has_family(net::Family::v6)),
            turn::Authenticator{credentials(options, secret), rng}, turn::AddressPolicy{{}}, rng),
      sockets_(executor, options.ports, gather_, rng),
      streams_(executor, options.ports, rng),
      timer_(executor),
      sweeper_(executor) {
    sockets_.outside() = Outside{options.external};
    streams_.outside() = Outside{options.external};
    streams_.set_handler({
        .on_accepted =
            [this](turn::RelayId relay, const net::Endpoint& peer) {
                auto stream = core_.handle_peer_accepted(relay, peer, io::now());
                drain();
                return stream;
            },
        .on_connected =
            [this](turn::StreamId stream) {
                core_.handle_peer_connected(stream, io::now());
                drain();
            },
        .on_failed =
            [this](turn::StreamId stream) {
                core_.handle_peer_failed(stream, io::now());
                drain();
            },
        .on_closed =
            [this](turn::StreamId stream) {
                core_.handle_stream_closed(stream, io::now());
                drain();
            },
        .allow = [this](turn::StreamId stream,
                        std::size_t wanted) { return core_.allow_stream_bytes(stream, wanted, io::now()); },
    });
}

void RelayService::start(const std::vector<net::Endpoint>& listeners) {
    listeners_ = listeners;
    set_policy();
    io::spawn(executor_, "relay timers", run_timers());
    io::spawn(executor_, "relay sweep", sweep());
    io::spawn(executor_, "relay sockets",
              sockets_.run({
                  .on_datagram = [this](turn::RelayId relay, const net::Endpoint& from,
                                        ByteView payload) { handle_peer(relay, from, payload); },
                  .on_icmp =
                      [this](turn::RelayId relay, const net::Endpoint& to, const stun::IcmpError& error) {
                          core_.handle_icmp(relay, to, error, io::now());
                          drain();
                      },
                  .after_batch = [this] { gather_.flush(); },
              }));
}

void RelayService::stop() {
    stopping_ = true;
    timer_.cancel();
    sweeper_.cancel();
    sockets_.stop();
    streams_.stop();
    for (const auto& [client, link] : links_) {
        link->close();
    }
}

void RelayService::set_policy() {
    turn::AddressPolicy::Config config{.allow = options_.allow,
                                       .own = options_.external,
                                       .first_relay_port = options_.ports.first,
                                       .last_relay_port = options_.ports.last};
    const auto local = io::local_addresses(true);
    for (const auto& listener : listeners_) {
        if (!listener.address.is_unspecified()) {
            config.listeners.push_back(listener);
            config.own.push_back(listener.address);
            continue;
        }
        for (const auto& address : local) {
            config.listeners.push_back({.address = address, .port = listener.port});
            // Whoever comes by the wildcard may come from anywhere: loopback is not for them.
            if (!address.is_loopback()) {
                config.own.push_back(address);
            }
        }
        for (const auto& address : options_.external) {
            config.listeners.push_back({.address = address, .port = listener.port});
        }
    }
    core_.set_policy(turn::AddressPolicy{config});
}

io::asio::awaitable<void> RelayService::run_timers() {
    while (!stopping_) {
        const auto next = core_.next_timeout();
        timer_.expires_at(next ? io::to_steady(*next) : io::asio::steady_timer::time_point::max());
        co_await timer_.async_wait(io::use_tuple);
        if (!stopping_) {
            core_.handle_timeout(io::now());
            drain();
        }
    }
}

io::asio::awaitable<void> RelayService::sweep() {
    while (!stopping_) {
        sweeper_.expires_after(kSweep);
        co_await sweeper_.async_wait(io::use_tuple);
        const auto now = io::now();
        core_.authenticator().set_unix_time(unix_time(), now);
        set_policy();
        for (const auto& [client, link] : links_) {
            if (!link->paired() && now - link->heard() >= kIdle && !core_.has_allocation(client)) {
                link->close();
            }
        }
        log_traffic();
    }
}

// --- from clients

void RelayService::handle_datagram(const io::UdpSocket& socket, const net::Received& datagram) {
    const turn::TurnClient client{.path = datagram.path, .transport = turn::TurnTransport::udp};
    if (stun::is_channel_data(datagram.payload) && forward(client, datagram.payload)) {
        return;
    }
    descriptors_.insert_or_assign(datagram.path.local, socket.descriptor());
    core_.handle_client(client, datagram.payload, io::now());
    drain();
}

bool RelayService::forward(const turn::TurnClient& client, ByteView message) {
    const auto result = core_.forward_client(client, message, io::now());
    if (result.verdict == turn::Forward::send) {
        sockets_.send(result.relay, *result.peer, result.payload);
    }
    return result.verdict != turn::Forward::slow;
}

io::asio::awaitable<void> RelayService::serve(std::shared_ptr<TurnLink> link) {
    const auto& source = link->client().path.remote.address;
    if (!guests_.enter(source, io::now())) {
        links_.insert_or_assign(link->client(), link);
        if (co_await link->handshake()) {
            co_await converse(link);
        }
        links_.erase(link->client());
    }
    if (link->is_guest) {
        guests_.leave(source, false);
    }
    link->close();
}

io::asio::awaitable<void> RelayService::converse(std::shared_ptr<TurnLink> link) {
    stun::StreamFramer framer;
    bool alive = true;
    while (alive && link->is_open() && !link->paired()) {
        const auto size = co_await link->read(framer.prepare(kReadSize));
        framer.commit(size);
        alive = size > 0 && handle_frames(*link, framer);
        settle(*link);
        // What is not a whole message yet belongs to somebody, or is no larger than a request.
        alive = alive && (!link->is_guest || framer.buffered() <= kMaxGuestMessage);
    }
    if (alive && link->paired()) {
        links_.erase(link->client());
        co_await streams_.splice(link, *link->paired(), framer.take_rest());
    } else {
        core_.handle_client_closed(link->client(), io::now());
        drain();
    }
}

bool RelayService::handle_frames(TurnLink& link, stun::StreamFramer& framer) {
    bool alive = true;
    while (alive && !link.paired()) {
        const auto frame = framer.next();
        if (!frame || !*frame) {
            alive = frame.has_value();
            break;
        }
        alive = handle_frame(link, **frame);
    }
    flush();  // what was forwarded lies in the framer
    return alive;
}

bool RelayService::handle_frame(TurnLink& link, ByteView frame) {
    if (takes(frame)) {
        if (!stun::is_channel_data(frame) || !forward(link.client(), frame)) {
            core_.handle_client(link.client(), frame, io::now());
            drain();
        }
        return link.is_open();
    }
    const auto answer = stun_.handle_stream(frame, link.client().path, io::now());
    if (!answer || (link.is_guest && ++link.bindings > kMaxBindings)) {
        return false;
    }
    link.send(*answer);
    return true;
}

void RelayService::settle(TurnLink& link) {
    if (link.is_guest && (link.paired() || core_.has_allocation(link.client()))) {
        link.is_guest = false;
        guests_.leave(link.client().path.remote.address, false);
    }
}

// --- from peers

void RelayService::handle_peer(turn::RelayId relay, const net::Endpoint& from, ByteView payload) {
    const auto result = core_.forward_peer(relay, from, payload.size(), io::now());
    if (result.verdict == turn::Forward::slow) {
        core_.handle_peer(relay, from, payload, io::now());
        drain();
    }
    if (result.verdict != turn::Forward::send) {
        return;
    }
    const auto header = stun::channel_header(result.channel, payload.size());
    if (result.client->is_stream()) {
        const auto link = links_.find(*result.client);
        if (link == links_.end() || !link->second->send_data(header, payload)) {
            ++dropped_;
        }
        return;
    }
    const auto descriptor = descriptors_.find(result.client->path.local);
    if (descriptor != descriptors_.end()) {
        gather_.add(descriptor->second, result.client->path, header, payload);
    }
}

// --- what the core says

void RelayService::drain() {
    if (draining_) {
        return;  // the one that is under way takes the rest
    }
    draining_ = true;
    while (auto output = core_.poll_output()) {
        carry_out(*output);
    }
    draining_ = false;
    if (const auto next = core_.next_timeout(); next && io::to_steady(*next) < timer_.expiry()) {
        timer_.cancel();
    }
}

void RelayService::carry_out(turn::TurnOutput& output) {
    if (const auto* to_client = std::get_if<turn::ToClient>(&output)) {
        send_to_client(to_client->client, to_client->message);
    } else if (const auto* to_peer = std::get_if<turn::ToPeer>(&output)) {
        gather_.flush();
        if (to_peer->dont_fragment) {
            sockets_.send_unfragmented(to_peer->relay, to_peer->peer, to_peer->payload);
        } else {
            sockets_.send(to_peer->relay, to_peer->peer, to_peer->payload);
        }
        gather_.flush();
    } else if (const auto* wish = std::get_if<turn::OpenRelay>(&output)) {
        open(*wish);
    } else if (const auto* relay = std::get_if<turn::CloseRelay>(&output)) {
        sockets_.close(relay->relay);
        streams_.close(relay->relay);
    } else if (const auto* peer = std::get_if<turn::ConnectPeer>(&output)) {
        streams_.connect(*peer);
    } else if (const auto* pair = std::get_if<turn::PairStreams>(&output)) {
        if (const auto link = links_.find(pair->client); link != links_.end()) {
            link->second->pair(pair->stream);
        }
    } else if (const auto* stream = std::get_if<turn::CloseStream>(&output)) {
        streams_.close(stream->stream);
    }
}

void RelayService::send_to_client(const turn::TurnClient& client, ByteView message) {
    if (client.is_stream()) {
        if (const auto link = links_.find(client); link != links_.end()) {
            link->second->send(message);
        }
        return;
    }
    const auto descriptor = descriptors_.find(client.path.local);
    if (descriptor != descriptors_.end()) {
        // The message is the caller's, and gone before anybody else flushes.
        gather_.add(descriptor->second, client.path, message);
        gather_.flush();
    }
}

void RelayService::open(const turn::OpenRelay& wish) {
    const auto at = relay_address(wish);
    Result<net::Endpoint> opened =
        !at ? fail(make_error_code(std::errc::address_family_not_supported), "no address of that family")
        : wish.kind == turn::RelayKind::udp ? sockets_.open(wish, *at)
                                            : streams_.open(wish, *at);
    if (opened) {
        core_.handle_relay_opened(wish.relay, sockets_.outside().told(*opened), io::now());
        return;
    }
    core_.handle_relay_failed(wish.relay, io::now());
    if (const auto dropped = failures_.pass(io::now())) {
        log::warn("cannot open a relayed address: {} ({} more since the last such line)", opened.error().message(),
                  *dropped);
    }
}

std::optional<net::Address> RelayService::relay_address(const turn::OpenRelay& wish) const {
    const auto& reached = wish.client.path.local.address;
    if (reached.family() == wish.family) {
        return reached;
    }
    // The other family: an address that clients could have reached as well.
    for (const auto& listener : listeners_) {
        if (listener.address.family() == wish.family && !listener.address.is_unspecified()) {
            return listener.address;
        }
    }
    const auto local = io::local_addresses(reached.is_loopback());
    const auto found = std::ranges::find_if(local, [&](const net::Address& address) {
        return address.family() == wish.family && address.is_loopback() == reached.is_loopback();
    });
    return found == local.end() ? std::nullopt : std::optional{*found};
}

void RelayService::log_traffic() {
    const auto& totals = core_.stats();
    if (totals.allocated != logged_) {
        logged_ = totals.allocated;
        const auto present = core_.counts();
        log::debug("relay: {} allocations ({} since the start), {} + {} datagrams relayed", present.allocations,
                   totals.allocated, totals.to_peer, totals.to_client);
    }
}

}  // namespace pinhole::rendezvous
