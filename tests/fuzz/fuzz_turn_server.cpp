// Anything that clients, peers, the shell and time can do to a TURN server, in any order, authenticated messages with
// any attributes among it. What must hold is said by script_world.hpp: the books agree after each step, nothing goes to
// an address that is refused, and nothing is left at the end.
#include "tests/unit/turn/script_world.hpp"

#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace pinhole;
    fuzz::ScriptReader script{ByteView{data, size}};
    turn::test::ScriptWorld world{1};
    while (!script.done()) {
        world.step(script);
    }
    world.end();
    return 0;
}
