// Servers that know less, lie or die, and strangers who talk in between.
#include "common/stun/builder.hpp"
#include "tests/unit/netcheck/world.hpp"

#include <algorithm>
#include <string_view>

#include <gtest/gtest.h>

namespace pinhole::netcheck::testing {
namespace {

using net::NatBehavior;

bool noted(const net::NetReport& report, std::string_view words) {
    return std::ranges::any_of(report.notes,
                               [&](const std::string& note) { return note.find(words) != std::string::npos; });
}

lab::NatConfig nat_of(lab::Dependence mapping, lab::Allocation allocation) {
    lab::NatConfig nat;
    nat.mapping = mapping;
    nat.allocation = allocation;
    return nat;
}

TEST(Robustness, AServerWithOneAddressLeavesMappingAndFilteringUnknown) {
    World world{WorldConfig{.nats = {lab::NatConfig{}}, .second_address = false}};
    const auto& report = world.run();
    EXPECT_EQ(report.udp.open, true);
    EXPECT_TRUE(report.udp.reflexive);
    EXPECT_EQ(report.udp.mapping, NatBehavior::unknown);
    EXPECT_EQ(report.udp.filtering, NatBehavior::unknown);
    EXPECT_EQ(report.udp.allocation, net::PortAllocation::preserving);
    EXPECT_TRUE(noted(report, "one address"));
    EXPECT_EQ(net::classify(report), net::NatClass::unknown);
}

TEST(Robustness, ASecondPortProvesTheStrictestMappingAndNothingElse) {
    using lab::Dependence;
    for (const auto mapping :
         {Dependence::endpoint_independent, Dependence::address_dependent, Dependence::address_and_port_dependent}) {
        World world{WorldConfig{
            .nats = {nat_of(mapping, lab::Allocation::random)}, .second_address = false, .second_port = true}};
        const auto& report = world.run();
        const bool strict = mapping == Dependence::address_and_port_dependent;
        EXPECT_EQ(report.udp.mapping, strict ? NatBehavior::address_and_port_dependent : NatBehavior::unknown);
        EXPECT_EQ(report.tcp.mapping, NatBehavior::unknown) << "the second port hears UDP only";
        EXPECT_TRUE(noted(report, "one address"));
    }
}

TEST(Robustness, WithoutANatOneAddressIsEnoughToSayThat) {
    World world{WorldConfig{.second_address = false}};
    EXPECT_EQ(world.run().udp.mapping, NatBehavior::none);
    EXPECT_EQ(world.report().udp.filtering, NatBehavior::unknown);
}

TEST(Robustness, ASecondAddressThatIsDeadIsNoFilter) {
    World world{WorldConfig{.nats = {lab::NatConfig{}}, .dead_second_address = true}};
    const auto& report = world.run();
    EXPECT_EQ(report.udp.open, true);
    EXPECT_EQ(report.udp.filtering, NatBehavior::unknown);
    EXPECT_EQ(report.udp.mapping, NatBehavior::unknown);
    EXPECT_TRUE(noted(report, "second address of the server did not answer"));
    EXPECT_LE(*world.complete_at(), kBudget);
}

TEST(Robustness, AServerThatAnswersFromWhereItWasAskedProvesNoOpenFilter) {
    World world{WorldConfig{.nats = {lab::NatConfig{}}}};
    // As servers do that do not know CHANGE-REQUEST and take it for optional.
    world.on_request = [](const net::PathAddresses&, Bytes& payload) {
        const auto message = stun::MessageView::parse(payload);
        if (message && message->change_request()) {
            stun::MessageBuilder plain{stun::MessageClass::request, stun::kBinding, message->transaction_id()};
            payload = plain.fingerprint().finish();
        }
        return true;
    };
    const auto& report = world.run();
    EXPECT_EQ(report.udp.mapping, NatBehavior::endpoint_independent);
    EXPECT_EQ(report.udp.filtering, NatBehavior::unknown);
    EXPECT_TRUE(noted(report, "does not answer from its other address"));
}

TEST(Robustness, LossOfEveryFirstAnswerChangesNothing) {
    World world{WorldConfig{.nats = {nat_of(lab::Dependence::address_dependent, lab::Allocation::random)}}};
    std::map<net::Endpoint, int> seen;
    world.on_inbound = [&](const net::Endpoint& from, Bytes&) { return ++seen[from] > 12; };
    const auto& udp = world.run().udp;
    EXPECT_EQ(udp.mapping, NatBehavior::address_dependent);
    EXPECT_EQ(udp.filtering, NatBehavior::address_and_port_dependent);
}

TEST(Robustness, StrangersChangeNothing) {
    World world{WorldConfig{.nats = {lab::NatConfig{}}}};
    const net::Endpoint stranger{.address = *net::Address::parse("198.51.100.66"), .port = 3478};
    const auto forged = [](const stun::TransactionId& id) {
        stun::MessageBuilder answer{stun::MessageClass::success, stun::kBinding, id};
        answer.address(stun::AttributeType::xor_mapped_address,
                       {.address = *net::Address::parse("192.0.2.66"), .port = 6666});
        return answer.fingerprint().finish();
    };
    SeededRng rng{5};
    int answered = 0;
    world.on_request = [&](const net::PathAddresses& path, Bytes& payload) {
        // The right transaction, but from where nobody was asked; and a guess from where somebody was.
        const auto message = stun::MessageView::parse(payload);
        if (message && !message->change_request() && ++answered < 40) {
            world.inject(stranger, forged(message->transaction_id()));
            world.inject(path.local, forged(stun::TransactionId::generate(rng)));
        }
        return true;
    };
    const auto& report = world.run();
    EXPECT_GT(answered, 20);
    EXPECT_EQ(report.udp.mapping, NatBehavior::endpoint_independent);
    EXPECT_EQ(report.udp.filtering, NatBehavior::address_and_port_dependent);
    EXPECT_EQ(report.udp.allocation, net::PortAllocation::preserving);
    EXPECT_NE(report.udp.reflexive->address, *net::Address::parse("192.0.2.66"));
}

TEST(Robustness, OneSocketThatMetACollisionDoesNotMakeTheNatSymmetric) {
    World world{WorldConfig{.nats = {lab::NatConfig{}}}};
    // The first question from the second address comes back with another port: what a Linux router does to a socket
    // whose port is taken for that destination.
    std::optional<net::Endpoint> victim;
    world.on_inbound = [&](const net::Endpoint& from, Bytes& payload) {
        const auto message = stun::MessageView::parse(payload);
        const auto reflexive = message ? message->xor_mapped_address() : std::nullopt;
        if (!reflexive || from.address == world.server_endpoint().address) {
            return true;
        }
        if (!victim) {
            victim = *reflexive;
        }
        if (*victim == *reflexive) {
            stun::MessageBuilder other{stun::MessageClass::success, stun::kBinding, message->transaction_id()};
            const auto port = static_cast<std::uint16_t>(10000 + from.port);
            other.address(stun::AttributeType::xor_mapped_address, {.address = reflexive->address, .port = port});
            payload = other.fingerprint().finish();
        }
        return true;
    };
    const auto& report = world.run();
    EXPECT_TRUE(victim);
    EXPECT_EQ(report.udp.mapping, NatBehavior::endpoint_independent);
    EXPECT_TRUE(noted(report, "Two sockets were treated differently"));
}

TEST(Robustness, AnAlternateThatIsNoneIsNotUsed) {
    World world{WorldConfig{.nats = {lab::NatConfig{}}, .second_address = false}};
    world.on_inbound = [&](const net::Endpoint& from, Bytes& payload) {
        const auto message = stun::MessageView::parse(payload);
        const auto reflexive = message ? message->xor_mapped_address() : std::nullopt;
        if (reflexive) {
            stun::MessageBuilder answer{stun::MessageClass::success, stun::kBinding, message->transaction_id()};
            answer.address(stun::AttributeType::xor_mapped_address, *reflexive);
            answer.address(stun::AttributeType::other_address, from);
            payload = answer.fingerprint().finish();
        }
        return true;
    };
    const auto& report = world.run();
    EXPECT_EQ(report.udp.mapping, NatBehavior::unknown);
    EXPECT_EQ(report.udp.filtering, NatBehavior::unknown);
}

}  // namespace
}  // namespace pinhole::netcheck::testing
