// The input is a script for a TURN client: what it is asked to do, what a server answers, rightly signed or not, what
// comes in besides, and time that jumps. What must hold: no crash, bounded permissions, channels and requests, data
// only from within the message that it came in and only from an address that was allocated, and no timer that is due
// for ever.
#include "common/stun/builder.hpp"
#include "common/stun/channel_data.hpp"
#include "common/stun/integrity.hpp"
#include "peer/relay/turn_client.hpp"
#include "tests/fuzz/script.hpp"

#include <algorithm>
#include <array>
#include <deque>

namespace {

using namespace pinhole;
using fuzz::require;
using stun::AttributeType;

constexpr int kMaxWakes = 2000;
constexpr std::size_t kMaxAsked = 32;
const relay::Credentials kCredentials{.username = "1:x", .password = "y"};

struct Asked {
    stun::Method method;
    stun::TransactionId id;
};

class Harness {
  public:
    explicit Harness(ByteView input)
        : script_(input),
          client_({.stream = script_.byte() % 2 == 1,
                   .credentials = kCredentials,
                   .families = static_cast<relay::Families>(script_.byte() % 3)},
                  rng_) {}

    void run() {
        while (!script_.done()) {
            step();
            drain();
        }
        for (int wakes = 0; wakes < kMaxWakes; ++wakes) {
            const auto next = client_.next_timeout();
            if (!next) {
                return;
            }
            wake(*next);
        }
    }

  private:
    void step() {
        switch (script_.byte() % 10) {
            case 0:
                client_.measure(now_);
                break;
            case 1:
                client_.allocate(now_);
                break;
            case 2:
                client_.permit(endpoint(), now_);
                break;
            case 3:
                send();
                break;
            case 4:
            case 5:
            case 6:
                answer();
                break;
            case 7:
                receive(to_bytes(script_.blob()));
                break;
            case 8:
                indicate();
                break;
            default:
                wake(now_ + std::chrono::milliseconds{script_.word()} * 20);
        }
    }

    net::Endpoint endpoint() {
        const auto kind = script_.byte();
        if (kind % 4 == 0) {
            return {.address = net::Address::v6({0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, kind}),
                    .port = static_cast<std::uint16_t>(kind)};
        }
        return {.address = net::Address::v4({198, 51, 100, kind}), .port = static_cast<std::uint16_t>(kind / 8)};
    }

    void send() {
        std::array<std::uint8_t, 512> out{};
        const auto peer = endpoint();
        const auto& relayed = client_.relayed();
        const auto local = relayed.empty() ? endpoint() : relayed[script_.byte() % relayed.size()];
        const auto payload = script_.blob();
        const auto wrapped = client_.wrap({.local = local, .remote = peer}, payload, out, now_);
        require(wrapped.empty() || (client_.allocated() && wrapped.data() == out.data() &&
                                    wrapped.size() <= payload.size() + relay::TurnClient::kMaxOverhead));
    }

    /// A bit of each flag says what is in the answer to something that was asked.
    void answer() {
        if (asked_.empty()) {
            return;
        }
        const auto asked = asked_[script_.byte() % asked_.size()];
        const auto flags = script_.word();
        const bool success = (flags & 1U) != 0;
        stun::MessageBuilder builder{success ? stun::MessageClass::success : stun::MessageClass::error, asked.method,
                                     asked.id};
        if (!success) {
            builder.error_code(static_cast<std::uint16_t>(300 + script_.byte() % 255), "no");
        }
        if ((flags & 2U) != 0) {
            builder.text(AttributeType::realm, "r").text(AttributeType::nonce, as_text(script_.blob()));
        }
        for (unsigned bit = 0; bit < 2; ++bit) {
            if ((flags & (4U << bit)) != 0) {
                builder.address(AttributeType::xor_relayed_address, endpoint());
            }
        }
        if ((flags & 16U) != 0) {
            builder.lifetime(std::chrono::seconds{script_.word()});
        }
        if ((flags & 32U) != 0) {
            builder.address(AttributeType::alternate_server, endpoint());
        }
        if ((flags & 128U) != 0) {
            builder.attribute(AttributeType::password_algorithms, script_.blob());
        }
        if ((flags & 64U) == 0) {
            const bool newer = (flags & 256U) != 0;
            const auto& [username, password] = kCredentials;
            newer ? builder.integrity_sha256(stun::long_term_key_sha256(username, "r", password))
                  : builder.integrity(stun::long_term_key(username, "r", password));
        }
        receive(builder.fingerprint().finish());
    }

    void indicate() {
        if (script_.byte() % 2 == 0) {
            const auto number = static_cast<std::uint16_t>(stun::kFirstChannel + script_.byte() % 8);
            receive(stun::channel_message({.channel = number, .payload = script_.blob()}, false));
            return;
        }
        stun::MessageBuilder builder{stun::MessageClass::indication, stun::kData, {}};
        builder.address(AttributeType::xor_peer_address, endpoint()).attribute(AttributeType::data, script_.blob());
        receive(builder.finish());
    }

    void receive(Bytes message) {
        const auto data = client_.handle_message(message, now_);
        if (data) {
            require(client_.allocated());
            require(data->payload.empty() ||
                    (data->payload.data() >= message.data() &&
                     data->payload.data() + data->payload.size() <= message.data() + message.size()));
            require(std::ranges::find(client_.relayed(), data->path.local) != client_.relayed().end());
        }
    }

    void wake(TimePoint when) {
        now_ = std::max(now_, when);
        client_.handle_timeout(now_);
        drain();
        const auto next = client_.next_timeout();
        require(!next || *next > now_);
    }

    void drain() {
        std::size_t sent = 0;
        while (const auto message = client_.poll_transmit()) {
            require(++sent <= 4 * relay::kMaxRequests);
            const auto view = stun::MessageView::parse(*message);
            require(view.has_value());
            asked_.push_back({.method = view->method(), .id = view->transaction_id()});
            if (asked_.size() > kMaxAsked) {
                asked_.pop_front();
            }
        }
        std::size_t events = 0;
        while (client_.poll_event()) {
            require(++events <= 8);
        }
        require(client_.permissions() <= relay::kMaxPeers && client_.channels() <= relay::kMaxPeers);
    }

    fuzz::ScriptReader script_;
    SeededRng rng_{5};
    TimePoint now_{};
    relay::TurnClient client_;
    std::deque<Asked> asked_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Harness{ByteView{data, size}}.run();
    return 0;
}
