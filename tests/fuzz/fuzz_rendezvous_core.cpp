// The input is a script for one server: two peers that are logged in and call each other, one connection that never
// logs in, bytes of a stranger on any of them, and time that jumps. What must hold: no crash, nothing comes out for a
// connection that is closed, probes are only ever asked for toward the other peer, and nothing is left when all are
// gone.
#include "common/signaling/codec.hpp"
#include "rendezvous/core/server.hpp"
#include "tests/fuzz/script.hpp"

#include <algorithm>
#include <array>
#include <set>

namespace {

using namespace pinhole;
using fuzz::require;
using signaling::CallId;

crypto::Identity make_identity(std::uint8_t number) {
    crypto::Key32 seed{};
    seed.fill(number);
    return crypto::Identity::from_seed(crypto::SecretKey{seed});
}

/// Of the server (0) and two peers, made once.
const crypto::Identity& identity(std::uint8_t number) {
    static const std::array all{make_identity(255), make_identity(1), make_identity(2)};
    return all.at(number);
}

net::Endpoint source(std::uint8_t number) {
    return {.address = net::Address::v4({192, 0, 2, number}), .port = 1};
}

const net::Candidate kCandidate{
    .type = net::CandidateType::host, .endpoint = source(1), .base = {}, .priority = 1, .foundation = "1"};

/// A client and what it has seen.
struct Peer {
    signaling::SecureLink link;
    rendezvous::ConnectionId connection;
    crypto::PeerId id;
    std::uint8_t number = 0;
    CallId rung{};
};

class Play {
  public:
    explicit Play(ByteView script) : script_(script), peers_{log_in(1), log_in(2)} { stranger_ = open(3); }

    void run() {
        while (!script_.done()) {
            step(script_.byte());
            drain();
        }
        for (const auto connection : std::set{open_}) {
            server_.handle_closed(connection, now_);
            open_.erase(connection);
        }
        drain();
        const auto stats = server_.stats();
        require(stats.connections == 0 && stats.identities == 0 && stats.calls == 0);
        require(!server_.next_timeout());
    }

  private:
    rendezvous::ConnectionId open(std::uint8_t number) {
        const auto connection = server_.open(source(number), now_);
        open_.insert(connection);
        return connection;
    }

    Peer log_in(std::uint8_t number) {
        const auto& who = identity(number);
        const signaling::Hello hello{.id = who.id(), .version = 1, .agent = "fuzz"};
        Peer peer{.link = signaling::SecureLink::client(who.noise_keys(), signaling::serialize(hello), rng_),
                  .connection = open(number),
                  .id = who.id(),
                  .number = number};
        for (auto bytes = peer.link.poll_output(); !bytes.empty(); bytes = peer.link.poll_output()) {
            server_.handle_bytes(peer.connection, bytes, now_);
            while (const auto output = server_.poll_output()) {
                require(peer.link.handle_bytes(output->bytes).has_value());
            }
            while (peer.link.poll_frame()) {}
        }
        require(peer.link.established());
        return peer;
    }

    void say(Peer& peer, ByteView plaintext) {
        if (peer.link.send(plaintext)) {
            server_.handle_bytes(peer.connection, peer.link.poll_output(), now_);
        }
    }

    void say(Peer& peer, const signaling::ToServer& message) { say(peer, signaling::serialize(message)); }

