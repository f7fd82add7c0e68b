// Random peers doing random things in random order: whatever happens, nobody correct is disturbed by the server, every
// call ends, and nothing is left when everybody has gone.
#include "tests/unit/rendezvous/world.hpp"

#include <algorithm>
#include <map>

namespace pinhole::rendezvous {
namespace {

constexpr std::uint8_t kIdentities = 4;
constexpr int kSteps = 300;

/// Plays one world from its seed.
class Play {
  public:
    explicit Play(std::uint64_t seed) : world_({}, seed) {}

    void run() {
        for (int step = 0; step < kSteps; ++step) {
            act();
            if (rng().below(3) == 0) {
                world_.pump();
            }
        }
        world_.pump();
        expect_callers_heard_an_end();
        for (const auto& peer : world_.peers()) {
            if (!peer->closed) {
                world_.hang_up(*peer);
            }
        }
        world_.expect_empty();
        EXPECT_EQ(world_.server().stats().closed, 0U) << "a correct peer was closed";
        EXPECT_GT(world_.server().stats().introduced, 0U) << "the play is too dull to prove anything";
    }

  private:
    SeededRng& rng() { return world_.rng(); }

    Peer* pick() {
        std::vector<Peer*> open;
        for (const auto& peer : world_.peers()) {
            if (!peer->closed && peer->link.established()) {
                open.push_back(peer.get());
            }
        }
        return open.empty() ? nullptr : open[rng().below(open.size())];
    }

    void act() {
        auto* peer = pick();
        const auto kind = rng().below(12);
        if (peer == nullptr || kind == 0) {
            world_.open(static_cast<std::uint8_t>(1 + rng().below(kIdentities)));
            return;
        }
        switch (kind) {
            case 1:
            case 2:
            case 3:
            case 4:
                call(*peer);
                break;
            case 5:
            case 6:
                reply(*peer, true);
                break;
            case 7:
                reply(*peer, false);
                break;
            case 8:
                end_own_call(*peer);
                break;
            case 9:
                trickle(*peer);
                break;
            case 10:
                if (rng().below(3) == 0) {
                    world_.hang_up(*peer);
                }
                break;
            default:
                world_.advance(Duration{static_cast<Duration::rep>(rng().below(8'000'000'000))});
        }
    }

    void call(Peer& peer) {
        const auto to = identity(static_cast<std::uint8_t>(1 + rng().below(kIdentities + 1)));
        peer.send(
            signaling::Connect{.call = {++last_call_}, .to = to.id(), .handshake = {1}, .candidates = {candidate(1)}});
        started_[&peer].push_back({last_call_});
    }

    void reply(Peer& peer, bool accept) {
        const auto incoming = peer.all<signaling::Incoming>();
        if (incoming.empty()) {
            return;
        }
        const auto call = incoming[rng().below(incoming.size())].call;
        if (accept) {
            peer.send(signaling::Answer{.call = call, .handshake = {2}, .candidates = {}});
        } else {
            peer.send(End{.call = call, .reason = static_cast<EndReason>(1 + rng().below(10))});
        }
    }

    void end_own_call(Peer& peer) {
        auto& calls = started_[&peer];
        if (!calls.empty()) {
            const auto call = calls[rng().below(calls.size())];
            peer.send(End{.call = call, .reason = EndReason::hangup});
            std::erase(calls, call);
        }
    }

    void trickle(Peer& peer) {
        const auto& calls = started_[&peer];
        if (!calls.empty()) {
            peer.send(signaling::Trickle{.call = calls[rng().below(calls.size())], .candidates = {candidate(3)}});
        }
    }

    /// After the ringing time each call of a caller that stayed was answered or ended, and not answered twice.
    void expect_callers_heard_an_end() {
        world_.advance(31s);
        for (const auto& peer : world_.peers()) {
            for (const auto call : peer->closed ? std::vector<CallId>{} : started_[peer.get()]) {
                const auto answered = peer->all<signaling::Answered>();
                const auto ends = peer->all<End>();
                const auto matches = [call](const auto& message) { return message.call == call; };
                const auto answers = std::ranges::count_if(answered, matches);
                EXPECT_LE(answers, 1) << call.value;
                EXPECT_GE(answers + std::ranges::count_if(ends, matches), 1) << call.value;
                EXPECT_LE(std::ranges::count_if(ends, matches), 1) << call.value;
            }
        }
    }

    World world_;
    std::uint64_t last_call_ = 0;
    std::map<const Peer*, std::vector<CallId>> started_;
};

TEST(Interleaving, NothingIsLeftAndEveryCallEnds) {
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        SCOPED_TRACE(seed);
        Play{seed}.run();
        if (testing::Test::HasFailure()) {
            return;
        }
    }
}

}  // namespace
}  // namespace pinhole::rendezvous
