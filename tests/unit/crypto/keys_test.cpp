#include "common/crypto/keys.hpp"

#include "tests/unit/crypto/support.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <sstream>
#include <utility>

#include <gtest/gtest.h>

namespace pinhole::crypto {
namespace {

class Keys : public testing::Test {
  protected:
    void SetUp() override { ASSERT_TRUE(initialize()); }

    SeededRng rng{1};
};

bool is_zero(ByteView bytes) {
    return std::ranges::all_of(bytes, [](auto byte) { return byte == 0; });
}

TEST_F(Keys, InitializeMayBeCalledAgain) {
    EXPECT_TRUE(initialize());
}

TEST_F(Keys, SecretIsWipedWhenMovedFrom) {
    SecretKey first{Key32{1, 2, 3}};
    SecretKey second{std::move(first)};
    EXPECT_TRUE(is_zero(first.view()));  // NOLINT(bugprone-use-after-move): what a moved-from secret holds is the point
    EXPECT_EQ(second.view()[2], 3);
    first = std::move(second);
    EXPECT_TRUE(is_zero(second.view()));  // NOLINT(bugprone-use-after-move)
    EXPECT_EQ(first.view()[2], 3);
    auto& self = first;
    first = std::move(self);
    EXPECT_EQ(first.view()[2], 3);
}

TEST_F(Keys, SecretIsWipedWhenDestroyed) {
    alignas(SecretKey) std::array<std::uint8_t, sizeof(SecretKey)> place{};
    auto* secret = new (place.data()) SecretKey{Key32{9, 9, 9}};
    ASSERT_FALSE(is_zero(place));
    secret->~SecretKey();
    EXPECT_TRUE(is_zero(place));
}

TEST_F(Keys, ComparesInConstantTimeWhateverTheSizes) {
    EXPECT_TRUE(equal_constant_time({}, {}));
    EXPECT_TRUE(equal_constant_time(Bytes{1, 2}, Bytes{1, 2}));
    EXPECT_FALSE(equal_constant_time(Bytes{1, 2}, Bytes{1, 3}));
    EXPECT_FALSE(equal_constant_time(Bytes{1, 2}, Bytes{1}));
}

TEST_F(Keys, SystemRandomnessDiffers) {
    SystemRng system;
    EXPECT_NE(system.u64(), system.u64());
}

// RFC 8032 §7.1, test 1.
TEST_F(Keys, IdentityIsTheEd25519KeyOfItsSeed) {
    const auto identity =
        Identity::from_seed(secret("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"));
    EXPECT_EQ(to_hex(identity.id().bytes), "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    EXPECT_EQ(identity.seed().view()[0], 0x9d);
}

// The pair of libsodium's own conversion test.
TEST_F(Keys, NoiseKeysAreTheCurveImageOfTheIdentity) {
    const auto identity =
        Identity::from_seed(secret("421151a459faeade3d247115f94aedae42318124095afabe4d1451a559faedee"));
    const auto keys = identity.noise_keys();
    EXPECT_EQ(to_hex(keys.secret.view()), "8052030376d47112be7f73ed7a019293dd12ad910b654455798b4667d73de166");
    EXPECT_EQ(to_hex(keys.public_key), "f1814f0e8ff1043d8a44d25babff3cedcae6c22c3edaa48f857ae70de2baae50");
}

TEST_F(Keys, WhoKnowsAnIdKnowsItsNoiseKey) {
    for (int i = 0; i < 20; ++i) {
        const auto identity = Identity::generate(rng);
        EXPECT_EQ(noise_key(identity.id()), identity.noise_keys().public_key);
    }
}

TEST_F(Keys, IdsOfLowOrderOrOffTheCurveHaveNoNoiseKey) {
    EXPECT_FALSE(noise_key(PeerId{})) << "order 4";
    EXPECT_FALSE(noise_key(PeerId{.bytes = {1}})) << "the identity element";
    EXPECT_FALSE(noise_key(PeerId{.bytes = {2}})) << "not on the curve";
    EXPECT_FALSE(noise_key(PeerId{.bytes = key32("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")}))
        << "order 2";
}

TEST_F(Keys, PeerIdRoundTripsAsText) {
    const auto id = Identity::generate(rng).id();
    EXPECT_EQ(id.text().size(), 52U);
    EXPECT_EQ(PeerId::parse(id.text()), id);
    auto upper = id.text();
    std::ranges::transform(upper, upper.begin(), [](char c) { return c >= 'a' ? static_cast<char>(c - 32) : c; });
    EXPECT_EQ(PeerId::parse(upper), id);
}

TEST_F(Keys, PeerIdOfAnyOtherTextIsRefused) {
    const auto text = Identity::generate(rng).id().text();
    EXPECT_FALSE(PeerId::parse(""));
    EXPECT_FALSE(PeerId::parse(text.substr(1)));
    EXPECT_FALSE(PeerId::parse(text + "a"));
    EXPECT_FALSE(PeerId::parse(" " + text.substr(1)));
    EXPECT_FALSE(PeerId::parse("1" + text.substr(1)));
    EXPECT_FALSE(PeerId::parse(text.substr(0, 51) + "b")) << "the last 4 bits must be zero";
    EXPECT_FALSE(PeerId::from_bytes(Bytes(31)));
    EXPECT_FALSE(PeerId::from_bytes(Bytes(33)));
}

// RFC 7748 §6.1.
TEST_F(Keys, DiffieHellmanMatchesTheRfc) {
    const auto alice = KeyPair::from_secret(secret("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"));
    const auto bob = KeyPair::from_secret(secret("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"));
    EXPECT_EQ(to_hex(alice.public_key), "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    EXPECT_EQ(to_hex(bob.public_key), "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
    const auto one = diffie_hellman(alice.secret, bob.public_key);
    const auto other = diffie_hellman(bob.secret, alice.public_key);
    ASSERT_TRUE(one && other);
    EXPECT_EQ(to_hex(one->view()), "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
    EXPECT_EQ(to_hex(one->view()), to_hex(other->view()));
}

TEST_F(Keys, DiffieHellmanRefusesLowOrderPoints) {
    const auto keys = KeyPair::generate(rng);
    for (const auto* point : {"0000000000000000000000000000000000000000000000000000000000000000",
                              "0100000000000000000000000000000000000000000000000000000000000000",
                              "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                              "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                              "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                              "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                              "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"}) {
        EXPECT_FALSE(diffie_hellman(keys.secret, key32(point))) << point;
    }
}

TEST_F(Keys, FingerprintIsEightWordsOfTheList) {
    std::set<std::string> seen;
    for (int i = 0; i < 200; ++i) {
        std::istringstream words{fingerprint_words(Identity::generate(rng).id())};
        std::string word;
        int count = 0;
        while (words >> word) {
            EXPECT_TRUE(std::ranges::all_of(word, [](char c) { return c >= 'a' && c <= 'z'; })) << word;
            EXPECT_GE(word.size(), 3U);
            seen.insert(word);
            ++count;
        }
        EXPECT_EQ(count, 8);
    }
    // 1600 draws leave a given one of 256 words out with probability e^-6.25, so about half a word is missing.
    EXPECT_GE(seen.size(), 250U);
    EXPECT_LE(seen.size(), 256U);
}

TEST_F(Keys, FingerprintOfAnIdStaysTheSame) {
    const auto id = PeerId::from_bytes(unhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"));
    EXPECT_EQ(fingerprint_words(*id), "hazel cousin ocean camera cousin fossil apron spoon");
}

}  // namespace
}  // namespace pinhole::crypto
