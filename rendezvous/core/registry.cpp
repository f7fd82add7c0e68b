#include "rendezvous/core/registry.hpp"

#include "common/base/limits.hpp"

namespace pinhole::rendezvous {

std::optional<ConnectionId> Registry::add(const crypto::PeerId& id, ConnectionId connection) {
    asleep_.erase(id);
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

void Registry::fell_silent(const crypto::PeerId& id, TimePoint now) {
    const auto found = online_.find(id);
    if (found == online_.end() || found->second.size() != 1) {
        return;
    }
    asleep_.insert_or_assign(id, now);
    in_order_.emplace_back(now, id);
    while (in_order_.size() > kMaxAsleep || in_order_.front().first + kSleep <= now) {
        const auto oldest = asleep_.find(in_order_.front().second);
        if (oldest != asleep_.end() && oldest->second == in_order_.front().first) {
            asleep_.erase(oldest);
        }
        in_order_.pop_front();
    }
}

bool Registry::asleep(const crypto::PeerId& id, TimePoint now) const {
    const auto found = asleep_.find(id);
    return found != asleep_.end() && now < found->second + kSleep;
}

}  // namespace pinhole::rendezvous