    void step(std::uint8_t what) {
        auto& peer = peers_[what >> 7];
        const auto& other = peers_[1 - (what >> 7)];
        const CallId call = (what & 0x40U) != 0 ? peer.rung : CallId{(what >> 4) & 3U};
        switch (what & 15U) {
            case 0:
                server_.handle_bytes(stranger_, script_.blob(), now_);
                break;
            case 1:
                say(peer, script_.blob());
                break;
            case 2:
                server_.handle_bytes(peer.connection, script_.blob(), now_);
                break;
            case 3:
                say(peer,
                    signaling::Connect{.call = call, .to = other.id, .handshake = {1}, .candidates = {kCandidate}});
                break;
            case 4:
                say(peer, signaling::Answer{.call = call, .handshake = {2}, .candidates = {}});
                break;
            case 5:
                say(peer, signaling::Trickle{.call = call, .candidates = {kCandidate}});
                break;
            case 6:
                say(peer, signaling::End{.call = call, .reason = signaling::EndReason::refused});
                break;
            case 7:
                now_ += std::chrono::milliseconds{(1U << (what >> 4)) & 0x7fffU};
                server_.handle_timeout(now_);
                break;
            case 8:
                server_.handle_closed(peer.connection, now_);
                open_.erase(peer.connection);
                break;
            case 9:
                server_.pause_output(peer.connection);
                break;
            case 10:
                server_.resume_output(peer.connection);
                break;
            case 11:
                say(peer, signaling::Report{.report = {}});
                break;
            case 12:
                say(peer, signaling::Report{.report = report(peer)});
                break;
            case 13:
                say(peer, samples(peer, call));
                break;
            case 14:
                say(peer, signaling::PunchOutcome{
                              .call = call,
                              .strategy = (what & 0x10U) != 0 ? std::optional{net::Strategy::predict} : std::nullopt,
                              .elapsed_ms = script_.word()});
                break;
            default:
                stranger_ = open(3);
        }
    }

    /// Its numbers are the script's, within the bounds of the wire.
    net::NetReport report(const Peer& peer) {
        net::NetReport measured;
        measured.udp.open = true;
        measured.udp.mapping = static_cast<net::NatBehavior>(script_.byte() % 5);
        measured.udp.filtering = static_cast<net::NatBehavior>(script_.byte() % 5);
        measured.udp.allocation = static_cast<net::PortAllocation>(script_.byte() % 5);
        measured.udp.delta = static_cast<std::int16_t>(script_.word());
        measured.udp.rate = script_.word();
        const auto first = static_cast<std::uint16_t>(1 + script_.word() % 63'000);
        measured.udp.block =
            net::PortRange{.first = first, .last = static_cast<std::uint16_t>(first + script_.word() % 2048)};
        measured.udp.reflexive = source(peer.number);
        return measured;
    }

    signaling::PunchSamples samples(const Peer& peer, CallId call) {
        signaling::PunchSamples result{.call = call,
                                       .step = script_.byte() % 16U,
                                       .external = source(peer.number).address,
                                       .before = {},
                                       .after = {}};
        const auto port = [&] { return std::max<std::uint16_t>(1, script_.word()); };
        result.before = {port()};
        result.after = {port(), port()};
        return result;
    }

    void drain() {
        while (const auto close = server_.poll_close()) {
            require(open_.erase(close->connection) == 1);
        }
        while (const auto reporter = server_.poll_report()) {
            require(open_.contains(*reporter) && server_.report(*reporter) != nullptr && server_.peer(*reporter));
        }
        while (const auto output = server_.poll_output()) {
            require(open_.contains(output->connection));
            for (auto& peer : peers_) {
                if (peer.connection == output->connection) {
                    read(peer, output->bytes);
                }
            }
        }
    }

    static void read(Peer& peer, ByteView bytes) {
        require(peer.link.handle_bytes(bytes).has_value());
        while (const auto frame = peer.link.poll_frame()) {
            const auto message = signaling::parse_to_peer(*frame);
            require(message.has_value());
            if (const auto* incoming = std::get_if<signaling::Incoming>(&*message)) {
                peer.rung = incoming->call;
            }
            if (const auto* go = std::get_if<signaling::Go>(&*message)) {
                const auto other = source(static_cast<std::uint8_t>(3 - peer.number)).address;
                require(std::ranges::all_of(go->plan.steps, [&](const auto& step) {
                    return step.act == net::PunchAct::check || step.target.address == other;
                }));
            }
        }
    }

    fuzz::ScriptReader script_;
    SeededRng rng_{1};
    TimePoint now_{1h};
    rendezvous::Server server_{identity(0).noise_keys(), rendezvous::Config{}, rng_};
    std::set<rendezvous::ConnectionId> open_;
    std::array<Peer, 2> peers_;
    rendezvous::ConnectionId stranger_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const bool ready = crypto::initialize();
    require(ready);
    Play{ByteView{data, size}}.run();
    return 0;
}
