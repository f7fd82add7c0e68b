#include "common/crypto/blake3.hpp"

#include "common/crypto/blake3_words.hpp"
#include "tests/unit/crypto/support.hpp"

#include <algorithm>
#include <array>
#include <ranges>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace pinhole::crypto {
namespace {

/// The input of the official test vectors: 0, 1, … 250, 0, 1, …
Bytes counted(std::size_t size) {
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i) {
        bytes[i] = static_cast<std::uint8_t>(i % 251);
    }
    return bytes;
}

struct Vector {
    std::size_t size;
    std::string_view hash;
};

// From test_vectors.json of the BLAKE3 project, the first 32 bytes of each.
constexpr std::array kVectors = {Vector{0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"},
                                 Vector{1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"},
                                 Vector{1023, "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11"},
                                 Vector{1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"},
                                 Vector{1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"},
                                 Vector{2048, "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a"},
                                 Vector{2049, "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030"},
                                 Vector{3072, "b98cb0ff3623be03326b373de6b9095218513e64f1ee2edd2525c7ad1e5cffd2"},
                                 Vector{3073, "7124b49501012f81cc7f11ca069ec9226cecb8a2c850cfe644e327d22d3e1cd3"},
                                 Vector{4096, "015094013f57a5277b59d8475c0501042c0b642e531b0a1c8f58d2163229e969"},
                                 Vector{4097, "9b4052b38f1c5fc8b1f9ff7ac7b27cd242487b3d890d15c96a1c25b8aa0fb995"},
                                 Vector{5120, "9cadc15fed8b5d854562b26a9536d9707cadeda9b143978f319ab34230535833"},
                                 Vector{5121, "628bd2cb2004694adaab7bbd778a25df25c47b9d4155a55f8fbd79f2fe154cff"},
                                 Vector{6144, "3e2e5b74e048f3add6d21faab3f83aa44d3b2278afb83b80b3c35164ebeca205"},
                                 Vector{6145, "f1323a8631446cc50536a9f705ee5cb619424d46887f3c376c695b70e0f0507f"},
                                 Vector{7168, "61da957ec2499a95d6b8023e2b0e604ec7f6b50e80a9678b89d2628e99ada77a"},
                                 Vector{7169, "a003fc7a51754a9b3c7fae0367ab3d782dccf28855a03d435f8cfe74605e7817"},
                                 Vector{8192, "aae792484c8efe4f19e2ca7d371d8c467ffb10748d8a5a1ae579948f718a2a63"},
                                 Vector{8193, "bab6c09cb8ce8cf459261398d2e7aef35700bf488116ceb94a36d0f5f1b7bc3b"},
                                 Vector{16384, "f875d6646de28985646f34ee13be9a576fd515f76b5b0a26bb324735041ddde4"},
                                 Vector{31744, "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47"},
                                 Vector{102400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085"}};

TEST(Blake3, MatchesTheOfficialVectors) {
    for (const auto& vector : kVectors) {
        EXPECT_EQ(to_hex(blake3(counted(vector.size))), vector.hash) << vector.size;
    }
}

TEST(Blake3, DoesNotCareHowItIsFed) {
    const auto bytes = counted((3U << 20) + 17);
    const auto whole = blake3(bytes);
    for (const std::size_t step : {63U, 1023U, 1024U, 1025U, 4096U, 65536U, 262144U, 262145U, 300000U, 1048576U}) {
        Blake3 hash;
        for (ByteView rest{bytes}; !rest.empty(); rest = rest.subspan(std::min(step, rest.size()))) {
            hash.update(rest.first(std::min(step, rest.size())));
        }
        EXPECT_EQ(to_hex(hash.finish()), to_hex(whole)) << step;
    }
}

TEST(Blake3, IsTheSameInLanesAndOneByOne) {
    using namespace blake3_detail;
    // So many that every width of vectors has its turn, with numbers that need their upper half.
    constexpr std::size_t kCount = 16 + 8 + 4 + 3;
    constexpr std::uint64_t kCounter = (1ULL << 32) - 5;
    const auto bytes = counted(kCount * Blake3::kChunk);
    const auto hashed = [&](std::size_t from, std::size_t count) {
        std::vector<Blake3::ChainingValue> values(count);
        const auto done = hash_wide({.bytes = bytes.data() + from * Blake3::kChunk,
                                     .count = count,
                                     .blocks = Blake3::kChunk / kBlock,
                                     .counts = true,
                                     .counter = kCounter + from},
                                    values.data());
        values.resize(done);
        return values;
    };
    const auto all = hashed(0, kCount);
    for (std::size_t from = 0; from + 4 <= all.size(); ++from) {
        const auto few = hashed(from, 4);  // in the narrowest vectors
        ASSERT_EQ(few.size(), 4U);
        EXPECT_TRUE(std::ranges::equal(few, all | std::views::drop(from) | std::views::take(4))) << from;
    }
}

}  // namespace
}  // namespace pinhole::crypto
