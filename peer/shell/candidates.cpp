#include "peer/shell/candidates.hpp"

#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace pinhole::shell {

namespace {

/// RFC 6544 §4.2: 13 bits order candidates of one direction.
constexpr std::uint16_t kBestTcpPlace = 8191;

net::Candidate over_tcp(net::Candidate candidate, net::TcpType type, std::uint16_t place) {
    candidate.transport = net::Transport::tcp;
    candidate.tcp_type = type;
    candidate.priority =
        net::candidate_priority(candidate.type, net::tcp_preference(candidate.type, type, place), net::Transport::tcp);
    return candidate;
}

}  // namespace

std::vector<net::Candidate> host_candidates(const std::vector<net::Address>& addresses, net::Family family,
                                            std::uint16_t port) {
    std::vector<net::Candidate> candidates;
    std::uint16_t preference = 65535;
    for (const auto& address : addresses) {
        if (address.family() != family) {
            continue;
        }
        const net::Endpoint endpoint{.address = address, .port = port};
        // RFC 8421 §4: alternate the families, so that a broken one costs at most a few checks.
        const auto family_step = static_cast<std::uint16_t>(family == net::Family::v6 ? 0 : 1);
        candidates.push_back(
            {.type = net::CandidateType::host,
             .endpoint = endpoint,
             .base = endpoint,
             .priority = net::candidate_priority(net::CandidateType::host,
                                                 static_cast<std::uint16_t>(preference - family_step)),
             .foundation = (family == net::Family::v6 ? "h6" : "h4") + std::to_string(65535 - preference)});
        preference = static_cast<std::uint16_t>(preference - 2);
    }
    return candidates;
}

std::vector<net::Candidate> tcp_host_candidates(const std::vector<net::Address>& addresses, net::Family family,
                                                std::uint16_t port) {
    std::vector<net::Candidate> candidates;
    std::uint16_t place = 0;
    for (const auto& address : addresses) {
        if (address.family() != family) {
            continue;
        }
        const auto other = static_cast<std::uint16_t>(kBestTcpPlace - 2 * place - (family == net::Family::v6 ? 0 : 1));
        for (const auto type : {net::TcpType::active, net::TcpType::passive}) {
            candidates.push_back(
                over_tcp({.type = net::CandidateType::host,
                          .endpoint = {.address = address, .port = port},
                          .base = {.address = address, .port = port},
                          .foundation = (family == net::Family::v6 ? "t6" : "t4") + std::to_string(2 * place) +
                                        (type == net::TcpType::active ? "a" : "p")},
                         type, other));
        }
        ++place;
    }
    return candidates;
}

std::optional<net::Candidate> reflexive_candidate(const ice::Reflexive& answer) {
    if (answer.path.transport == net::Transport::tcp) {
        const bool nat = answer.reflexive != answer.path.local;
        const bool six = answer.path.local.address.family() == net::Family::v6;
        return over_tcp({.type = nat ? net::CandidateType::server_reflexive : net::CandidateType::host,
                         .endpoint = answer.reflexive,
                         .base = answer.path.local,
                         .foundation = six ? "o6" : "o4"},
                        net::TcpType::simultaneous_open,
                        static_cast<std::uint16_t>(six ? kBestTcpPlace : kBestTcpPlace - 1));
    }
    if (answer.reflexive == answer.path.local) {
        return std::nullopt;
    }
    const bool v6 = answer.path.local.address.family() == net::Family::v6;
    return net::Candidate{.type = net::CandidateType::server_reflexive,
                          .endpoint = answer.reflexive,
                          .base = answer.path.local,
                          .priority = net::candidate_priority(net::CandidateType::server_reflexive,
                                                              static_cast<std::uint16_t>(v6 ? 65535 : 65534)),
                          .foundation = v6 ? "s6" : "s4"};
}

std::vector<net::Address> usable_addresses(const std::vector<net::Address>& all, const net::Address& server,
                                           const std::optional<net::Address>& bind) {
    std::vector<net::Address> usable;
    for (const auto& address : all) {
        if (address.is_loopback() == server.is_loopback() && (!bind || *bind == address)) {
            usable.push_back(address);
        }
    }
    return usable;
}

std::optional<net::Address> source_address_for(const net::Endpoint& remote) {
    const bool v4 = remote.address.is_v4();
    const int socket = ::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket < 0) {
        return std::nullopt;
    }
    sockaddr_storage storage{};
    socklen_t size = 0;
    if (v4) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(remote.port);
        std::memcpy(&address.sin_addr, remote.address.bytes().data(), 4);
        size = sizeof address;
        std::memcpy(&storage, &address, size);
    } else {
        sockaddr_in6 address{};
        address.sin6_family = AF_INET6;
        address.sin6_port = htons(remote.port);
        address.sin6_scope_id = remote.address.scope();
        std::memcpy(&address.sin6_addr, remote.address.bytes().data(), 16);
        size = sizeof address;
        std::memcpy(&storage, &address, size);
    }
    std::optional<net::Address> found;
    socklen_t local_size = sizeof storage;
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&storage), size) == 0 &&
        ::getsockname(socket, reinterpret_cast<sockaddr*>(&storage), &local_size) == 0) {
        if (v4) {
            sockaddr_in address{};
            std::memcpy(&address, &storage, sizeof address);
            std::array<std::uint8_t, 4> bytes{};
            std::memcpy(bytes.data(), &address.sin_addr, bytes.size());
            found = net::Address::v4(bytes);
        } else {
            sockaddr_in6 address{};
            std::memcpy(&address, &storage, sizeof address);
            std::array<std::uint8_t, 16> bytes{};
            std::memcpy(bytes.data(), &address.sin6_addr, bytes.size());
            found = net::Address::v6(bytes);
        }
    }
    ::close(socket);
    return found;
}

}  // namespace pinhole::shell
