// Pairs over TCP (RFC 6544): which candidates meet, when they are checked, and what becomes of broken connections.
#include "peer/ice/agent.hpp"
#include "peer/ice/checklist.hpp"
#include "tests/unit/ice/virtual_network.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace pinhole::ice {
namespace {

using net::CandidateType;
using net::TcpType;
using net::Transport;
using testing::at;

net::Candidate tcp(const char* endpoint, TcpType tcp_type, CandidateType type = CandidateType::host,
                   const char* base = nullptr) {
    return {.type = type,
            .endpoint = at(endpoint),
            .base = at(base == nullptr ? endpoint : base),
            .priority = net::candidate_priority(type, net::tcp_preference(type, tcp_type, 8191), Transport::tcp),
            .foundation = std::string{"t"} + std::to_string(static_cast<int>(tcp_type)),
            .transport = Transport::tcp,
            .tcp_type = tcp_type};
}

constexpr std::array kTcpTypes{TcpType::active, TcpType::passive, TcpType::simultaneous_open};

// RFC 6544 §6.2.
TEST(TcpChecklist, PairsOnlyWhoConnectsWithWhoListensAndThoseThatDoBoth) {
    for (const auto local : kTcpTypes) {
        for (const auto remote : kTcpTypes) {
            Checklist list{Role::controlling};
            list.add_local(tcp("192.0.2.1:5000", local));
            list.add_remote(tcp("192.0.2.2:6000", remote));
            const bool meet = (local == TcpType::active && remote == TcpType::passive) ||
                              (local == TcpType::simultaneous_open && remote == TcpType::simultaneous_open);
            EXPECT_EQ(list.pairs(), meet ? 1U : 0U) << static_cast<int>(local) << static_cast<int>(remote);
        }
    }
}

TEST(TcpChecklist, NeverPairsTcpWithUdp) {
    Checklist list{Role::controlling};
    list.add_local(testing::host_candidate(at("192.0.2.1:5000")));
    list.add_local(tcp("192.0.2.1:5000", TcpType::active));
    list.add_remote(testing::host_candidate(at("192.0.2.2:6000")));
    list.add_remote(tcp("192.0.2.2:6000", TcpType::passive));
    EXPECT_EQ(list.pairs(), 2U);
    const net::PathAddresses udp{.local = at("192.0.2.1:5000"), .remote = at("192.0.2.2:6000")};
    auto over_tcp = udp;
    over_tcp.transport = Transport::tcp;
    EXPECT_NE(list.find(udp), nullptr);
    EXPECT_NE(list.find(over_tcp), nullptr);
    EXPECT_NE(list.find(udp), list.find(over_tcp));
}

TEST(TcpChecklist, MakesOnePairOfWhatIsOneConnection) {
    Checklist list{Role::controlling};
    for (const auto type : kTcpTypes) {
        list.add_local(tcp("192.0.2.1:5000", type));
        list.add_remote(tcp("192.0.2.2:6000", type));
    }
    EXPECT_EQ(list.pairs(), 1U);
}

TEST(TcpChecklist, LeavesPairsOverTcpAloneUntilTheyAreAdmitted) {
    Checklist list{Role::controlling};
    list.add_local(tcp("192.0.2.1:5000", TcpType::active));
    list.add_remote(tcp("192.0.2.2:6000", TcpType::passive));
    EXPECT_FALSE(list.has_ordinary());
    EXPECT_EQ(list.next_ordinary(), nullptr);
    list.admit_tcp();
    EXPECT_TRUE(list.has_ordinary());
    EXPECT_NE(list.next_ordinary(), nullptr);
}

TEST(TcpChecklist, PutsEveryDirectPairOverUdpFirst) {
    Checklist list{Role::controlling};
    auto reflexive = testing::host_candidate(at("203.0.113.1:5000"));
    reflexive.type = CandidateType::server_reflexive;
    reflexive.base = at("192.168.1.1:5000");
    reflexive.priority = net::candidate_priority(CandidateType::server_reflexive, 0);
    auto remote = reflexive;
    remote.endpoint = at("203.0.113.2:5000");
    list.admit_tcp();
    list.add_local(tcp("192.168.1.1:5000", TcpType::active));
    list.add_remote(tcp("192.168.1.2:6000", TcpType::passive));
    list.add_local(reflexive);
    list.add_remote(remote);
    const auto* first = list.next_ordinary();
    ASSERT_NE(first, nullptr);
    EXPECT_EQ(first->path.transport, Transport::udp);
}

/// Two agents whose only way is connections: `reachable` says which endpoints answer a connect.
class Wires {
  public:
    Wires() {
        const std::array roles{Role::controlling, Role::controlled};
        for (const std::size_t i : {0U, 1U}) {
            rngs_[i].emplace(77 + i);
            agents_[i].emplace(Config{.role = roles[i], .local = Credentials::generate(*rngs_[i])}, *rngs_[i]);
        }
        agents_[0]->set_remote_credentials(agents_[1]->local_credentials());
        agents_[1]->set_remote_credentials(agents_[0]->local_credentials());
    }

