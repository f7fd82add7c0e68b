#include "tests/unit/relay/turn_world.hpp"

#include "common/stun/channel_data.hpp"
#include "common/stun/integrity.hpp"

#include <algorithm>
#include <array>

namespace pinhole::relay::testing {

namespace {

using stun::AttributeType;
using stun::MessageBuilder;
using stun::MessageClass;

constexpr Duration kLatency = 10ms;

}  // namespace

net::Endpoint at(std::string_view text) {
    return net::Endpoint::parse(text).value();
}

std::vector<Bytes> FakeServer::handle(ByteView message, TimePoint now) {
    if (const auto data = stun::is_channel_data(message) ? stun::parse_channel_data(message) : std::nullopt) {
        const auto channel = channels_.find(data->channel);
        if (channel != channels_.end() && channel->second.expires > now) {
            deliver(channel->second.peer, data->payload, true, now);
        } else {
            ++dropped;
        }
        return {};
    }
    const auto view = stun::MessageView::parse(message).value();
    if (view.message_class() == MessageClass::indication) {
        deliver(view.xor_peer_address().value(), view.data().value(), false, now);
        return {};
    }
    requests.push_back(view.method().value);
    if (silent) {
        return {};
    }
    return {answer(view, now)};
}

void FakeServer::deliver(const net::Endpoint& peer, ByteView payload, bool in_channel, TimePoint now) {
    if (allocated(now) && permits(peer.address, now)) {
        delivered.push_back({.peer = peer, .payload = to_bytes(payload), .in_channel = in_channel});
    } else {
        ++dropped;
    }
}

std::string FakeServer::full_nonce() const {
    return settings.algorithms.empty() ? nonce : "obMatJos2gAAA" + nonce;
}

Bytes FakeServer::key(const std::optional<stun::PasswordAlgorithm>& algorithm) const {
    const auto& [username, password] = settings.credentials;
    return algorithm == stun::PasswordAlgorithm::sha256
               ? to_bytes(stun::long_term_key_sha256(username, settings.realm, password))
               : to_bytes(stun::long_term_key(username, settings.realm, password));
}

// RFC 8489 §9.2.4
std::optional<std::uint16_t> FakeServer::judge(const stun::MessageView& request) {
    if (!request.integrity() && !request.integrity_sha256()) {
        return 401;
    }
    const auto algorithm = request.password_algorithm();
    signed_with.push_back(algorithm);
    if (algorithm && request.password_algorithms() != settings.algorithms) {
        return 400;
    }
    const bool good = algorithm ? stun::verify_integrity_sha256(request, key(algorithm)) && !request.integrity()
                                : stun::verify_integrity(request, key(algorithm));
    if (!good || request.username() != settings.credentials.username || request.realm() != settings.realm) {
        return 401;
    }
    return request.nonce() == full_nonce() ? std::nullopt : std::optional<std::uint16_t>{438};
}

Bytes FakeServer::answer(const stun::MessageView& request, TimePoint now) {
    if (const auto code = settings.challenges ? judge(request) : std::nullopt) {
        return refuse(request, *code);
    }
    auto& planned = errors[request.method().value];
    if (!planned.empty()) {
        const auto code = planned.front();
        planned.pop_front();
        return refuse(request, code);
    }
    if (request.method() != stun::kAllocate && !allocated(now)) {
        return refuse(request, 437);
    }
    MessageBuilder builder{MessageClass::success, request.method(), request.transaction_id()};
    if (request.method() == stun::kAllocate || request.method() == stun::kRefresh) {
        const Duration lifetime = request.lifetime() == std::chrono::seconds{0} ? Duration{0} : settings.lifetime;
        allocation_ = now + lifetime;
        builder.lifetime(std::chrono::duration_cast<std::chrono::seconds>(lifetime));
        if (request.method() == stun::kAllocate) {
            for (const auto& relayed : settings.relayed) {
                builder.address(AttributeType::xor_relayed_address, relayed);
            }
            builder.address(AttributeType::xor_mapped_address, at("203.0.113.5:40000"));
        }
    } else {
        const auto peer = request.xor_peer_address().value();
        permissions_[peer.address] = now + settings.permission_lifetime;
        if (const auto channel = request.channel_number()) {
            channels_[*channel] = {.peer = peer, .expires = now + settings.channel_lifetime};
        }
    }
    return finish(std::move(builder));
}

Bytes FakeServer::refuse(const stun::MessageView& request, std::uint16_t code) const {
    MessageBuilder builder{MessageClass::error, request.method(), request.transaction_id()};
    builder.error_code(code, "as told");
    if (code == 401 || code == 438) {
        builder.text(AttributeType::realm, settings.realm)
            .text(AttributeType::nonce, nonce_replaced.value_or(full_nonce()));
        if (!settings.algorithms.empty() && !algorithms_removed) {
            builder.password_algorithms(algorithms_replaced.value_or(settings.algorithms));
        }
        return builder.finish();
    }
    if (code == 300) {
        builder.address(AttributeType::alternate_server, at("198.51.100.77:3478"));
    }
    return finish(std::move(builder));
}

Bytes FakeServer::finish(MessageBuilder builder) const {
    if (settings.challenges && !unsigned_answers) {
        const auto algorithm = signed_with.empty() ? std::nullopt : signed_with.back();
        if (algorithm) {
            builder.integrity_sha256(key(algorithm));
        } else {
            builder.integrity(key(algorithm));
        }
    }
    return builder.fingerprint().finish();
}

std::optional<Bytes> FakeServer::from_peer(const net::Endpoint& peer, ByteView payload, TimePoint now) const {
    if (!allocated(now) || !permits(peer.address, now)) {
        return std::nullopt;
    }
    if (const auto channel = channel_of(peer, now)) {
        return stun::channel_message({.channel = *channel, .payload = payload}, false);
    }
    MessageBuilder builder{MessageClass::indication, stun::kData, {}};
    return builder.address(AttributeType::xor_peer_address, peer).attribute(AttributeType::data, payload).finish();
}

bool FakeServer::permits(const net::Address& peer, TimePoint now) const {
    const auto found = permissions_.find(peer);
    return found != permissions_.end() && found->second > now;
}

std::optional<std::uint16_t> FakeServer::channel_of(const net::Endpoint& peer, TimePoint now) const {
    for (const auto& [number, channel] : channels_) {
        if (channel.peer == peer && channel.expires > now) {
            return number;
        }
    }
    return std::nullopt;
}

std::size_t FakeServer::count(stun::Method method) const {
    return static_cast<std::size_t>(std::ranges::count(requests, method.value));
}

World::World(Config config, FakeServer::Settings settings)
    : client(
          [&] {
              if (config.credentials.username.empty()) {
                  config.credentials = settings.credentials;
              }
              return config;
          }(),
          rng) {
    server.settings = std::move(settings);
}

AllocatedWorld::AllocatedWorld(Config config, FakeServer::Settings settings)
    : World(std::move(config), std::move(settings)) {
    client.allocate(now);
    settle();
}

void World::drain() {
    while (auto message = client.poll_transmit()) {
        to_server_.emplace(now + kLatency, *std::move(message));
    }
    while (auto event = client.poll_event()) {
        events.push_back(*std::move(event));
    }
}

std::optional<TimePoint> World::next() const {
    auto next = client.next_timeout();
    if (!to_server_.empty()) {
        next = earliest(next, to_server_.begin()->first);
    }
    if (!to_client_.empty()) {
        next = earliest(next, to_client_.begin()->first);
    }
    return next;
}

void World::run_for(Duration duration) {
    const auto end = now + duration;
    drain();
    while (const auto due = next()) {
        if (*due > end) {
            break;
        }
        now = std::max(now, *due);
        while (!to_server_.empty() && to_server_.begin()->first <= now) {
            const auto message = std::move(to_server_.begin()->second);
            to_server_.erase(to_server_.begin());
            for (auto& answer : server.handle(message, now)) {
                to_client_.emplace(now + kLatency, std::move(answer));
            }
        }
        while (!to_client_.empty() && to_client_.begin()->first <= now) {
            auto message = std::move(to_client_.begin()->second);
            to_client_.erase(to_client_.begin());
            if (const auto data = client.handle_message(message, now)) {
                received.emplace_back(data->path, std::string{as_text(data->payload)});
            }
        }
        client.handle_timeout(now);
        drain();
    }
    now = end;
}

bool World::send(const net::Endpoint& peer, std::string_view payload) {
    std::array<std::uint8_t, 2048> buffer{};
    const auto& relayed = client.relayed();
    const auto local = std::ranges::find(relayed, peer.address.family(),
                                         [](const auto& endpoint) { return endpoint.address.family(); });
    const auto message = client.wrap({.local = local == relayed.end() ? net::Endpoint{} : *local, .remote = peer},
                                     as_bytes(payload), buffer, now);
    drain();
    if (message.empty()) {
        return false;
    }
    to_server_.emplace(now + kLatency, to_bytes(message));
    return true;
}

void World::peer_sends(const net::Endpoint& peer, std::string_view payload) {
    if (auto message = server.from_peer(peer, as_bytes(payload), now)) {
        to_client_.emplace(now + kLatency, *std::move(message));
    }
}

}  // namespace pinhole::relay::testing
