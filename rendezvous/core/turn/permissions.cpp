#include "rendezvous/core/turn/permissions.hpp"

#include <algorithm>

namespace pinhole::turn {

std::vector<Permissions::Entry>::const_iterator Permissions::lower_bound(const net::Address& peer) const {
    return std::ranges::lower_bound(entries_, peer, {}, &Entry::peer);
}

bool Permissions::allows(const net::Address& peer, TimePoint now) const {
    const auto found = lower_bound(peer);
    return found != entries_.end() && found->peer == peer && now < found->until;
}

bool Permissions::refresh(std::span<const net::Endpoint> peers, TimePoint until, std::size_t limit) {
    auto refreshed = entries_;
    for (const auto& [peer, port] : peers) {
        const auto found = std::ranges::lower_bound(refreshed, peer, {}, &Entry::peer);
        if (found != refreshed.end() && found->peer == peer) {
            found->until = until;
        } else if (refreshed.size() >= limit) {
            return false;
        } else {
            refreshed.insert(found, Entry{.peer = peer, .until = until});
        }
    }
    entries_ = std::move(refreshed);
    return true;
}

void Permissions::expire(TimePoint now) {
    std::erase_if(entries_, [&](const auto& entry) { return entry.until <= now; });
}

std::optional<TimePoint> Permissions::next_timeout() const {
    std::optional<TimePoint> next;
    for (const auto& entry : entries_) {
        next = earliest(next, entry.until);
    }
    return next;
}

}  // namespace pinhole::turn
