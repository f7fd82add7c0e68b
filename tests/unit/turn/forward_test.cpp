// What flows through channels costs no memory. The operators below count for the whole program.
#include "tests/unit/turn/world.hpp"

#include <cstdlib>
#include <new>

#include <gtest/gtest.h>

namespace {

std::size_t allocated = 0;

}  // namespace

void* operator new(std::size_t size) {
    ++allocated;
    if (void* memory = std::malloc(size == 0 ? 1 : size)) {  // NOLINT(cppcoreguidelines-no-malloc)
        return memory;
    }
    throw std::bad_alloc{};
}

void operator delete(void* memory) noexcept {
    std::free(memory);  // NOLINT(cppcoreguidelines-no-malloc)
}

void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);  // NOLINT(cppcoreguidelines-no-malloc)
}

namespace pinhole::turn {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace): the fixture of this folder

TEST(TurnForward, AllocatesNothing) {
    World world;
    auto client = world.client();
    const auto relay = [&] { return world.relays.at(world.allocate(client)); }();
    ASSERT_TRUE(world.ask(client, stun::kChannelBind, channel(0x4000, kPeer)).ok());
    const auto bytes = stun::channel_message({.channel = 0x4000, .payload = as_bytes("hello")}, false);
    const auto before = allocated;
    int sent = 0;
    for (int i = 0; i < 1000; ++i) {
        sent += world.server.forward_client(client.tuple, bytes, world.now).verdict == Forward::send ? 1 : 0;
        sent += world.server.forward_peer(relay, kPeer, 5, world.now).verdict == Forward::send ? 1 : 0;
        sent += world.server.forward_peer(relay, kOtherPeer, 5, world.now).verdict == Forward::drop ? 1 : 0;
    }
    EXPECT_EQ(allocated, before);
    EXPECT_EQ(sent, 3000);
}

}  // namespace
}  // namespace pinhole::turn
