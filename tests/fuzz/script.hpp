// What the fuzzers of state machines share: the input read as a script, and a demand that ends the run. A script that
// is over goes on with zeros; the harness asks `done`.
#pragma once

#include "common/base/bytes.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>

namespace pinhole::fuzz {

inline void require(bool condition) {
    if (!condition) {
        std::abort();
    }
}

class ScriptReader {
  public:
    explicit ScriptReader(ByteView input) : reader_(input) {}

    [[nodiscard]] bool done() const { return reader_.empty() || reader_.failed(); }

    std::uint8_t byte() { return reader_.u8().value_or(0); }

    std::uint16_t word() { return reader_.u16().value_or(0); }

    /// At most 255 bytes.
    ByteView blob() {
        const std::size_t wanted = byte();
        return reader_.take(std::min(wanted, reader_.remaining())).value_or(ByteView{});
    }

  private:
    ByteReader reader_;
};

}  // namespace pinhole::fuzz
