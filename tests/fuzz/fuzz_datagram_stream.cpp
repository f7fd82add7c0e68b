// A stranger's byte stream: however it is cut into reads, the same datagrams come out, within their bound.
#include "common/net/datagram_stream.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

namespace {

using namespace pinhole;

void require(bool condition) {
    if (!condition) {
        std::abort();
    }
}

struct Outcome {
    std::vector<Bytes> datagrams;
    bool broken = false;

    friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome read(net::Framing framing, ByteView bytes, std::size_t step) {
    net::DatagramStream stream{framing};
    Outcome outcome;
    while (!bytes.empty()) {
        const auto space = stream.space();
        require(!space.empty());
        const auto piece = bytes.first(std::min({step, bytes.size(), space.size()}));
        std::ranges::copy(piece, space.begin());
        stream.commit(piece.size());
        bytes = bytes.subspan(piece.size());
        for (;;) {
            const auto next = stream.next();
            if (!next) {
                outcome.broken = true;
                return outcome;
            }
            if (!*next) {
                break;
            }
            require(!(*next)->empty() && (*next)->size() <= net::DatagramStream::kMaxDatagram);
            outcome.datagrams.push_back(to_bytes(**next));
        }
    }
    return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) {
        return 0;
    }
    const auto framing = (data[0] & 1U) != 0 ? net::Framing::stun : net::Framing::length;
    const ByteView bytes{data + 2, size - 2};
    const auto whole = read(framing, bytes, bytes.size());
    require(read(framing, bytes, std::size_t{data[1]} + 1) == whole);
    if (framing == net::Framing::length) {
        Bytes again;
        for (const auto& datagram : whole.datagrams) {
            net::append_framed(datagram, again);
        }
        require(read(framing, again, bytes.size() + 1).datagrams == whole.datagrams);
    }
    return 0;
}
