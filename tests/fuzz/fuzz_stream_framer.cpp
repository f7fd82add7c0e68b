// A stream of STUN and ChannelData in pieces of any size. What must hold: the frames are the same however the stream
// was cut, lie within what came, and none is larger than the bound.
#include "common/stun/channel_data.hpp"
#include "common/stun/message.hpp"
#include "common/stun/stream_framer.hpp"
#include "tests/fuzz/script.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace {

using namespace pinhole;
using fuzz::require;

constexpr std::size_t kBound = 600;

struct Outcome {
    std::vector<Bytes> frames;
    bool failed = false;

    friend bool operator==(const Outcome&, const Outcome&) = default;
};

void drain(stun::StreamFramer& framer, Outcome& outcome) {
    while (!outcome.failed) {
        const auto frame = framer.next();
        outcome.failed = !frame;
        if (!frame || !*frame) {
            return;
        }
        require((*frame)->size() <= kBound);
        require(stun::is_channel_data(**frame) ? stun::parse_channel_data(**frame).has_value()
                                               : stun::is_stun(**frame));
        outcome.frames.push_back(to_bytes(**frame));
    }
}

Outcome cut(ByteView stream, std::size_t piece) {
    stun::StreamFramer framer{kBound};
    Outcome outcome;
    while (!stream.empty()) {
        const auto count = std::min(piece, stream.size());
        framer.push(stream.first(count));
        drain(framer, outcome);
        stream = stream.subspan(count);
    }
    return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView input{data, size};
    if (input.empty()) {
        return 0;
    }
    const auto stream = input.subspan(1);
    const auto whole = cut(stream, std::max<std::size_t>(stream.size(), 1));
    require(cut(stream, 1) == whole);
    require(cut(stream, std::size_t{1} + input[0]) == whole);
    return 0;
}
