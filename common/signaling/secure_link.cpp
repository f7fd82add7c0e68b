#include "common/signaling/secure_link.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::signaling {

namespace {

constexpr std::string_view kPrologue = "pinhole-signaling/1";
constexpr std::size_t kHeader = 2;
/// The longest handshake frame is message 3: 48 bytes of key, the hello (at most 110 bytes in this version), two tags.
constexpr std::size_t kMaxHandshakeFrame = 512;

enum class Role : std::uint8_t { client, server };
enum class Phase : std::uint8_t { preamble, handshake, established };

const char* describe(int value) {
    switch (static_cast<LinkErrc>(value)) {
        case LinkErrc::bad_preamble:
            return "the other side does not speak pinhole signaling";
        case LinkErrc::handshake_failed:
            return "the encrypted handshake failed";
        case LinkErrc::bad_frame:
            return "a frame does not decrypt";
        case LinkErrc::backlog:
            return "the other side does not read";
    }
    return "unknown signaling error";
}

const EnumCategory kCategory{"signaling", describe};

crypto::NoiseHandshake::Config noise_config(Role role, crypto::KeyPair keys) {
    return {.pattern = crypto::NoisePattern::XX,
            .role = role == Role::client ? crypto::NoiseRole::initiator : crypto::NoiseRole::responder,
            .prologue = to_bytes(as_bytes(kPrologue)),
            .static_keys = std::move(keys),
            .remote_static = std::nullopt};
}

}  // namespace

std::error_code make_error_code(LinkErrc code) {
    return {static_cast<int>(code), kCategory};
}

struct SecureLink::State {
    State(Role role_given, crypto::KeyPair keys, Bytes hello_given, Rng& rng)
        : role(role_given),
          phase(role_given == Role::server ? Phase::preamble : Phase::handshake),
          noise(std::in_place, noise_config(role_given, std::move(keys)), rng),
          hello(std::move(hello_given)) {}

    std::unexpected<Error> fail_with(LinkErrc code) {
        failure = Error{.code = code, .detail = {}};
        return std::unexpected(*failure);
    }

