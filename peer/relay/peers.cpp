#include "peer/relay/peers.hpp"

#include "common/stun/channel_data.hpp"

#include <algorithm>

namespace pinhole::relay {

namespace {

constexpr std::uint16_t kNumbers = stun::kLastChannel - stun::kFirstChannel + 1;

}  // namespace

bool Peers::use(const net::Endpoint& peer, TimePoint now) {
    const auto known = permissions_.find(peer.address);
    if (known == permissions_.end()) {
        if (permissions_.size() >= kMaxPeers) {
            return false;
        }
        permissions_.emplace(peer.address, Entry{.used_at = now});
        wishes_.push_back({.peer = peer});
        return true;
    }
    auto& entry = known->second;
    entry.used_at = now;
    if (ask_if_due(entry, now) && !covered(peer.address, now)) {
        entry.state = State::asked;
        wishes_.push_back({.peer = peer});
    }
    return entry.state != State::refused;
}

bool Peers::use_channel(const net::Endpoint& peer, TimePoint now) {
    const auto known = channels_.find(peer);
    if (known != channels_.end()) {
        auto& entry = known->second;
        entry.used_at = now;
        if (ask_if_due(entry, now)) {
            entry.state = State::asked;
            wishes_.push_back({.peer = peer, .channel = entry.number});
        }
        return entry.bound || use(peer, now);
    }
    if (!use(peer, now)) {
        return false;
    }
    if (channels_.size() < kMaxPeers && numbers_given_ < kNumbers) {
        const auto number = static_cast<std::uint16_t>(stun::kFirstChannel + numbers_given_++);
        channels_.emplace(peer, Entry{.used_at = now, .number = number});
        by_number_.emplace(number, peer);
        wishes_.push_back({.peer = peer, .channel = number});
    }
    return true;
}

std::optional<Peers::Wish> Peers::poll_wish() {
    if (wishes_.empty()) {
        return std::nullopt;
    }
    const auto wish = wishes_.front();
    wishes_.pop_front();
    return wish;
}

void Peers::handle_granted(const Wish& wish, TimePoint now) {
    // RFC 8656 §12.2: a ChannelBind also installs or refreshes the permission.
    if (const auto permission = permissions_.find(wish.peer.address); permission != permissions_.end()) {
        grant(permission->second, permission_lifetime_, now);
    }
    const auto channel = channels_.find(wish.peer);
    if (wish.channel != 0 && channel != channels_.end()) {
        grant(channel->second, channel_lifetime_, now);
        channel->second.bound = true;
    }
    schedule(now);
}

void Peers::grant(Entry& entry, Duration lifetime, TimePoint now) const {
    entry.state = State::granted;
    entry.renew = now + permission_lifetime_ * 4 / 5;
    entry.expires = now + lifetime;
}

void Peers::handle_refused(const Wish& wish, TimePoint until) {
    const auto refuse = [until](Entry& entry) {
        entry.state = State::refused;
        entry.expires = until;
        entry.bound = false;
    };
    if (wish.channel != 0) {
        if (const auto channel = channels_.find(wish.peer); channel != channels_.end()) {
            refuse(channel->second);
        }
    } else if (const auto permission = permissions_.find(wish.peer.address); permission != permissions_.end()) {
        refuse(permission->second);
    }
    next_ = earliest(next_, until);
}

/// Used, and its time to be renewed has come.
bool Peers::ask_if_due(Entry& entry, TimePoint now) const {
    return entry.state == State::granted && entry.renew <= now && entry.used_at + permission_lifetime_ > now;
}

/// The renewal of a channel to this address stands for that of the permission.
bool Peers::covered(const net::Address& address, TimePoint now) const {
    return std::ranges::any_of(channels_, [&](const auto& channel) {
        const auto& entry = channel.second;
        return channel.first.address == address && entry.bound && entry.state != State::refused &&
               entry.used_at + permission_lifetime_ > now;
    });
}

void Peers::handle_timeout(TimePoint now) {
    for (auto& [peer, entry] : channels_) {
        if (ask_if_due(entry, now)) {
            entry.state = State::asked;
            wishes_.push_back({.peer = peer, .channel = entry.number});
        }
    }
    for (auto& [address, entry] : permissions_) {
        if (ask_if_due(entry, now) && !covered(address, now)) {
            entry.state = State::asked;
            wishes_.push_back({.peer = {.address = address, .port = 0}});
        }
    }
    const auto lapsed = [now](const auto& item) {
        return item.second.state != State::asked && item.second.expires <= now;
    };
    std::erase_if(permissions_, lapsed);
    std::erase_if(channels_, [&](const auto& item) {
        if (!lapsed(item)) {
            return false;
        }
        by_number_.erase(item.second.number);
        return true;
    });
    schedule(now);
}

void Peers::schedule(TimePoint now) {
    next_.reset();
    const auto note = [&](const Entry& entry) {
        if (entry.state != State::asked) {
            const bool renewable = entry.state == State::granted && entry.renew > now;
            next_ = earliest(next_, renewable ? entry.renew : entry.expires);
        }
    };
    for (const auto& [address, entry] : permissions_) {
        note(entry);
    }
    for (const auto& [peer, entry] : channels_) {
        note(entry);
    }
}

std::optional<std::uint16_t> Peers::channel(const net::Endpoint& peer) const {
    const auto found = channels_.find(peer);
    return found != channels_.end() && found->second.bound ? std::optional{found->second.number} : std::nullopt;
}

const net::Endpoint* Peers::peer(std::uint16_t channel) const {
    const auto found = by_number_.find(channel);
    return found == by_number_.end() ? nullptr : &found->second;
}

}  // namespace pinhole::relay
