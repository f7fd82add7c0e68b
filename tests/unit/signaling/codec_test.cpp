#include "common/signaling/codec.hpp"

#include "common/base/limits.hpp"
#include "common/base/rng.hpp"

#include <string>
#include <utility>
#include <variant>

#include <gtest/gtest.h>

namespace pinhole::signaling {
namespace {

net::Candidate candidate(std::string_view endpoint, net::CandidateType type = net::CandidateType::host) {
    return {.type = type,
            .endpoint = net::Endpoint::parse(endpoint).value_or(net::Endpoint{}),
            .base = {},
            .priority = net::candidate_priority(type, 65535),
            .foundation = "a1"};
}

std::vector<net::Candidate> candidates() {
    auto over_tcp = candidate("192.0.2.1:1000");
    over_tcp.transport = net::Transport::tcp;
    over_tcp.tcp_type = net::TcpType::simultaneous_open;
    return {over_tcp, candidate("192.0.2.1:1000"),
            candidate("[2001:db8::1]:65535", net::CandidateType::server_reflexive),
            candidate("10.0.0.1:1", net::CandidateType::peer_reflexive),
            candidate("[fe80::1]:3478", net::CandidateType::relayed)};
}

crypto::PeerId peer(std::uint8_t first) {
    crypto::PeerId id;
    id.bytes[0] = first;
    return id;
}

/// What comes out at the other side as a `T`.
template <class T>
T through_server(T message) {
    const auto bytes = serialize(ToServer{std::move(message)});
    auto parsed = parse_to_server(bytes);
    EXPECT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(serialize(*parsed), bytes);
    return std::get<T>(*std::move(parsed));
}

template <class T>
T through_peer(T message) {
    const auto bytes = serialize(ToPeer{std::move(message)});
    auto parsed = parse_to_peer(bytes);
    EXPECT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(serialize(*parsed), bytes);
    return std::get<T>(*std::move(parsed));
}

std::error_code refusal(const ToServer& message) {
    const auto parsed = parse_to_server(serialize(message));
    return parsed ? std::error_code{} : parsed.error().code;
}

std::error_code refusal(const ToPeer& message) {
    const auto parsed = parse_to_peer(serialize(message));
    return parsed ? std::error_code{} : parsed.error().code;
}

std::error_code refusal(const Hello& message) {
    const auto parsed = parse_hello(serialize(message));
    return parsed ? std::error_code{} : parsed.error().code;
}

std::error_code refusal(net::Candidate offered) {
    return refusal(ToServer{Trickle{.call = {1}, .candidates = {std::move(offered)}, .last = false}});
}

/// A length-delimited Protobuf field of less than 128 bytes.
Bytes field(std::uint8_t number, ByteView content) {
    Bytes bytes{static_cast<std::uint8_t>(number << 3 | 2), static_cast<std::uint8_t>(content.size())};
    bytes.insert(bytes.end(), content.begin(), content.end());
    return bytes;
}

Connect connect_message() {
    return {.call = {7}, .to = peer(9), .handshake = Bytes(96, 1), .candidates = candidates()};
}

Go go_message() {
    return {
        .call = {7},
        .delay_us = 20'000,
        .plan = {.topology = "lan", .steps = {{.strategy = net::Strategy::host}, {.strategy = net::Strategy::udp}}}};
}

TEST(SignalingCodec, HelloComesThrough) {
    const auto hello = parse_hello(serialize(Hello{.id = peer(3), .version = 2, .agent = "pinhole 0.1"}));
    ASSERT_TRUE(hello);
    EXPECT_EQ(hello->id, peer(3));
    EXPECT_EQ(hello->version, 2U);
    EXPECT_EQ(hello->agent, "pinhole 0.1");
}

TEST(SignalingCodec, MessagesOfBothDirectionsComeThrough) {
    EXPECT_EQ(through_server(Ping{.token = ~0ULL}).token, ~0ULL);
    EXPECT_EQ(through_peer(Ping{.token = 0}).token, 0U);
    EXPECT_EQ(through_server(Pong{.token = 5}).token, 5U);
    EXPECT_EQ(through_peer(Pong{.token = 6}).token, 6U);
    const Trickle trickle{.call = {~0ULL}, .candidates = candidates(), .last = true};
    for (const auto& got : {through_server(trickle), through_peer(trickle)}) {
        EXPECT_EQ(got.call, trickle.call);
        EXPECT_EQ(got.candidates, trickle.candidates);
        EXPECT_TRUE(got.last);
    }
    const Trickle nothing_more{.call = {1}, .candidates = {}, .last = true};
    EXPECT_TRUE(through_server(nothing_more).candidates.empty());
}

TEST(SignalingCodec, EveryEndReasonComesThrough) {
    for (int reason = 1; reason <= 11; ++reason) {
        const End end{.call = {4}, .reason = static_cast<EndReason>(reason), .detail_ms = -1'795'233'906'789};
        for (const auto& got : {through_server(end), through_peer(end)}) {
            EXPECT_EQ(got.call, end.call);
            EXPECT_EQ(got.reason, end.reason);
            EXPECT_EQ(got.detail_ms, end.detail_ms);
        }
    }
}

TEST(SignalingCodec, MessagesToTheServerComeThrough) {
    const auto connect = through_server(connect_message());
    EXPECT_EQ(connect.call, CallId{7});
    EXPECT_EQ(connect.to, peer(9));
    EXPECT_EQ(connect.handshake, Bytes(96, 1));
    EXPECT_EQ(connect.candidates, candidates());
    const auto answer = through_server(Answer{.call = {8}, .handshake = Bytes(48, 2), .candidates = candidates()});
    EXPECT_EQ(answer.call, CallId{8});
    EXPECT_EQ(answer.handshake, Bytes(48, 2));
    EXPECT_EQ(answer.candidates, candidates());
}

TEST(SignalingCodec, MessagesToThePeerComeThrough) {
    const auto welcome = through_peer(Welcome{.observed = *net::Endpoint::parse("[2001:db8::9]:40000"), .version = 1});
    EXPECT_EQ(welcome.observed.text(), "[2001:db8::9]:40000");
    EXPECT_EQ(welcome.version, 1U);
    const auto incoming =
        through_peer(Incoming{.call = {3}, .from = peer(4), .handshake = {1, 2}, .candidates = candidates()});
    EXPECT_EQ(incoming.call, CallId{3});
    EXPECT_EQ(incoming.from, peer(4));
    EXPECT_EQ(incoming.handshake, (Bytes{1, 2}));
    EXPECT_EQ(incoming.candidates, candidates());
    const auto answered = through_peer(Answered{.call = {5}, .handshake = {3}, .candidates = {}});
    EXPECT_EQ(answered.call, CallId{5});
    EXPECT_EQ(answered.handshake, Bytes{3});
    const auto go = through_peer(go_message());
    EXPECT_EQ(go.call, CallId{7});
    EXPECT_EQ(go.delay_us, 20'000U);
    EXPECT_EQ(go.plan, go_message().plan);
}

TEST(SignalingCodec, OnlyTheFieldsThatTravelTravel) {
    auto local = candidate("192.0.2.1:1000");
    local.base = *net::Endpoint::parse("10.0.0.1:1");
    const auto got = through_server(Trickle{.call = {1}, .candidates = {local}, .last = false});
    EXPECT_EQ(got.candidates.at(0).base, net::Endpoint{}) << "the base is nobody else's business";
}

TEST(SignalingCodec, RefusesBytesThatAreNoMessage) {
    EXPECT_EQ(parse_to_server({}).error().code, Errc::not_supported);
    EXPECT_EQ(parse_to_peer({}).error().code, Errc::not_supported);
    EXPECT_EQ(parse_hello({}).error().code, Errc::malformed);
    EXPECT_EQ(parse_to_server(as_bytes("GET / HTTP/1.1\r\n")).error().code, Errc::malformed);
    EXPECT_EQ(parse_to_peer(field(12, {})).error().code, Errc::malformed) << "an answer without anything in it";
}

TEST(SignalingCodec, RefusesBodiesOfALaterVersionByName) {
    const Bytes field_100{0xa2, 0x06, 0x00};
    EXPECT_EQ(parse_to_server(field_100).error().code, Errc::not_supported);
    EXPECT_EQ(parse_to_peer(field_100).error().code, Errc::not_supported);
}

TEST(SignalingCodec, RefusesMessagesAboveOneFrame) {
    EXPECT_EQ(parse_to_server(Bytes(limits::kMaxFramePlaintext + 1)).error().code, Errc::too_large);
    EXPECT_EQ(parse_to_peer(Bytes(limits::kMaxFramePlaintext + 1)).error().code, Errc::too_large);
}

TEST(SignalingCodec, RefusesTruncationAnywhereInsideTheBody) {
    const auto bytes = serialize(ToServer{connect_message()});
    for (std::size_t size = 1; size < bytes.size(); ++size) {
        EXPECT_FALSE(parse_to_server(ByteView{bytes}.first(size))) << size;
    }
}

TEST(SignalingCodec, RefusesAnUnusableHello) {
    EXPECT_EQ(refusal(Hello{.id = {}, .version = 0, .agent = "a"}), Errc::malformed);
    EXPECT_EQ(refusal(Hello{.id = {}, .version = 1, .agent = std::string(65, 'a')}), Errc::malformed);
    EXPECT_EQ(refusal(Hello{.id = {}, .version = 1, .agent = "a\nb"}), Errc::malformed);
    EXPECT_EQ(refusal(Hello{.id = {}, .version = 1, .agent = "\xff"}), Errc::malformed);
    EXPECT_FALSE(refusal(Hello{.id = {}, .version = 1, .agent = std::string(64, 'a')}));
    EXPECT_FALSE(refusal(Hello{.id = {}, .version = 1, .agent = ""}));
}

TEST(SignalingCodec, RefusesIdsOfAnotherLength) {
    const Bytes version{0x08, 1};
    for (const std::size_t size : {0U, 31U, 33U}) {
        auto hello = field(2, Bytes(size));
        hello.insert(hello.end(), version.begin(), version.end());
        EXPECT_EQ(parse_hello(hello).error().code, Errc::malformed) << size;
        auto connect = field(2, Bytes(size));
        const auto handshake = field(3, Bytes(4));
        connect.insert(connect.end(), handshake.begin(), handshake.end());
        EXPECT_EQ(parse_to_server(field(10, connect)).error().code, Errc::malformed) << size;
    }
}

TEST(SignalingCodec, RefusesTooManyCandidates) {
    auto message = connect_message();
    message.candidates.assign(limits::kMaxCandidates, candidate("192.0.2.1:1000"));
    EXPECT_FALSE(refusal(ToServer{message}));
    message.candidates.push_back(candidate("192.0.2.1:1000"));
    EXPECT_EQ(refusal(ToServer{message}), Errc::too_large);
    EXPECT_EQ(refusal(ToPeer{Trickle{.call = {1}, .candidates = message.candidates, .last = false}}), Errc::too_large);
}

TEST(SignalingCodec, RefusesCandidatesThatNothingMayBeSentTo) {
    for (const auto* text : {"0.0.0.0:1", "224.0.0.1:1", "239.255.255.255:1", "255.255.255.255:1", "[::]:1",
                             "[ff02::1]:1", "[::ffff:224.0.0.1]:1"}) {
        ASSERT_TRUE(net::Endpoint::parse(text)) << text;
        EXPECT_EQ(refusal(candidate(text)), Errc::malformed) << text;
    }
    auto no_port = candidate("192.0.2.1:1");
    no_port.endpoint.port = 0;
    EXPECT_EQ(refusal(no_port), Errc::malformed);
    EXPECT_FALSE(refusal(candidate("127.0.0.1:1"))) << "two peers on one machine";
}

/// A Trickle of one host candidate at `endpoint`, as bytes on the wire.
Bytes trickle_of(ByteView endpoint) {
    auto content = field(2, endpoint);
    const auto foundation = field(4, as_bytes("a"));
    content.insert(content.end(), foundation.begin(), foundation.end());
    content.insert(content.end(), {0x08, 0x01});
    return field(3, field(2, content));
}

TEST(SignalingCodec, RefusesEndpointsOfAnotherLength) {
    for (const std::size_t size : {0U, 4U, 5U, 7U, 16U, 17U, 19U}) {
        EXPECT_EQ(parse_to_server(trickle_of(Bytes(size, 1))).error().code, Errc::malformed) << size;
    }
    EXPECT_TRUE(parse_to_server(trickle_of(Bytes(6, 1))));
    EXPECT_TRUE(parse_to_server(trickle_of(Bytes(18, 1))));
}

TEST(SignalingCodec, AnIpv4AddressHasOneForm) {
    const Bytes mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1, 0, 80};
    EXPECT_EQ(parse_to_server(trickle_of(mapped)).error().code, Errc::malformed);
    const auto welcome =
        through_peer(Welcome{.observed = *net::Endpoint::parse("[::ffff:192.0.2.1]:80"), .version = 1});
    EXPECT_EQ(welcome.observed.text(), "192.0.2.1:80") << "what a dual-stack socket reports";
}

TEST(SignalingCodec, RefusesUnknownCandidateTypes) {
    for (const int type : {4, 5, 200}) {
        EXPECT_EQ(refusal(candidate("192.0.2.1:1", static_cast<net::CandidateType>(type))), Errc::malformed) << type;
    }
    const auto untyped = field(2, Bytes{192, 0, 2, 1, 0, 1});
    EXPECT_EQ(parse_to_server(field(3, field(2, untyped))).error().code, Errc::malformed);
}

TEST(SignalingCodec, RefusesFoundationsThatAreNoIceChars) {
    for (const auto& foundation :
         {std::string{}, std::string(33, 'a'), std::string{"a b"}, std::string{"a-b"}, std::string{"\xc3\xa9"}}) {
        auto offered = candidate("192.0.2.1:1");
        offered.foundation = foundation;
        EXPECT_EQ(refusal(offered), Errc::malformed) << foundation;
    }
    auto offered = candidate("192.0.2.1:1");
    offered.foundation = "09azAZ+/" + std::string(24, 'x');
    EXPECT_FALSE(refusal(offered));
}

TEST(SignalingCodec, BoundsTheSessionHandshake) {
    auto message = connect_message();
    message.handshake.assign(limits::kMaxSessionHandshake, 1);
    EXPECT_FALSE(refusal(ToServer{message}));
    message.handshake.push_back(1);
    EXPECT_EQ(refusal(ToServer{message}), Errc::too_large);
    message.handshake.clear();
    EXPECT_EQ(refusal(ToServer{message}), Errc::malformed);
    EXPECT_EQ(refusal(ToPeer{Answered{.call = {1}, .handshake = Bytes(1025), .candidates = {}}}), Errc::too_large);
    EXPECT_EQ(refusal(ToPeer{Incoming{.call = {1}, .from = {}, .handshake = {}, .candidates = {}}}), Errc::malformed);
}

TEST(SignalingCodec, RefusesUnknownEndReasons) {
    for (const int reason : {0, 12, 255}) {
        const End end{.call = {1}, .reason = static_cast<EndReason>(reason), .detail_ms = 0};
        EXPECT_EQ(refusal(ToServer{end}), Errc::malformed) << reason;
        EXPECT_EQ(refusal(ToPeer{end}), Errc::malformed) << reason;
    }
}

TEST(SignalingCodec, RefusesAWelcomeWithoutVersion) {
    const auto observed = *net::Endpoint::parse("192.0.2.1:1");
    EXPECT_EQ(refusal(ToPeer{Welcome{.observed = observed, .version = 0}}), Errc::malformed);
}

TEST(SignalingCodec, AWelcomeNamesTheSecondStunPortIfThereIsOne) {
    const auto observed = *net::Endpoint::parse("192.0.2.1:1");
    EXPECT_EQ(through_peer(Welcome{.observed = observed, .version = 1}).second_stun_port, std::nullopt);
    EXPECT_EQ(through_peer(Welcome{.observed = observed, .version = 1, .second_stun_port = 3479}).second_stun_port,
              3479);
    auto content = field(2, Bytes{192, 0, 2, 1, 0, 1});
    content.insert(content.end(), {0x08, 0x01, 0x18, 0x80, 0x80, 0x04});
    EXPECT_EQ(parse_to_peer(field(10, content)).error().code, Errc::malformed) << "65536 is no port";
}

TEST(SignalingCodec, TheLargestMessagesFitOneFrame) {
    auto message = connect_message();
    message.handshake.assign(limits::kMaxSessionHandshake, 1);
    auto longest = candidate("[2001:db8::1]:65535");
    longest.foundation = std::string(32, 'x');
    message.candidates.assign(limits::kMaxCandidates, longest);
    message.call.value = ~0ULL;
    EXPECT_LT(serialize(ToServer{message}).size(), 4096U);
}

TEST(SignalingCodec, SurvivesRandomBytes) {
    constexpr std::uint64_t kSeed = 31;
    SCOPED_TRACE(kSeed);
    SeededRng rng{kSeed};
    testing::internal::CaptureStderr();
    for (int i = 0; i < 5000; ++i) {
        Bytes bytes(rng.below(64));
        rng.fill(bytes);
        static_cast<void>(parse_to_server(bytes));
        static_cast<void>(parse_to_peer(bytes));
        static_cast<void>(parse_hello(bytes));
    }
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "") << "a stranger must not be able to write into the log";
}

}  // namespace
}  // namespace pinhole::signaling