    /// Consumes the start of `bytes`.
    [[nodiscard]] Status take(ByteView& bytes) {
        if (phase == Phase::preamble) {
            return take_preamble(bytes);
        }
        if (header_size < kHeader) {
            return take_header(bytes);
        }
        // Grows with what arrives, not with what the header promises.
        const auto count = std::min(bytes.size(), length() - body.size());
        body.insert(body.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
        bytes = bytes.subspan(count);
        return body.size() == length() ? finish_frame() : Status{};
    }

    [[nodiscard]] Status take_preamble(ByteView& bytes) {
        if (bytes.front() != kPreamble[preamble_size]) {
            return fail_with(LinkErrc::bad_preamble);
        }
        bytes = bytes.subspan(1);
        if (++preamble_size == kPreamble.size()) {
            phase = Phase::handshake;
        }
        return {};
    }

    [[nodiscard]] Status take_header(ByteView& bytes) {
        header[header_size++] = bytes.front();
        bytes = bytes.subspan(1);
        if (header_size < kHeader) {
            return {};
        }
        if (phase == Phase::handshake && (length() == 0 || length() > kMaxHandshakeFrame)) {
            return fail_with(LinkErrc::handshake_failed);
        }
        if (phase == Phase::established && length() < crypto::kTagSize) {
            return fail_with(LinkErrc::bad_frame);
        }
        return {};
    }

    [[nodiscard]] std::size_t length() const { return std::size_t{header[0]} << 8 | header[1]; }

    [[nodiscard]] Status finish_frame() {
        header_size = 0;
        auto frame = std::exchange(body, {});
        return phase == Phase::established ? open_frame(std::move(frame)) : advance_handshake(frame);
    }

    [[nodiscard]] Status open_frame(Bytes frame) {
        const auto text = receive->open(receive_counter++, {}, frame);
        if (!text) {
            return fail_with(LinkErrc::bad_frame);
        }
        frame.resize(text->size());
        frames.push_back(std::move(frame));
        return {};
    }

    // XX has three messages: the server reads 1 and 3, the client reads 2. Only the third has a payload.
    [[nodiscard]] Status advance_handshake(ByteView message) {
        auto payload = noise->read(message);
        if (!payload || (!noise->finished() && !payload->empty())) {
            return fail_with(LinkErrc::handshake_failed);
        }
        if (noise->finished()) {
            hello = *std::move(payload);
        } else if (auto status = write_handshake(role == Role::client ? ByteView{hello} : ByteView{}); !status) {
            return status;
        }
        remote_static = noise->remote_static();
        if (noise->finished()) {
            establish();
        }
        return {};
    }

    [[nodiscard]] Status write_handshake(ByteView payload) {
        const auto message = noise->write(payload);
        if (!message || message->size() > kMaxHandshakeFrame) {
            return fail_with(LinkErrc::handshake_failed);
        }
        const auto start = append_header(message->size());
        std::ranges::copy(*message, output.begin() + static_cast<std::ptrdiff_t>(start));
        return {};
    }

    /// Room for a frame at the end of the output; returns where its body starts.
    std::size_t append_header(std::size_t size) {
        output.push_back(static_cast<std::uint8_t>(size >> 8));
        output.push_back(static_cast<std::uint8_t>(size));
        const auto start = output.size();
        output.resize(start + size);
        return start;
    }

    void establish() {
        auto keys = noise->split();
        send = crypto::make_aead(crypto::Cipher::chacha20_poly1305, keys.send);
        receive = crypto::make_aead(crypto::Cipher::chacha20_poly1305, keys.receive);
        noise.reset();
        phase = Phase::established;
    }

    Role role;
    Phase phase;
    std::optional<crypto::NoiseHandshake> noise;
    Bytes hello;
    std::optional<crypto::Key32> remote_static;
    std::optional<Error> failure;

    std::size_t preamble_size = 0;
    std::array<std::uint8_t, kHeader> header{};
    std::size_t header_size = 0;
    Bytes body;
    std::deque<Bytes> frames;
    Bytes output;

    std::unique_ptr<crypto::Aead> send;
    std::unique_ptr<crypto::Aead> receive;
    std::uint64_t send_counter = 0;
    std::uint64_t receive_counter = 0;
};

SecureLink::SecureLink(std::unique_ptr<State> state) : state_(std::move(state)) {}

SecureLink::SecureLink(SecureLink&&) noexcept = default;
SecureLink& SecureLink::operator=(SecureLink&&) noexcept = default;
SecureLink::~SecureLink() = default;

SecureLink SecureLink::client(crypto::KeyPair keys, Bytes hello, Rng& rng) {
    auto state = std::make_unique<State>(Role::client, std::move(keys), std::move(hello), rng);
    state->output.assign(kPreamble.begin(), kPreamble.end());
    // Message 1 is 32 bytes of ephemeral key; if it failed, `failure` says so to the first caller.
    static_cast<void>(state->write_handshake({}));
    return SecureLink{std::move(state)};
}

SecureLink SecureLink::server(crypto::KeyPair keys, Rng& rng) {
    return SecureLink{std::make_unique<State>(Role::server, std::move(keys), Bytes{}, rng)};
}

Status SecureLink::handle_bytes(ByteView bytes) {
    if (state_->failure) {
        return std::unexpected(*state_->failure);
    }
    while (!bytes.empty()) {
        if (auto status = state_->take(bytes); !status) {
            return status;
        }
    }
    return {};
}

std::optional<Bytes> SecureLink::poll_frame() {
    if (state_->frames.empty()) {
        return std::nullopt;
    }
    auto frame = std::move(state_->frames.front());
    state_->frames.pop_front();
    return frame;
}

Status SecureLink::send(ByteView plaintext) {
    auto& state = *state_;
    if (state.failure) {
        return std::unexpected(*state.failure);
    }
    if (!established()) {
        return fail(Errc::invalid_argument, "send before the handshake is over");
    }
    if (plaintext.size() > limits::kMaxFramePlaintext) {
        return fail(Errc::too_large, "signaling message");
    }
    const auto size = plaintext.size() + crypto::kTagSize;
    if (state.output.size() + kHeader + size > limits::kMaxSignalingBacklog) {
        return state.fail_with(LinkErrc::backlog);
    }
    const auto start = state.append_header(size);
    const auto frame = ByteSpan{state.output}.subspan(start);
    std::ranges::copy(plaintext, frame.begin());
    state.send->seal(state.send_counter++, {}, frame);
    return {};
}

std::size_t SecureLink::backlog() const {
    return state_->output.size();
}

Bytes SecureLink::poll_output() {
    return std::exchange(state_->output, {});
}

bool SecureLink::established() const {
    return state_->phase == Phase::established && !state_->failure;
}

std::optional<crypto::Key32> SecureLink::remote_static() const {
    return state_->remote_static;
}

const Bytes& SecureLink::hello() const {
    return state_->hello;
}

}  // namespace pinhole::signaling
