// Who is online: identities and their connections, oldest first. Driven by Server.
#pragma once

#include "common/crypto/keys.hpp"
#include "rendezvous/core/ids.hpp"

#include <map>
#include <optional>
#include <vector>

namespace pinhole::rendezvous {

class Registry {
  public:
    /// The oldest connection of this identity if it has more than kMaxConnectionsPerIdentity now: it is to be closed.
    [[nodiscard]] std::optional<ConnectionId> add(const crypto::PeerId& id, ConnectionId connection);
    void remove(const crypto::PeerId& id, ConnectionId connection);
    [[nodiscard]] std::vector<ConnectionId> find(const crypto::PeerId& id) const;

    [[nodiscard]] std::size_t identities() const { return online_.size(); }

  private:
    std::map<crypto::PeerId, std::vector<ConnectionId>> online_;
};

}  // namespace pinhole::rendezvous
