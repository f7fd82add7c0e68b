// The published vectors of tests/vectors/noise.json: handshake and transport messages byte for byte.
#include "common/crypto/aead.hpp"
#include "common/crypto/noise.hpp"
#include "tests/unit/crypto/support.hpp"

#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace pinhole::crypto {
namespace {

using nlohmann::json;

/// Hands out one ephemeral key.
class FixedRng final : public Rng {
  public:
    explicit FixedRng(Bytes bytes) : bytes_(std::move(bytes)) {}

    void fill(ByteSpan out) override {
        ASSERT_EQ(out.size(), bytes_.size());
        std::ranges::copy(bytes_, out.begin());
    }

  private:
    Bytes bytes_;
};

std::string text(const json& vector, const std::string& name) {
    return vector.at(name).get<std::string>();
}

/// One side of a vector.
struct Side {
    Side(const json& vector, NoiseRole role)
        : rng(unhex(text(vector, prefix(role) + "_ephemeral"))), handshake(config(vector, role), rng) {}

    static std::string prefix(NoiseRole role) { return role == NoiseRole::initiator ? "init" : "resp"; }

    static NoiseHandshake::Config config(const json& vector, NoiseRole role) {
        NoiseHandshake::Config config;
        config.pattern = text(vector, "protocol_name").starts_with("Noise_XX_") ? NoisePattern::XX : NoisePattern::IK;
        config.role = role;
        config.prologue = unhex(text(vector, prefix(role) + "_prologue"));
        config.static_keys = KeyPair::from_secret(secret(text(vector, prefix(role) + "_static")));
        if (vector.contains(prefix(role) + "_remote_static")) {
            config.remote_static = key32(text(vector, prefix(role) + "_remote_static"));
        }
        return config;
    }

    void split() {
        const auto keys = handshake.split();
        hash = to_hex(keys.handshake_hash);
        send = make_aead(Cipher::chacha20_poly1305, keys.send);
        receive = make_aead(Cipher::chacha20_poly1305, keys.receive);
    }

    FixedRng rng;
    NoiseHandshake handshake;
    std::string hash;
    std::unique_ptr<Aead> send;
    std::unique_ptr<Aead> receive;
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
};

void expect_handshake(Side& writer, Side& reader, const json& message) {
    const auto written = writer.handshake.write(unhex(text(message, "payload")));
    ASSERT_TRUE(written) << written.error().message();
    ASSERT_EQ(to_hex(*written), text(message, "ciphertext"));
    const auto read = reader.handshake.read(*written);
    ASSERT_TRUE(read) << read.error().message();
    ASSERT_EQ(to_hex(*read), text(message, "payload"));
}

void expect_transport(Side& writer, Side& reader, const json& message) {
    auto buffer = unhex(text(message, "payload"));
    buffer.resize(buffer.size() + kTagSize);
    writer.send->seal(writer.sent++, {}, buffer);
    ASSERT_EQ(to_hex(buffer), text(message, "ciphertext"));
    const auto opened = reader.receive->open(reader.received++, {}, buffer);
    ASSERT_TRUE(opened);
    ASSERT_EQ(to_hex(*opened), text(message, "payload"));
}

void expect_vector(const json& vector) {
    SCOPED_TRACE(text(vector, "protocol_name"));
    Side initiator{vector, NoiseRole::initiator};
    Side responder{vector, NoiseRole::responder};
    bool first_writes = true;
    for (const auto& message : vector.at("messages")) {
        auto& writer = first_writes ? initiator : responder;
        auto& reader = first_writes ? responder : initiator;
        if (writer.send) {
            ASSERT_NO_FATAL_FAILURE(expect_transport(writer, reader, message));
        } else {
            ASSERT_NO_FATAL_FAILURE(expect_handshake(writer, reader, message));
        }
        if (!writer.send && writer.handshake.finished()) {
            writer.split();
            reader.split();
            EXPECT_EQ(writer.hash, text(vector, "handshake_hash"));
            EXPECT_EQ(reader.hash, text(vector, "handshake_hash"));
        }
        first_writes = !first_writes;
    }
    EXPECT_TRUE(initiator.send && responder.send);
}

TEST(NoiseVectors, MatchEveryMessageAndTheHandshakeHash) {
    ASSERT_TRUE(initialize());
    std::ifstream file{PINHOLE_VECTORS "/noise.json"};
    const auto vectors = json::parse(file).at("vectors");
    EXPECT_EQ(vectors.size(), 2U);
    for (const auto& vector : vectors) {
        expect_vector(vector);
    }
}

}  // namespace
}  // namespace pinhole::crypto
