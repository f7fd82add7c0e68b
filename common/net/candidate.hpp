// ICE candidates (RFC 8445 §5.1) as values that cross the signaling.
#pragma once

#include "common/net/endpoint.hpp"
#include "common/net/transport.hpp"

#include <cstdint>
#include <string>

namespace pinhole::net {

enum class CandidateType : std::uint8_t { host = 0, server_reflexive = 1, peer_reflexive = 2, relayed = 3 };

struct Candidate {
    CandidateType type = CandidateType::host;
    /// Where the other side sends.
    Endpoint endpoint;
    /// Where this side sends from (RFC 8445 §5.1.1.1: the base). Meaningful for local candidates only.
    Endpoint base;
    /// RFC 8445 §5.1.2.
    std::uint32_t priority = 0;
    /// RFC 8445 §5.1.1.3; 1 to 32 characters.
    std::string foundation;
    Transport transport = Transport::udp;
    /// None exactly if `transport` is UDP.
    TcpType tcp_type = TcpType::none;

    friend bool operator==(const Candidate&, const Candidate&) = default;
};

/// RFC 8445 §5.1.2.1 with component 1. `local_preference` orders candidates of one type, 65535 is best. Every direct
/// path over UDP is better than one over TCP, and that is better than a relay.
[[nodiscard]] std::uint32_t candidate_priority(CandidateType type, std::uint16_t local_preference,
                                               Transport transport = Transport::udp);
/// RFC 6544 §4.2: the local preference of a TCP candidate; `other` orders those of one direction, 8191 is best.
[[nodiscard]] std::uint16_t tcp_preference(CandidateType type, TcpType tcp_type, std::uint16_t other);
[[nodiscard]] const char* name(CandidateType type);

}  // namespace pinhole::net
