#include "tests/sim/connect_world.hpp"

#include "peer/session/errors.hpp"
#include "tests/sim/nat_truth.hpp"

#include <utility>

namespace pinhole::sim {

namespace {

/// The patience of ICE is 10 s from the start, so that everything is decided well before.
constexpr Duration kDecided = 60s;

bool says_no_path(const PeerProgram& peer) {
    const auto* ended = peer.last<session::Ended>();
    return ended != nullptr && ended->error.code == make_error_code(session::Errc::no_path);
}

PeerOptions at(PeerOptions options, const net::Endpoint& server) {
    options.server = server;
    return options;
}

std::string describe(const char* who, const PeerProgram& peer) {
    const auto* ended = peer.last<session::Ended>();
    return std::string{who} + (peer.connected_at() ? " connected" : " not connected") +
           (peer.exchanged() ? ", has all bytes" : "") + (peer.corrupted() ? ", has wrong bytes" : "") +
           (ended != nullptr ? ", ended: " + ended->error.message() : "") + "; ";
}

}  // namespace

ConnectWorld::ConnectWorld(lab::Topology topology, std::uint64_t seed, const PeerOptions& options)
    : world(std::move(topology), seed),
      server(world, "server"),
      alice(world, "alice", at(options, server.endpoint())),
      bob(world, "bob", at(options, server.endpoint())) {}

bool ConnectWorld::log_in() {
    alice.start();
    bob.start();
    return world.run([&] { return alice.online() && bob.online(); }, 20s);
}

void ConnectWorld::report(const std::optional<lab::NatConfig>& alices, const std::optional<lab::NatConfig>& bobs) {
    world.run([&] { return alice.reflexive() && bob.reflexive(); }, 5s);
    alice.report(report_of(alices, alice.reflexive()));
    bob.report(report_of(bobs, bob.reflexive()));
    // Long enough for a segment that is lost.
    world.run_for(2s);
}

Verdict ConnectWorld::connect() {
    const auto called = world.now();
    alice.call(bob.id());
    world.run([&] { return (alice.exchanged() && bob.exchanged()) || (alice.ended() && bob.ended()); }, kDecided);
    return judge(called);
}

bool ConnectWorld::transfer(Duration time) {
    if (!log_in()) {
        return false;
    }
    alice.call(bob.id());
    const bool both = world.run([&] { return alice.connected() && bob.connected(); }, 20s);
    world.run_for(time);
    return both && !(alice.exchanged() && bob.exchanged());
}

bool ConnectWorld::finish(Duration limit) {
    return world.run([&] { return alice.exchanged() && bob.exchanged(); }, limit);
}

Verdict ConnectWorld::judge(TimePoint called) const {
    Verdict verdict{.probes = alice.probes() + bob.probes()};
    if (alice.exchanged() && bob.exchanged() && !alice.corrupted() && !bob.corrupted()) {
        verdict.outcome = Outcome::direct;
        verdict.strategy = alice.last<session::PathInUse>()->strategy;
        verdict.remote = alice.last<session::PathInUse>()->addresses.remote;
        const auto connected = std::max(*alice.connected_at(), *bob.connected_at());
        verdict.took = connected - called;
        verdict.after_go = connected - std::min(*alice.went_at(), *bob.went_at());
    } else if (says_no_path(alice) && says_no_path(bob) && !alice.connected_at() && !bob.connected_at()) {
        verdict.outcome = Outcome::no_path;
    } else {
        verdict.why = describe("alice", alice) + describe("bob", bob);
    }
    return verdict;
}

lab::LinkConfig access_line(Rng& rng, double loss) {
    lab::LinkConfig link;
    link.delay = 1ms * static_cast<int>(10 + rng.below(31));
    link.jitter = 1ms * static_cast<int>(rng.below(6));
    link.loss = loss;
    return link;
}

}  // namespace pinhole::sim
