// Bytes of a stranger into the server's side of a link. The first byte seeds the sizes of the pieces and says how far
// the link is: new, or established, so that the bytes are taken for frames.
#include "common/signaling/secure_link.hpp"

#include <algorithm>
#include <cstdlib>

namespace {

using namespace pinhole;

signaling::SecureLink established_server(Rng& rng) {
    auto server = signaling::SecureLink::server(crypto::KeyPair::generate(rng), rng);
    auto client = signaling::SecureLink::client(crypto::KeyPair::generate(rng), {}, rng);
    for (int turn = 0; turn < 2; ++turn) {
        if (!server.handle_bytes(client.poll_output()) || !client.handle_bytes(server.poll_output())) {
            std::abort();
        }
    }
    return server;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0 || !crypto::initialize()) {
        return 0;
    }
    const std::uint8_t head = data[0];
    ByteView bytes{data + 1, size - 1};
    SeededRng rng{head};
    const bool fresh = head < 0xe0;  // a handshake of our own costs a millisecond: one input in eight
    auto server = fresh ? signaling::SecureLink::server(crypto::KeyPair::generate(rng), rng) : established_server(rng);
    bool alive = true;
    while (!bytes.empty() && alive) {
        const auto count = std::min<std::size_t>(bytes.size(), 1 + rng.below(64));
        alive = server.handle_bytes(bytes.first(count)).has_value();
        bytes = bytes.subspan(count);
    }
    // Nobody without the keys gets a frame through, and nobody without a handshake gets in.
    if (server.poll_frame() || (fresh && server.established()) || server.poll_output().size() > 514) {
        std::abort();
    }
    return 0;
}