    Agent& agent(std::size_t side) { return *agents_[side]; }

    /// An endpoint outside stands for one inside, both ways.
    void translate(const char* inside, const char* outside) {
        outside_of_[at(inside)] = at(outside);
        inside_of_[at(outside)] = at(inside);
    }

    void refuse(const char* endpoint) { refused_.insert(at(endpoint)); }

    void offer(std::size_t from, const net::Candidate& candidate) {
        agents_[from]->add_local_candidate(candidate, now_);
        agents_[1 - from]->add_remote_candidate(candidate, now_);
    }

    /// Breaks every connection; `again` lets new ones be made.
    void cut(bool again) {
        dead_ = !again;
        for (const std::size_t side : {0U, 1U}) {
            if (const auto pair = agents_[side]->selected()) {
                agents_[side]->handle_path_failed(pair->path, now_);
            }
        }
    }

    void run(Duration time) {
        const auto end = now_ + time;
        while (now_ < end) {
            for (const std::size_t side : {0U, 1U}) {
                drain(side);
            }
            auto next = now_ + 1ms;
            for (const std::size_t side : {0U, 1U}) {
                const auto due = agents_[side]->next_timeout();
                next = due ? std::min(next, std::max(*due, now_)) : next;
            }
            now_ = next == now_ ? now_ + Duration{1} : next;
            for (const std::size_t side : {0U, 1U}) {
                agents_[side]->handle_timeout(now_);
            }
        }
    }

    [[nodiscard]] TimePoint now() const { return now_; }

    [[nodiscard]] const std::vector<net::PathAddresses>& sent(std::size_t side) const { return sent_[side]; }

    template <class T>
    [[nodiscard]] std::size_t count(std::size_t side) const {
        return static_cast<std::size_t>(
            std::ranges::count_if(events_[side], [](const Event& event) { return std::holds_alternative<T>(event); }));
    }

  private:
    void drain(std::size_t side) {
        while (const auto packet = agents_[side]->poll_transmit()) {
            sent_[side].push_back(packet->path);
            const auto inside = inside_of_.find(packet->path.remote);
            const auto to = inside == inside_of_.end() ? packet->path.remote : inside->second;
            const auto outside = outside_of_.find(packet->path.local);
            const auto from = outside == outside_of_.end() ? packet->path.local : outside->second;
            if (packet->path.transport != Transport::tcp || dead_ || refused_.contains(packet->path.remote)) {
                if (packet->path.transport == Transport::tcp) {
                    agents_[side]->handle_path_failed(packet->path, now_);
                }
                continue;
            }
            agents_[1 - side]->handle_datagram({.local = to, .remote = from, .transport = Transport::tcp},
                                               packet->payload, now_);
        }
        while (const auto event = agents_[side]->poll_event()) {
            events_[side].push_back(*event);
        }
    }

