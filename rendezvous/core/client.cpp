#include "rendezvous/core/client.hpp"

#include "common/base/limits.hpp"
#include "common/signaling/codec.hpp"

#include <utility>

namespace pinhole::rendezvous {

namespace {

const char* describe(int value) {
    switch (static_cast<ClientErrc>(value)) {
        case ClientErrc::wrong_identity:
            return "the identity is not that of the key";
        case ClientErrc::slow_login:
            return "no login in time";
        case ClientErrc::silent:
            return "silent for too long";
        case ClientErrc::flood:
            return "flood";
    }
    return "unknown client error";
}

const EnumCategory kCategory{"rendezvous", describe};

}  // namespace

std::error_code make_error_code(ClientErrc code) {
    return {static_cast<int>(code), kCategory};
}

Client::Client(const Config& config, const signaling::Welcome& welcome, crypto::KeyPair keys, Rng& rng, TimePoint now)
    : welcome_(welcome),
      rng_(rng),
      link_(signaling::SecureLink::server(std::move(keys), rng)),
      messages_(config.messages, now),
      bytes_(config.bytes, now),
      reports_(config.reports, now) {
    timers_.set(Timer::login, now + limits::kHandshakeTimeout);
}

Result<std::vector<signaling::ToServer>> Client::handle_bytes(ByteView bytes, TimePoint now) {
    if (!bytes_.take(static_cast<double>(bytes.size()), now)) {
        return fail(ClientErrc::flood);
    }
    if (auto status = link_.handle_bytes(bytes); !status) {
        return std::unexpected(status.error());
    }
    if (link_.established() && !id_) {
        if (auto status = log_in(now); !status) {
            return std::unexpected(status.error());
        }
    }
    std::vector<signaling::ToServer> messages;
    while (const auto frame = link_.poll_frame()) {
        if (auto status = handle_frame(*frame, now, messages); !status) {
            return std::unexpected(status.error());
        }
    }
    return messages;
}

Status Client::log_in(TimePoint now) {
    const auto hello = signaling::parse_hello(link_.hello());
    if (!hello) {
        return std::unexpected(hello.error());
    }
    if (crypto::noise_key(hello->id) != link_.remote_static()) {
        return fail(ClientErrc::wrong_identity);
    }
    id_ = hello->id;
    timers_.stop(Timer::login);
    heard(now);
    if (auto status = send(welcome_); !status) {
        return status;
    }
    // Measures the round trip before the first call needs it.
    return ping(now);
}

Status Client::handle_frame(ByteView frame, TimePoint now, std::vector<signaling::ToServer>& messages) {
    if (!messages_.take(1, now)) {
        return fail(ClientErrc::flood);
    }
    heard(now);
    auto message = signaling::parse_to_server(frame);
    if (!message) {
        // A newer peer may say more than this server understands; what it says still has to be well formed.
        return message.error().code == Errc::not_supported ? Status{} : std::unexpected(message.error());
    }
    if (const auto* asked = std::get_if<signaling::Ping>(&*message)) {
        return send(signaling::Pong{.token = asked->token});
    }
    if (const auto* pong = std::get_if<signaling::Pong>(&*message)) {
        handle_pong(*pong, now);
        return {};
    }
    // A peer on a restless network is not an enemy: what it reports too often is dropped, as the next one says it
    // again.
    if (std::holds_alternative<signaling::Report>(*message) && !reports_.take(1, now)) {
        return {};
    }
    messages.push_back(*std::move(message));
    return {};
}

void Client::handle_pong(const signaling::Pong& pong, TimePoint now) {
    if (ping_ && ping_->token == pong.token) {
        rtt_ = now - ping_->at;
        ping_.reset();
    }
}

Status Client::handle_timeout(TimePoint now) {
    while (const auto timer = timers_.expire(now)) {
        switch (*timer) {
            case Timer::login:
                return fail(ClientErrc::slow_login);
            case Timer::dead:
                return fail(ClientErrc::silent);
            case Timer::ping:
                if (auto status = ping(now); !status) {
                    return status;
                }
                timers_.set(Timer::ping, now + limits::kSignalingPing);
                break;
            case Timer::count:
                break;
        }
    }
    return {};
}

Status Client::send(const signaling::ToPeer& message) {
    return link_.send(signaling::serialize(message));
}

Status Client::ping(TimePoint now) {
    ping_ = SentPing{.token = rng_.u64(), .at = now};
    return send(signaling::Ping{.token = ping_->token});
}

void Client::heard(TimePoint now) {
    timers_.set(Timer::ping, now + limits::kSignalingPing);
    timers_.set(Timer::dead, now + limits::kSignalingDead);
}

}  // namespace pinhole::rendezvous
