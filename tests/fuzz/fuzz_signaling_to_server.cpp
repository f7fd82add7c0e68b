// What any client can send to the server once its handshake is over: a hello, then messages.
#include "common/signaling/codec.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace pinhole;
    const ByteView bytes{data, size};
    static_cast<void>(signaling::parse_hello(bytes));
    // What was accepted must be accepted again from its own serialization: the server passes it on.
    if (const auto message = signaling::parse_to_server(bytes)) {
        const auto again = signaling::serialize(*message);
        const auto reparsed = signaling::parse_to_server(again);
        if (!reparsed || signaling::serialize(*reparsed) != again) {
            std::abort();
        }
    }
    return 0;
}