    TimePoint now_{};
    std::array<std::optional<SeededRng>, 2> rngs_;
    std::array<std::optional<Agent>, 2> agents_;
    std::array<std::vector<net::PathAddresses>, 2> sent_;
    std::array<std::vector<Event>, 2> events_;
    std::map<net::Endpoint, net::Endpoint> inside_of_;
    std::map<net::Endpoint, net::Endpoint> outside_of_;
    std::set<net::Endpoint> refused_;
    bool dead_ = false;
};

/// Side 0 behind a NAT, side 1 public.
void one_side_public(Wires& wires) {
    wires.translate("192.168.1.1:5000", "203.0.113.1:5000");
    wires.offer(0, tcp("192.168.1.1:5000", TcpType::active));
    wires.offer(0, tcp("192.168.1.1:5000", TcpType::passive));
    wires.offer(1, tcp("198.51.100.9:6000", TcpType::active));
    wires.offer(1, tcp("198.51.100.9:6000", TcpType::passive));
    wires.refuse("192.168.1.1:5000");
}

void start(Wires& wires, Duration tcp_after) {
    for (const std::size_t side : {0U, 1U}) {
        wires.agent(side).admit_tcp(wires.now() + tcp_after);
        wires.agent(side).start(wires.now());
    }
}

TEST(TcpAgent, LearnsWhoConnectsFromOutside) {
    Wires wires;
    one_side_public(wires);
    start(wires, 0s);
    wires.run(1s);
    ASSERT_TRUE(wires.agent(0).selected());
    ASSERT_TRUE(wires.agent(1).selected());
    EXPECT_EQ(wires.agent(0).selected()->path.transport, Transport::tcp);
    EXPECT_EQ(wires.agent(1).selected()->remote_type, CandidateType::peer_reflexive);
    EXPECT_EQ(wires.agent(1).selected()->path.remote, at("203.0.113.1:5000"));
    EXPECT_EQ(wires.agent(0).selected()->local_type, CandidateType::peer_reflexive);
}

TEST(TcpAgent, ConnectsBothWaysAtOnceBetweenReflexiveAddresses) {
    Wires wires;
    wires.translate("192.168.1.1:5000", "203.0.113.1:5000");
    wires.translate("10.0.0.1:6000", "203.0.113.2:7000");
    const auto so = TcpType::simultaneous_open;
    wires.offer(0, tcp("203.0.113.1:5000", so, CandidateType::server_reflexive, "192.168.1.1:5000"));
    wires.offer(1, tcp("203.0.113.2:7000", so, CandidateType::server_reflexive, "10.0.0.1:6000"));
    start(wires, 0s);
    wires.run(1s);
    ASSERT_TRUE(wires.agent(0).selected());
    ASSERT_TRUE(wires.agent(1).selected());
    EXPECT_EQ(wires.agent(0).selected()->path.remote, at("203.0.113.2:7000"));
    EXPECT_EQ(wires.agent(0).selected()->local_type, CandidateType::server_reflexive);
}

TEST(TcpAgent, SendsNothingBeforeItsInstant) {
    Wires wires;
    one_side_public(wires);
    start(wires, 2s);
    wires.run(1900ms);
    EXPECT_TRUE(wires.sent(0).empty());
    EXPECT_TRUE(wires.sent(1).empty());
    wires.run(200ms);
    EXPECT_TRUE(wires.agent(0).selected());
}

TEST(TcpAgent, TellsWhichConnectionsAreThoseOfThePeer) {
    Wires wires;
    one_side_public(wires);
    const net::PathAddresses path{
        .local = at("198.51.100.9:6000"), .remote = at("203.0.113.1:5000"), .transport = Transport::tcp};
    EXPECT_FALSE(wires.agent(1).heard_on(path));
    start(wires, 0s);
    wires.run(500ms);
    EXPECT_TRUE(wires.agent(1).heard_on(path));
    auto over_udp = path;
    over_udp.transport = Transport::udp;
    EXPECT_FALSE(wires.agent(1).heard_on(over_udp));
}

TEST(TcpAgent, GivesUpAtOnceWhenNoConnectionCanBeMadeAndNothingMoreIsToCome) {
    Wires wires;
    wires.offer(0, tcp("192.0.2.1:5000", TcpType::active));
    wires.offer(1, tcp("192.0.2.2:5000", TcpType::passive));
    wires.refuse("192.0.2.2:5000");
    wires.agent(0).end_of_remote_candidates(wires.now());
    start(wires, 100ms);
    wires.run(200ms);
    EXPECT_EQ(wires.count<Failed>(0), 1U);
}

TEST(TcpAgent, ConnectsAgainWhenAConnectionThatWorkedBreaks) {
    Wires wires;
    one_side_public(wires);
    start(wires, 0s);
    wires.run(1s);
    ASSERT_TRUE(wires.agent(0).selected());
    wires.cut(/*again=*/true);
    wires.run(1s);
    EXPECT_EQ(wires.count<ConsentLost>(0), 1U);
    EXPECT_EQ(wires.count<ConsentLost>(1), 1U);
    EXPECT_EQ(wires.count<Selected>(0), 2U);
    EXPECT_EQ(wires.count<Selected>(1), 2U);
}

TEST(TcpAgent, TriesABrokenConnectionOnceOnly) {
    Wires wires;
    one_side_public(wires);
    start(wires, 0s);
    wires.run(1s);
    wires.cut(/*again=*/false);
    const auto before = wires.sent(0).size();
    wires.run(10s);
    EXPECT_LE(wires.sent(0).size(), before + 1);
    EXPECT_FALSE(wires.agent(0).selected());
}

TEST(TcpAgent, LeavesABrokenConnectionForAnother) {
    Wires wires;
    one_side_public(wires);
    wires.offer(1, tcp("198.51.100.10:6001", TcpType::passive));
    start(wires, 0s);
    wires.run(1s);
    ASSERT_TRUE(wires.agent(0).selected());
    const auto first = wires.agent(0).selected()->path;
    wires.refuse(first.remote.text().c_str());
    wires.cut(/*again=*/true);
    wires.run(1s);
    ASSERT_TRUE(wires.agent(0).selected());
    EXPECT_NE(wires.agent(0).selected()->path, first);
}

}  // namespace
}  // namespace pinhole::ice
