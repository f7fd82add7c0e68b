// What a peer and the rendezvous server say to each other, as domain values; codec.hpp turns them into Protobuf and
// back. The specification is proto/README.md. `CallId` names a call on one connection only: the server maps the
// caller's id to one of its own for each callee.
#pragma once

#include "common/base/bytes.hpp"
#include "common/base/ids.hpp"
#include "common/base/time.hpp"
#include "common/crypto/keys.hpp"
#include "common/net/candidate.hpp"
#include "common/net/net_report.hpp"
#include "common/net/punch_plan.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace pinhole::signaling {

using CallId = StrongId<struct CallIdTag>;

/// Payload of the client's last handshake message: who it is. The server checks it against the Noise static key.
struct Hello {
    crypto::PeerId id;
    std::uint32_t version = 0;
    std::string agent;  ///< program and version, for logs; at most 64 bytes
};

// --- both ways ---
struct Ping {
    std::uint64_t token = 0;
};

struct Pong {
    std::uint64_t token = 0;
};

/// More candidates of a call (RFC 8838); `last` is end-of-candidates.
struct Trickle {
    CallId call;
    std::vector<net::Candidate> candidates;
    bool last = false;
};

enum class EndReason : std::uint8_t {
    hangup = 1,  ///< the other side ended the call
    offline,     ///< nobody with this ID is online
    refused,     ///< the callee does not take calls from this peer
    unwanted,    ///< the callee is online, but nothing there takes this kind of call (no receive, no chat)
    stale,       ///< the callee's clock says the handshake is old; `detail_ms` is its clock
    bad,         ///< the handshake could not be read
    elsewhere,   ///< another instance of this identity took the call
    lost,        ///< the other side's connection to the server broke before the call was set up
    limit,       ///< too many calls
    timeout,     ///< no answer in time
    asleep       ///< nobody with this ID is online, but who was has fallen silent and not left: it may come back
};

struct End {
    CallId call;
    EndReason reason = EndReason::hangup;
    std::int64_t detail_ms = 0;
};

// --- peer to server ---
struct Connect {
    CallId call;
    crypto::PeerId to;
    Bytes handshake;  ///< first message of the session's Noise IK
    std::vector<net::Candidate> candidates;
};

struct Answer {
    CallId call;
    Bytes handshake;  ///< second message of the session's Noise IK
    std::vector<net::Candidate> candidates;
};

/// Where this peer stands in the network, as it measured it; the newest one counts. Without the notes.
struct Report {
    net::NetReport report;
};

/// External ports that fresh sockets of an `open` step got at the server's STUN: `before` the burst and `after` it.
struct PunchSamples {
    CallId call;
    std::uint32_t step = 0;  ///< its index in this side's plan
    net::Address external;
    std::vector<std::uint16_t> before;  ///< at most net::kMaxPunchSamples, in the order of their making
    std::vector<std::uint16_t> after;   ///< likewise
};

/// What became of the plan, for the server's statistics.
struct PunchOutcome {
    CallId call;
    std::optional<net::Strategy> strategy;  ///< that found the direct path; nullopt: there is none
    std::uint32_t elapsed_ms = 0;           ///< since Go's instant
};

// --- server to peer ---
struct Welcome {
    /// Where the server sees this TCP connection come from.
    net::Endpoint observed;
    std::uint32_t version = 0;
    /// The server's other UDP port for STUN, on the addresses of its first one: shows whether a mapping depends on the
    /// remote port.
    std::optional<std::uint16_t> second_stun_port = std::nullopt;
};

struct Incoming {
    CallId call;
    crypto::PeerId from;  ///< as the server knows it; the handshake proves it
    Bytes handshake;
    std::vector<net::Candidate> candidates;
};

struct Answered {
    CallId call;
    Bytes handshake;
    std::vector<net::Candidate> candidates;
};

/// "Start checking so long after reading this": both sides start at one instant. Each gets its own side of the plan.
struct Go {
    CallId call;
    std::uint32_t delay_us = 0;
    net::PunchPlan plan;
};

/// The ports that a step of this side's plan was waiting for.
struct PunchScan {
    CallId call;
    std::uint32_t step = 0;  ///< its index in this side's plan
    std::vector<net::PortRange> ranges;
};

/// A TURN server that this peer may use, with credentials for a while (proto/README.md, 2.8). Never logged.
struct Relay {
    /// Name or address; empty: this server, at the address and port by which it was reached, and `port` is 0.
    std::string host{};
    std::uint16_t port = 0;
    bool udp = false;
    bool tcp = false;
    bool tls = false;
    std::string username{};
    std::string password{};
    Duration lifetime{};  ///< of the credentials, from the arrival of the message; whole seconds
    /// SHA-256 of the certificate that the relay shows on TLS; nullopt: any that is valid for `host`.
    std::optional<std::array<std::uint8_t, 32>> certificate = std::nullopt;

    friend bool operator==(const Relay&, const Relay&) = default;
};

/// All relays that this peer may use, after Welcome and again before their credentials expire; the newest list counts.
struct Relays {
    std::vector<Relay> relays;
};

using ToServer = std::variant<Ping, Pong, Connect, Answer, Trickle, End, Report, PunchSamples, PunchOutcome>;
using ToPeer = std::variant<Welcome, Ping, Pong, Incoming, Answered, Trickle, Go, PunchScan, End, Relays>;

/// The call that a message is about; nullopt if it is about none.
[[nodiscard]] inline std::optional<CallId> call_of(const ToPeer& message) {
    return std::visit(
        [](const auto& body) -> std::optional<CallId> {
            if constexpr (requires { body.call; }) {
                return body.call;
            } else {
                return std::nullopt;
            }
        },
        message);
}

inline constexpr std::uint32_t kVersion = 1;

}  // namespace pinhole::signaling
