#include "rendezvous/core/turn/channels.hpp"

#include <algorithm>
#include <numeric>

namespace pinhole::turn {

const Channels::Channel* Channels::find(std::uint16_t number) const {
    const auto found = std::ranges::lower_bound(channels_, number, {}, &Channel::number);
    return found != channels_.end() && found->number == number ? &*found : nullptr;
}

const Channels::Channel* Channels::find(const net::Endpoint& peer) const {
    const auto peer_at = [&](std::uint16_t place) -> const net::Endpoint& { return channels_[place].peer; };
    const auto found = std::ranges::lower_bound(by_peer_, peer, {}, peer_at);
    return found != by_peer_.end() && peer_at(*found) == peer ? &channels_[*found] : nullptr;
}

void Channels::sort_peers() {
    by_peer_.resize(channels_.size());
    std::iota(by_peer_.begin(), by_peer_.end(), std::uint16_t{0});
    std::ranges::sort(by_peer_, {}, [&](std::uint16_t place) { return channels_[place].peer; });
}

Channels::Bound Channels::check(std::uint16_t number, const net::Endpoint& peer, std::size_t limit) const {
    const auto* by_number = find(number);
    if (by_number != find(peer)) {
        return Bound::taken;
    }
    return by_number == nullptr && channels_.size() >= limit ? Bound::full : Bound::yes;
}

void Channels::bind(const Channel& channel) {
    const auto place = std::ranges::lower_bound(channels_, channel.number, {}, &Channel::number);
    if (place != channels_.end() && place->number == channel.number) {
        *place = channel;
        return;
    }
    channels_.insert(place, channel);
    sort_peers();
}

const net::Endpoint* Channels::peer_of(std::uint16_t number, TimePoint now) const {
    const auto* channel = find(number);
    return channel != nullptr && now < channel->until ? &channel->peer : nullptr;
}

std::optional<std::uint16_t> Channels::number_of(const net::Endpoint& peer, TimePoint now) const {
    const auto* channel = find(peer);
    return channel != nullptr && now < channel->until ? std::optional{channel->number} : std::nullopt;
}

void Channels::expire(TimePoint now) {
    if (std::erase_if(channels_, [&](const auto& channel) { return channel.free_at <= now; }) > 0) {
        sort_peers();
    }
}

std::optional<TimePoint> Channels::next_timeout() const {
    std::optional<TimePoint> next;
    for (const auto& channel : channels_) {
        next = earliest(next, channel.free_at);
    }
    return next;
}

}  // namespace pinhole::turn
