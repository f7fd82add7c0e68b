// What a hostile server can send to a peer.
#include "common/signaling/codec.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace pinhole;
    if (const auto message = signaling::parse_to_peer({data, size})) {
        const auto again = signaling::serialize(*message);
        const auto reparsed = signaling::parse_to_peer(again);
        if (!reparsed || signaling::serialize(*reparsed) != again) {
            std::abort();
        }
    }
    return 0;
}
