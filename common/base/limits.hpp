// Every bound that a stranger, a peer or a client can push against, in one place: value, unit, why.
#pragma once

#include "common/base/time.hpp"

#include <cstddef>
#include <cstdint>

namespace pinhole::limits {

/// UDP and TCP port of the server; STUN's own (RFC 8489 §18.6).
inline constexpr std::uint16_t kServerPort = 3478;

// --- signaling -----------------------------------------------------------------------------------------------
/// A Noise message carries at most this many bytes on the wire (Noise §3): the frame length is 16 bits.
inline constexpr std::size_t kMaxFrame = 65535;
/// Plaintext of one frame: kMaxFrame less the AEAD tag.
inline constexpr std::size_t kMaxFramePlaintext = kMaxFrame - 16;
/// Bytes queued towards one signaling peer before the connection is closed: 4 full frames.
inline constexpr std::size_t kMaxSignalingBacklog = 4 * (kMaxFrame + 2);
/// A connection that has not finished its handshake by then is closed.
inline constexpr Duration kHandshakeTimeout = 5s;
/// Silence after which a side asks for a sign of life.
inline constexpr Duration kSignalingPing = 10s;
/// Silence after which the other side counts as gone: two pings and slack, below the 30 s of the requirement.
inline constexpr Duration kSignalingDead = 25s;
/// Candidates one side may offer in a call; RFC 8445 §6.1.2.5 limits pairs to 100.
inline constexpr std::size_t kMaxCandidates = 32;
/// Interface addresses in a peer's report; a machine with more names its first.
inline constexpr std::size_t kMaxReportAddresses = 32;
/// External ports that a report lists for each protocol.
inline constexpr std::size_t kMaxReportSamples = 32;
/// Payload of a Noise handshake message inside a call.
inline constexpr std::size_t kMaxSessionHandshake = 1024;
/// Calls one signaling connection may have under way at once.
inline constexpr std::size_t kMaxCallsPerConnection = 64;
/// TURN servers that a server names to a peer: more than anybody would measure at the start of a call.
inline constexpr std::size_t kMaxRelays = 8;
/// A host name (RFC 1035 §2.3.4), a user name or a password of a relay.
inline constexpr std::size_t kMaxRelayText = 256;
/// Credentials for a relay are good for at most so long, whatever the server says.
inline constexpr Duration kMaxRelayLifetime = std::chrono::days{30};
/// Times one identity may be online at once.
inline constexpr std::size_t kMaxConnectionsPerIdentity = 16;

// --- peer to peer --------------------------------------------------------------------------------------------
/// One control, chat or file message between peers.
inline constexpr std::size_t kMaxPeerMessage = 64 * 1024;
/// UTF-8 bytes of one chat message.
inline constexpr std::size_t kMaxChatText = 16 * 1024;

}  // namespace pinhole::limits
