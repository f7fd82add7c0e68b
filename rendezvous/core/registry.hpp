// Who is online: identities and their connections, oldest first; and who was, fell silent and may come back. Driven by
// Server.
#pragma once

#include "common/base/time.hpp"
#include "common/crypto/keys.hpp"
#include "rendezvous/core/ids.hpp"

#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace pinhole::rendezvous {

class Registry {
  public:
    /// The oldest connection of this identity if it has more than kMaxConnectionsPerIdentity now: it is to be closed.
    [[nodiscard]] std::optional<ConnectionId> add(const crypto::PeerId& id, ConnectionId connection);
    void remove(const crypto::PeerId& id, ConnectionId connection);
    [[nodiscard]] std::vector<ConnectionId> find(const crypto::PeerId& id) const;

    /// Its last connection broke without being closed: the machine sleeps or has lost its network. Call before
    /// remove().
    void fell_silent(const crypto::PeerId& id, TimePoint now);
    /// Not online, and its last connection fell silent no longer than kSleep ago.
    [[nodiscard]] bool asleep(const crypto::PeerId& id, TimePoint now) const;

    [[nodiscard]] std::size_t identities() const { return online_.size(); }

    /// As long as peers try to go on with a session (proto/README.md §3).
    static constexpr Duration kSleep = 15min;
    /// Remembered at once; beyond it the oldest are forgotten, and count as offline.
    static constexpr std::size_t kMaxAsleep = 4096;

  private:
    std::map<crypto::PeerId, std::vector<ConnectionId>> online_;
    std::map<crypto::PeerId, TimePoint> asleep_;
    std::deque<std::pair<TimePoint, crypto::PeerId>> in_order_;  ///< of falling silent, those who woke included
};

}  // namespace pinhole::rendezvous
