#include "common/net/candidate.hpp"

namespace pinhole::net {

std::uint32_t candidate_priority(CandidateType type, std::uint16_t local_preference) {
    // RFC 8445 §5.1.2.2: recommended type preferences, component ID 1.
    const std::uint32_t type_preference = type == CandidateType::host               ? 126
                                          : type == CandidateType::peer_reflexive   ? 110
                                          : type == CandidateType::server_reflexive ? 100
                                                                                    : 0;
    return type_preference << 24 | std::uint32_t{local_preference} << 8 | 255U;
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
