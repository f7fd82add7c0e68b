#include "common/signaling/codec.hpp"

#include "common/base/limits.hpp"
#include "common/signaling/endpoint_codec.hpp"
#include "common/signaling/punch_codec.hpp"
#include "common/signaling/relay_codec.hpp"
#include "common/signaling/report_codec.hpp"
#include "common/signaling/text.hpp"
#include "rendezvous.pb.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace pinhole::signaling {

namespace {

namespace pb = rendezvous::v1;

template <class T>
using Repeated = google::protobuf::RepeatedPtrField<T>;

constexpr std::size_t kMaxFoundation = 32;
constexpr std::uint32_t kMaxPort = 65535;

std::unexpected<Error> malformed(const char* what) {
    return fail(Errc::malformed, what);
}

std::unexpected<Error> too_large(const char* what) {
    return fail(Errc::too_large, what);
}

// --- values to Protobuf ---

std::string blob(ByteView bytes) {
    return std::string{as_text(bytes)};
}

void put(const std::vector<net::Candidate>& from, Repeated<pb::Candidate>& to) {
    for (const auto& candidate : from) {
        auto& out = *to.Add();
        out.set_type(static_cast<pb::CandidateType>(static_cast<int>(candidate.type) + 1));
        out.set_endpoint(endpoint_blob(candidate.endpoint));
        out.set_priority(candidate.priority);
        out.set_foundation(candidate.foundation);
        out.set_tcp_type(static_cast<pb::TcpType>(candidate.tcp_type));
    }
}

template <class Envelope>
void put(const Ping& from, Envelope& to) {
    to.mutable_ping()->set_token(from.token);
}

template <class Envelope>
void put(const Pong& from, Envelope& to) {
    to.mutable_pong()->set_token(from.token);
}

template <class Envelope>
void put(const Trickle& from, Envelope& to) {
    auto& body = *to.mutable_trickle();
    body.set_call(from.call.value);
    put(from.candidates, *body.mutable_candidates());
    body.set_last(from.last);
}

template <class Envelope>
void put(const End& from, Envelope& to) {
    auto& body = *to.mutable_end();
    body.set_call(from.call.value);
    body.set_reason(static_cast<pb::EndReason>(from.reason));
    body.set_detail_ms(from.detail_ms);
}

void put(const Connect& from, pb::ToServer& to) {
    auto& body = *to.mutable_connect();
    body.set_call(from.call.value);
    body.set_to(blob(from.to.bytes));
    body.set_handshake(blob(from.handshake));
    put(from.candidates, *body.mutable_candidates());
}

void put(const Answer& from, pb::ToServer& to) {
    auto& body = *to.mutable_answer();
    body.set_call(from.call.value);
    body.set_handshake(blob(from.handshake));
    put(from.candidates, *body.mutable_candidates());
}

void put(const Report& from, pb::ToServer& to) {
    put_report(from.report, *to.mutable_report());
}

void put(const Welcome& from, pb::ToPeer& to) {
    auto& body = *to.mutable_welcome();
    body.set_version(from.version);
    body.set_observed(endpoint_blob(from.observed));
    body.set_second_stun_port(from.second_stun_port.value_or(0));
}

void put(const Incoming& from, pb::ToPeer& to) {
    auto& body = *to.mutable_incoming();
    body.set_call(from.call.value);
    body.set_from(blob(from.from.bytes));
    body.set_handshake(blob(from.handshake));
    put(from.candidates, *body.mutable_candidates());
}

void put(const Answered& from, pb::ToPeer& to) {
    auto& body = *to.mutable_answered();
    body.set_call(from.call.value);
    body.set_handshake(blob(from.handshake));
    put(from.candidates, *body.mutable_candidates());
}

void put(const PunchSamples& from, pb::ToServer& to) {
    put_samples(from, *to.mutable_punch_samples());
}

void put(const PunchOutcome& from, pb::ToServer& to) {
    put_outcome(from, *to.mutable_punch_outcome());
}

void put(const Go& from, pb::ToPeer& to) {
    put_go(from, *to.mutable_go());
}

void put(const PunchScan& from, pb::ToPeer& to) {
    put_scan(from, *to.mutable_punch_scan());
}

void put(const Relays& from, pb::ToPeer& to) {
    put_relays(from, *to.mutable_relays());
}

Bytes encode(const google::protobuf::MessageLite& message) {
    Bytes bytes(message.ByteSizeLong());
    message.SerializeWithCachedSizesToArray(bytes.data());
    return bytes;
}

// --- Protobuf to values ---

// RFC 8839 §5.1: ice-char = ALPHA / DIGIT / "+" / "/".
bool is_ice_char(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

Result<net::Candidate> to_candidate(const pb::Candidate& from) {
    if (from.type() < pb::CANDIDATE_TYPE_HOST || from.type() > pb::CANDIDATE_TYPE_RELAYED) {
        return malformed("candidate type");
    }
    const auto endpoint = to_endpoint(from.endpoint());
    if (!endpoint || !is_destination(*endpoint)) {
        return malformed("candidate endpoint");
    }
    const auto& foundation = from.foundation();
    if (foundation.empty() || foundation.size() > kMaxFoundation || !std::ranges::all_of(foundation, is_ice_char)) {
        return malformed("candidate foundation");
    }
    if (from.tcp_type() < pb::TCP_TYPE_NONE || from.tcp_type() > pb::TCP_TYPE_SIMULTANEOUS_OPEN) {
        return malformed("candidate TCP type");
    }
    const auto tcp_type = static_cast<net::TcpType>(from.tcp_type());
    return net::Candidate{.type = static_cast<net::CandidateType>(from.type() - 1),
                          .endpoint = *endpoint,
                          .base = {},
                          .priority = from.priority(),
                          .foundation = foundation,
                          .transport = tcp_type == net::TcpType::none ? net::Transport::udp : net::Transport::tcp,
                          .tcp_type = tcp_type};
}

Status get(const Repeated<pb::Candidate>& from, std::vector<net::Candidate>& to) {
    if (std::cmp_greater(from.size(), limits::kMaxCandidates)) {
        return too_large("candidates");
    }
    for (const auto& item : from) {
        auto candidate = to_candidate(item);
        if (!candidate) {
            return std::unexpected(candidate.error());
        }
        to.push_back(*std::move(candidate));
    }
    return {};
}

Status get(const std::string& from, crypto::PeerId& to) {
    const auto id = crypto::PeerId::from_bytes(as_bytes(from));
    if (!id) {
        return malformed("peer ID");
    }
    to = *id;
    return {};
}

Status get_handshake(const std::string& from, Bytes& to) {
    if (from.empty()) {
        return malformed("session handshake");
    }
    if (from.size() > limits::kMaxSessionHandshake) {
        return too_large("session handshake");
    }
    to = to_bytes(as_bytes(from));
    return {};
}

/// The value if every check passed, the first error otherwise.
template <class T>
Result<T> checked(T value, std::initializer_list<Status> checks) {
    for (const auto& check : checks) {
        if (!check) {
            return std::unexpected(check.error());
        }
    }
    return value;
}

Result<Ping> to_value(const pb::Ping& from) {
    return Ping{.token = from.token()};
}

Result<Pong> to_value(const pb::Pong& from) {
    return Pong{.token = from.token()};
}

Result<Trickle> to_value(const pb::Trickle& from) {
    Trickle value{.call = {from.call()}, .candidates = {}, .last = from.last()};
    auto candidates = get(from.candidates(), value.candidates);
    return checked(std::move(value), {std::move(candidates)});
}

Result<End> to_value(const pb::End& from) {
    if (from.reason() < pb::END_REASON_HANGUP || from.reason() > pb::END_REASON_ASLEEP) {
        return malformed("end reason");
    }
    return End{.call = {from.call()}, .reason = static_cast<EndReason>(from.reason()), .detail_ms = from.detail_ms()};
}

Result<Connect> to_value(const pb::Connect& from) {
    Connect value;
    value.call = {from.call()};
    auto to = get(from.to(), value.to);
    auto handshake = get_handshake(from.handshake(), value.handshake);
    auto candidates = get(from.candidates(), value.candidates);
    return checked(std::move(value), {std::move(to), std::move(handshake), std::move(candidates)});
}

Result<Incoming> to_value(const pb::Incoming& from) {
    Incoming value;
    value.call = {from.call()};
    auto caller = get(from.from(), value.from);
    auto handshake = get_handshake(from.handshake(), value.handshake);
    auto candidates = get(from.candidates(), value.candidates);
    return checked(std::move(value), {std::move(caller), std::move(handshake), std::move(candidates)});
}

template <class Value, class Message>
Result<Value> to_answer(const Message& from) {
    Value value;
    value.call = {from.call()};
    auto handshake = get_handshake(from.handshake(), value.handshake);
    auto candidates = get(from.candidates(), value.candidates);
    return checked(std::move(value), {std::move(handshake), std::move(candidates)});
}

Result<Answer> to_value(const pb::Answer& from) {
    return to_answer<Answer>(from);
}

Result<Answered> to_value(const pb::Answered& from) {
    return to_answer<Answered>(from);
}

Result<Report> to_value(const pb::Report& from) {
    auto report = to_report(from);
    if (!report) {
        return std::unexpected(report.error());
    }
    return Report{.report = *std::move(report)};
}

Result<Welcome> to_value(const pb::Welcome& from) {
    const auto observed = to_endpoint(from.observed());
    const auto second = from.second_stun_port();
    if (!observed || from.version() == 0 || second > kMaxPort) {
        return malformed("welcome");
    }
    Welcome value{.observed = *observed, .version = from.version(), .second_stun_port = {}};
    if (second != 0) {
        value.second_stun_port = static_cast<std::uint16_t>(second);
    }
    return value;
}

Result<PunchSamples> to_value(const pb::PunchSamples& from) {
    return to_samples(from);
}

Result<PunchOutcome> to_value(const pb::PunchOutcome& from) {
    return to_outcome(from);
}

Result<Go> to_value(const pb::Go& from) {
    return to_go(from);
}

Result<PunchScan> to_value(const pb::PunchScan& from) {
    return to_scan(from);
}

Result<Relays> to_value(const pb::Relays& from) {
    return to_relays(from);
}

template <class Envelope>
Result<Envelope> decode(ByteView bytes) {
    if (bytes.size() > limits::kMaxFramePlaintext) {
        return too_large("signaling message");
    }
    Envelope envelope;
    if (!envelope.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
        return malformed("signaling message");
    }
    return envelope;
}

/// Lifts the value of one body into the variant of all.
template <class Variant, class Message>
Result<Variant> lift(const Message& body) {
    auto value = to_value(body);
    if (!value) {
        return std::unexpected(value.error());
    }
    return Variant{*std::move(value)};
}

std::unexpected<Error> unknown_body() {
    return fail(Errc::not_supported, "signaling message");
}

}  // namespace

Bytes serialize(const Hello& message) {
    pb::Hello out;
    out.set_version(message.version);
    out.set_id(blob(message.id.bytes));
    out.set_agent(message.agent);
    return encode(out);
}

Bytes serialize(const ToServer& message) {
    pb::ToServer out;
    std::visit([&](const auto& body) { put(body, out); }, message);
    return encode(out);
}

Bytes serialize(const ToPeer& message) {
    pb::ToPeer out;
    std::visit([&](const auto& body) { put(body, out); }, message);
    return encode(out);
}

Result<Hello> parse_hello(ByteView bytes) {
    const auto in = decode<pb::Hello>(bytes);
    if (!in) {
        return std::unexpected(in.error());
    }
    if (in->version() == 0 || !is_text(in->agent())) {
        return malformed("hello");
    }
    Hello value{.id = {}, .version = in->version(), .agent = in->agent()};
    auto id = get(in->id(), value.id);
    return checked(std::move(value), {std::move(id)});
}

Result<ToServer> parse_to_server(ByteView bytes) {
    const auto in = decode<pb::ToServer>(bytes);
    if (!in) {
        return std::unexpected(in.error());
    }
    switch (in->body_case()) {
        case pb::ToServer::kPing:
            return lift<ToServer>(in->ping());
        case pb::ToServer::kPong:
            return lift<ToServer>(in->pong());
        case pb::ToServer::kTrickle:
            return lift<ToServer>(in->trickle());
        case pb::ToServer::kEnd:
            return lift<ToServer>(in->end());
        case pb::ToServer::kConnect:
            return lift<ToServer>(in->connect());
        case pb::ToServer::kAnswer:
            return lift<ToServer>(in->answer());
        case pb::ToServer::kReport:
            return lift<ToServer>(in->report());
        case pb::ToServer::kPunchSamples:
            return lift<ToServer>(in->punch_samples());
        case pb::ToServer::kPunchOutcome:
            return lift<ToServer>(in->punch_outcome());
        case pb::ToServer::BODY_NOT_SET:
            break;
    }
    return unknown_body();
}

Result<ToPeer> parse_to_peer(ByteView bytes) {
    const auto in = decode<pb::ToPeer>(bytes);
    if (!in) {
        return std::unexpected(in.error());
    }
    switch (in->body_case()) {
        case pb::ToPeer::kPing:
            return lift<ToPeer>(in->ping());
        case pb::ToPeer::kPong:
            return lift<ToPeer>(in->pong());
        case pb::ToPeer::kTrickle:
            return lift<ToPeer>(in->trickle());
        case pb::ToPeer::kEnd:
            return lift<ToPeer>(in->end());
        case pb::ToPeer::kWelcome:
            return lift<ToPeer>(in->welcome());
        case pb::ToPeer::kIncoming:
            return lift<ToPeer>(in->incoming());
        case pb::ToPeer::kAnswered:
            return lift<ToPeer>(in->answered());
        case pb::ToPeer::kGo:
            return lift<ToPeer>(in->go());
        case pb::ToPeer::kPunchScan:
            return lift<ToPeer>(in->punch_scan());
        case pb::ToPeer::kRelays:
            return lift<ToPeer>(in->relays());
        case pb::ToPeer::BODY_NOT_SET:
            break;
    }
    return unknown_body();
}

}  // namespace pinhole::signaling
