#include "peer/shell/candidates.hpp"

#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace pinhole::shell {

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

std::optional<net::Candidate> reflexive_candidate(const ice::Reflexive& answer) {
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
