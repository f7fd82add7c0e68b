#include "rendezvous/core/registry.hpp"

#include "common/base/limits.hpp"

namespace pinhole::rendezvous {

std::optional<ConnectionId> Registry::add(const crypto::PeerId& id, ConnectionId connection) {
    auto& connections = online_[id];
    connections.push_back(connection);
    if (connections.size() > limits::kMaxConnectionsPerIdentity) {
        return connections.front();
    }
    return std::nullopt;
}

void Registry::remove(const crypto::PeerId& id, ConnectionId connection) {
    const auto found = online_.find(id);
    if (found == online_.end()) {
        return;
    }
    std::erase(found->second, connection);
    if (found->second.empty()) {
        online_.erase(found);
    }
}

std::vector<ConnectionId> Registry::find(const crypto::PeerId& id) const {
    const auto found = online_.find(id);
    return found == online_.end() ? std::vector<ConnectionId>{} : found->second;
}

}  // namespace pinhole::rendezvous
