#include "common/net/datagram_stream.hpp"

#include "common/base/rng.hpp"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

namespace pinhole::net {
namespace {

using Datagrams = std::vector<Bytes>;

/// All that is complete when `bytes` have come in pieces of `step`.
Result<Datagrams> read(Framing framing, ByteView bytes, std::size_t step) {
    DatagramStream stream{framing};
    Datagrams found;
    while (!bytes.empty()) {
        const auto space = stream.space();
        const auto piece = bytes.first(std::min({step, bytes.size(), space.size()}));
        std::ranges::copy(piece, space.begin());
        stream.commit(piece.size());
        bytes = bytes.subspan(piece.size());
        for (;;) {
            const auto next = stream.next();
            if (!next) {
                return std::unexpected(next.error());
            }
            if (!*next) {
                break;
            }
            found.push_back(to_bytes(**next));
        }
    }
    return found;
}

Bytes framed(const Datagrams& datagrams) {
    Bytes bytes;
    for (const auto& datagram : datagrams) {
        append_framed(datagram, bytes);
    }
    return bytes;
}

TEST(DatagramStream, FindsDatagramsHoweverTheStreamIsCut) {
    SeededRng rng{5};
    Datagrams sent;
    for (std::size_t i = 0; i < 200; ++i) {
        Bytes datagram(1 + rng.below(DatagramStream::kMaxDatagram));
        rng.fill(datagram);
        sent.push_back(std::move(datagram));
    }
    const auto bytes = framed(sent);
    for (const std::size_t step : {1U, 2U, 3U, 7U, 1000U, 2050U, 65536U, 1'000'000U}) {
        const auto found = read(Framing::length, bytes, step);
        ASSERT_TRUE(found);
        EXPECT_EQ(*found, sent) << "in pieces of " << step;
    }
}

TEST(DatagramStream, PassesOverEmptyDatagrams) {
    EXPECT_EQ(read(Framing::length, framed({{}, {1}, {}, {}, {2, 3}, {}}), 4), (Datagrams{{1}, {2, 3}}));
}

TEST(DatagramStream, KeepsWhatIsNotComplete) {
    EXPECT_EQ(read(Framing::length, Bytes{0}, 1), Datagrams{});
    EXPECT_EQ(read(Framing::length, Bytes{0, 3, 1, 2}, 4), Datagrams{});
    EXPECT_EQ(read(Framing::length, Bytes{0, 1, 9, 0}, 4), Datagrams{{9}});
}

TEST(DatagramStream, EndsAtALengthThatNobodySends) {
    EXPECT_FALSE(read(Framing::length, Bytes{8, 1}, 2));
    EXPECT_TRUE(read(Framing::length, Bytes{8, 0}, 2));
    EXPECT_FALSE(read(Framing::length, Bytes{0xff, 0xff, 1, 2, 3}, 5));
}

TEST(DatagramStream, FindsStunMessagesByTheirOwnLength) {
    Bytes first(28, 1);
    first[2] = 0;
    first[3] = 8;
    Bytes second(20, 2);
    second[2] = 0;
    second[3] = 0;
    Bytes bytes = first;
    bytes.insert(bytes.end(), second.begin(), second.end());
    for (const std::size_t step : {1U, 19U, 20U, 48U}) {
        EXPECT_EQ(read(Framing::stun, bytes, step), (Datagrams{first, second}));
    }
    first[2] = 0x10;
    EXPECT_FALSE(read(Framing::stun, first, 28));
}

}  // namespace
}  // namespace pinhole::net
