#include "tests/sim/peer_program.hpp"

#include "peer/session/errors.hpp"
#include "peer/shell/candidates.hpp"

#include <stdexcept>
#include <utility>

namespace pinhole::sim {

namespace {

constexpr WallTime kEpoch{1'760'000'000'000};
/// As in peer/shell.
constexpr Duration kReflexiveFresh = 15s;
/// As the shell: of a restart, what was answered before its reason counts no more.
constexpr Duration kJustNow = 1s;
constexpr std::size_t kSendBuffer = 64 * 1024;
constexpr std::size_t kConnectionIdOffset = 1;
constexpr std::uint8_t kServices = 3;

crypto::Identity make_identity(Rng& rng) {
    if (!crypto::initialize()) {
        throw std::runtime_error("libsodium does not start");
    }
    return crypto::Identity::generate(rng);
}

}  // namespace

PeerProgram::PeerProgram(World& world, std::string_view host, const PeerOptions& options)
    : world_(world),
      host_(world.host(host)),
      options_(options),
      rng_(world.draw_seed()),
      identity_(make_identity(rng_)),
      signaling_({.identity = &identity_, .pinned = std::nullopt, .agent = "simulated"}, rng_),
      gatherer_(rng_),
      buffer_(kSendBuffer) {
    world.add(*this);
}

void PeerProgram::start() {
    port_ = *host_.open_udp(0, [this](const net::Received& datagram) { handle_datagram(datagram); });
    gather();
    signaling_.start(world_.now());
    drain_signaling();
}

net::Endpoint PeerProgram::local() const {
    return {.address = *host_.source(net::Family::v4), .port = port_};
}

WallTime PeerProgram::wall() const {
    return {kEpoch.unix_ms + std::chrono::duration_cast<std::chrono::milliseconds>(world_.elapsed()).count()};
}

void PeerProgram::connect_to_server() {
    const auto now = world_.now();
    TcpHandler handler;
    handler.connected = [this] {
        when_awake([this] {
            signaling_.handle_connected(world_.now());
            drain_signaling();
        });
    };
    handler.received = [this](ByteView bytes) {
        when_awake([this, copy = to_bytes(bytes)] {
            signaling_.handle_bytes(copy, world_.now());
            drain_signaling();
        });
    };
    handler.closed = [this] {
        when_awake([this] {
            tcp_.reset();
            signaling_.handle_closed({.code = make_error_code(session::Errc::server_unreachable), .detail = {}},
                                     world_.now());
            drain_signaling();
        });
    };
    tcp_ = host_.connect(options_.server, 0, std::move(handler), now);
}

void PeerProgram::when_awake(std::function<void()> action) {
    if (asleep()) {
        slept_through_.push_back(std::move(action));
    } else {
        action();
    }
}

void PeerProgram::network_changed() {
    if (asleep()) {
        slept_through_.emplace_back([this] { network_changed(); });
        return;
    }
    reflexives_.clear();
    gather();
    if (session_) {
        session_->handle_network_changed(world_.now());
    }
    signaling_.reconnect(world_.now());
    drain_signaling();
}

void PeerProgram::sleep(Duration time) {
    sleeps_until_ = world_.now() + time;
}

void PeerProgram::die() {
    if (const auto tcp = std::exchange(tcp_, std::nullopt)) {
        host_.close_tcp(*tcp, world_.now());
    }
    host_.close_udp(port_);
    close_punch_sockets();
    sleeps_until_ = TimePoint::max();
}

void PeerProgram::measure(std::optional<std::uint16_t> second_stun_port) {
    netcheck::Config config;
    config.servers.push_back({.endpoint = options_.server, .second_port = second_stun_port});
    netcheck_ = std::make_unique<NetcheckProgram>(world_, host_.name(), config);
    netcheck_->on_event = [this](const netcheck::Event&) {
        signaling_.send(signaling::Report{netcheck_->report()}, world_.now());
        drain_signaling();
    };
}

void PeerProgram::gather() {
    gatherer_ = ice::Gatherer{rng_};
    if (const auto source = host_.source(options_.server.address.family())) {
        gatherer_.add({.local = {.address = *source, .port = port_}, .remote = options_.server}, world_.now());
    }
    gathering_ = true;
    gatherer_.finish_adding(world_.now());
    drain_gatherer();
}

void PeerProgram::drain_gatherer() {
    while (const auto transmit = gatherer_.poll_transmit()) {
        host_.send_udp(transmit->path, transmit->payload);
    }
    while (const auto event = gatherer_.poll_event()) {
        if (const auto* answer = std::get_if<ice::Reflexive>(&*event)) {
            learn(*answer);
            continue;
        }
        gathering_ = false;
        gathered_at_ = world_.now();
        if (session_) {
            session_->end_of_local_candidates();
        }
    }
    drain();
}

void PeerProgram::learn(const ice::Reflexive& answer) {
    reflexives_.erase(answer.path.local);
    const auto candidate = shell::reflexive_candidate(answer);
    if (!candidate) {
        return;
    }
    reflexives_.emplace(answer.path.local, *candidate);
    if (session_) {
        session_->add_local_candidate(*candidate, world_.now());
    }
}

void PeerProgram::handle_datagram(const net::Received& datagram) {
    if (datagram.payload.empty() || asleep()) {
        return;
    }
    const auto now = world_.now();
    const auto first = datagram.payload.front();
    if (first <= 3) {  // RFC 7983 §7: STUN
        if (gatherer_.handle_datagram(datagram.path, datagram.payload, now)) {
            drain_gatherer();
            return;
        }
        if (session_) {
            session_->handle_stun(datagram.path, datagram.payload, now);
        }
    } else if ((first & 0xf0U) == 0xd0U && session_ && datagram.payload.size() > kConnectionIdOffset + 8) {
        ByteReader reader{datagram.payload.subspan(kConnectionIdOffset)};
        if (reader.u64() == session_->connection_id()) {
            session_->handle_packet(datagram, now);
        }
    }
    drain();
}

void PeerProgram::drain_signaling() {
    while (auto event = signaling_.poll_event()) {
        if (std::holds_alternative<session::SignalingClient::ConnectNow>(*event)) {
            connect_to_server();
        } else if (const auto* online = std::get_if<session::SignalingClient::Online>(&*event)) {
            if (options_.measure_after && !netcheck_) {
                world_.after(*options_.measure_after, [this, port = online->second_stun_port] { measure(port); });
            }
            tell_of_server();
        } else if (std::holds_alternative<session::SignalingClient::Lost>(*event)) {
            tell_of_server();
            if (const auto old = std::exchange(tcp_, std::nullopt)) {
                host_.close_tcp(*old, world_.now());
            }
        } else if (const auto* message = std::get_if<signaling::ToPeer>(&*event)) {
            handle_message(*message);
        }
    }
    const auto bytes = signaling_.poll_output();
    if (tcp_ && !bytes.empty()) {
        host_.write(*tcp_, bytes, world_.now());
    }
    drain();
}

void PeerProgram::tell_of_server() {
    if (session_) {
        session_->handle_server(signaling_.online(), world_.now());
    }
}

void PeerProgram::handle_message(const signaling::ToPeer& message) {
    if (const auto* incoming = std::get_if<signaling::Incoming>(&message)) {
        handle_incoming(*incoming);
        return;
    }
    const auto call = signaling::call_of(message);
    if (session_ && call == session_->call_id()) {
        if (const auto* go = std::get_if<signaling::Go>(&message)) {
            went_at_ = world_.now() + std::chrono::microseconds{go->delay_us};
        }
        session_->handle_signaling(message, wall(), world_.now());
    }
}

void PeerProgram::handle_incoming(const signaling::Incoming& incoming) {
    const auto now = world_.now();
    if (session_ && session_->handle_repeated(incoming.call)) {
        return;
    }
    auto read = session::read_call(incoming, identity_, rng_);
    if (!read) {
        signaling_.send(read.error().end, now);
        return;
    }
    if (read->offer.resume != 0) {
        resume(incoming, *std::move(read));
        return;
    }
    if (session_ && !session_->over()) {
        signaling_.send(signaling::End{.call = incoming.call, .reason = signaling::EndReason::unwanted}, now);
        return;
    }
    if (const auto fresh = session::check_age(incoming, *read, replay_guard_, wall()); !fresh) {
        signaling_.send(fresh.error().end, now);
        return;
    }
    caller_ = false;
    begin(read->offer.from, incoming.call);
    begin_candidates();
    session_->answer(*std::move(read), now);
}

void PeerProgram::resume(const signaling::Incoming& incoming, session::IncomingCall read) {
    const auto now = world_.now();
    if (!session_ || !session_->resumed_by(read)) {
        signaling_.send(signaling::End{.call = incoming.call, .reason = signaling::EndReason::unwanted}, now);
        return;
    }
    if (const auto fresh = session::check_age(incoming, read, replay_guard_, wall()); !fresh) {
        signaling_.send(fresh.error().end, now);
        return;
    }
    session_->resume(std::move(read), candidates(), now);
    begin_candidates(/*restarting=*/true);
}

void PeerProgram::restart() {
    ++restarts_;
    signaling_.doubt(world_.now());
    session_->restart(candidates(), wall(), world_.now());
    begin_candidates(/*restarting=*/true);
}

void PeerProgram::call(const crypto::PeerId& peer) {
    caller_ = true;
    begin(peer, signaling::CallId{rng_.u64()});
    begin_candidates();
    session_->call(wall(), world_.now());
    drain();
}

void PeerProgram::begin(const crypto::PeerId& remote, signaling::CallId call) {
    session::SessionConfig config;
    config.identity = &identity_;
    config.remote = remote;
    config.services = kServices;
    config.path_patience = options_.path_patience;
    config.stun = options_.server;
    config.without = options_.without;
    close_punch_sockets();
    application_.reset();
    connected_at_.reset();
    went_at_.reset();
    events_.clear();
    session_ = std::make_unique<session::Session>(config, call, candidates(), rng_);
    session_->handle_server(signaling_.online(), world_.now());
}

void PeerProgram::begin_candidates(bool restarting) {
    const bool fresh = gathered_at_ && world_.now() - *gathered_at_ < (restarting ? kJustNow : kReflexiveFresh);
    if (!fresh && !gathering_) {
        gather();
    }
    if (!gathering_) {
        session_->end_of_local_candidates();
    }
}

std::vector<net::Candidate> PeerProgram::candidates() const {
    auto all = shell::host_candidates(host_.addresses(), net::Family::v4, port_);
    const auto v6 = shell::host_candidates(host_.addresses(), net::Family::v6, port_);
    all.insert(all.end(), v6.begin(), v6.end());
    for (const auto& [base, candidate] : reflexives_) {
        all.push_back(candidate);
    }
    return all;
}

void PeerProgram::hang_up(session::Goodbye goodbye) {
    if (session_) {
        session_->close(goodbye, world_.now());
        drain();
    }
}

void PeerProgram::drain() {
    if (!session_ || std::exchange(draining_, true)) {
        return;
    }
    bool more = true;
    while (more) {
        more = false;
        while (const auto event = session_->poll_event()) {
            handle_event(*event);
            more = true;
        }
        if (application_ && session_->transport() != nullptr) {
            application_->work(world_.now());
        }
        while (const auto message = session_->poll_signaling()) {
            signaling_.send(*message, world_.now());
        }
        while (const auto request = session_->poll_socket_request()) {
            serve(*request);
            more = true;
        }
        while (const auto transmit = session_->poll_stun()) {
            ++probes_;
            host_.send_udp(transmit->path, transmit->payload, net::Ecn::not_ect, transmit->ttl);
        }
        send_packets();
        if (session_->restart_due(world_.now())) {
            restart();
            more = true;
        }
    }
    draining_ = false;
    const auto bytes = signaling_.poll_output();
    if (tcp_ && !bytes.empty()) {
        host_.write(*tcp_, bytes, world_.now());
    }
}

void PeerProgram::serve(const session::SocketRequest& request) {
    if (const auto* close = std::get_if<punch::CloseSocket>(&request)) {
        punch_ports_.erase(close->local.port);
        host_.close_udp(close->local.port);
        return;
    }
    const auto& open = std::get<punch::OpenSocket>(request);
    const auto port = host_.open_udp(0, [this](const net::Received& datagram) { handle_datagram(datagram); });
    const auto source = host_.source(open.family);
    if (!port || !source) {
        session_->handle_socket_failed(open.token, world_.now());
        return;
    }
    punch_ports_.insert(*port);
    session_->handle_socket(open.token, {.address = *source, .port = *port}, world_.now());
}

void PeerProgram::close_punch_sockets() {
    for (const auto port : std::exchange(punch_ports_, {})) {
        host_.close_udp(port);
    }
}

void PeerProgram::report(const net::NetReport& report) {
    signaling_.send(signaling::Report{.report = report}, world_.now());
    drain_signaling();
}

std::optional<net::Endpoint> PeerProgram::reflexive() const {
    return reflexives_.empty() ? std::nullopt : std::optional{reflexives_.begin()->second.endpoint};
}

void PeerProgram::send_packets() {
    while (const auto batch = session_->poll_packets(buffer_, world_.now())) {
        for (std::size_t at = 0; at < batch->size; at += batch->segment_size) {
            const auto size = std::min(batch->segment_size, batch->size - at);
            host_.send_udp(batch->path, ByteView{buffer_}.subspan(at, size), batch->ecn);
        }
    }
}

void PeerProgram::handle_event(const session::Event& event) {
    if (std::holds_alternative<session::Connected>(event)) {
        connected_at_ = world_.now();
        application_ = std::make_unique<Application>(*session_->transport());
        if (caller_ && options_.bytes > 0) {
            application_->send(options_.bytes);
        }
    } else if (const auto* of_transport = std::get_if<transport::Event>(&event); of_transport && application_) {
        application_->handle_event(*of_transport);
        const auto* opened = std::get_if<transport::Opened>(of_transport);
        if (opened != nullptr) {
            application_->send_on(opened->stream, options_.bytes);
        }
        return;
    }
    events_.push_back(event);
}

bool PeerProgram::exchanged() const {
    return application_ && !application_->outgoing.empty() && application_->all_sent() &&
           application_->received(1, options_.bytes);
}

bool PeerProgram::corrupted() const {
    return application_ && std::ranges::any_of(application_->incoming, [](const auto& in) { return in.second.wrong; });
}

std::optional<TimePoint> PeerProgram::next_timeout() const {
    if (asleep()) {
        return sleeps_until_ == TimePoint::max() ? std::nullopt : sleeps_until_;
    }
    auto next = earliest(signaling_.next_timeout(), gatherer_.next_timeout());
    return session_ ? earliest(next, session_->next_timeout()) : next;
}

void PeerProgram::handle_timeout(TimePoint now) {
    if (asleep() && now < *sleeps_until_) {
        return;
    }
    sleeps_until_.reset();
    for (const auto& action : std::exchange(slept_through_, {})) {
        action();
    }
    const auto due = [now](std::optional<TimePoint> when) { return when && *when <= now; };
    if (due(signaling_.next_timeout())) {
        signaling_.handle_timeout(now);
        drain_signaling();
    }
    if (due(gatherer_.next_timeout())) {
        gatherer_.handle_timeout(now);
        drain_gatherer();
    }
    if (session_ && due(session_->next_timeout())) {
        session_->handle_timeout(now);
    }
    drain();
}

}  // namespace pinhole::sim
