#include "common/net/candidate.hpp"

namespace pinhole::net {

namespace {

// RFC 8445 §5.1.2.2 for UDP. RFC 6544 §4.2 leaves it to us how much worse TCP is: a packet that is lost there holds up
// all that follow, which is still better than a detour.
std::uint32_t type_preference(CandidateType type, Transport transport) {
    const bool udp = transport == Transport::udp;
    switch (type) {
        case CandidateType::host:
            return udp ? 126 : 90;
        case CandidateType::peer_reflexive:
            return udp ? 110 : 80;
        case CandidateType::server_reflexive:
            return udp ? 100 : 70;
        case CandidateType::relayed:
            break;
    }
    return 0;
}

}  // namespace

std::uint32_t candidate_priority(CandidateType type, std::uint16_t local_preference, Transport transport) {
    return type_preference(type, transport) << 24 | std::uint32_t{local_preference} << 8 | 255U;
}

std::uint16_t tcp_preference(CandidateType type, TcpType tcp_type, std::uint16_t other) {
    // RFC 6544 §4.2: between hosts whoever connects is let in; through NATs both have to.
    const bool through_nat = type == CandidateType::server_reflexive || type == CandidateType::peer_reflexive;
    std::uint32_t direction = 0;
    switch (tcp_type) {
        case TcpType::active:
            direction = through_nat ? 4 : 6;
            break;
        case TcpType::passive:
            direction = through_nat ? 2 : 4;
            break;
        case TcpType::simultaneous_open:
            direction = through_nat ? 6 : 2;
            break;
        case TcpType::none:
            break;
    }
    constexpr std::uint32_t kOthers = 1U << 13;
    return static_cast<std::uint16_t>(direction * kOthers + other % kOthers);
}

const char* name(CandidateType type) {
    switch (type) {
        case CandidateType::host:
            return "host";
        case CandidateType::server_reflexive:
            return "srflx";
        case CandidateType::peer_reflexive:
            return "prflx";
        case CandidateType::relayed:
            return "relay";
    }
    return "unknown";
}

}  // namespace pinhole::net
