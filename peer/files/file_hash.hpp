// The hash of a file as it travels: BLAKE3 of its content, so that `b3sum` says the same. Runs of zeros that were not
// sent are not hashed either, so that a sparse file costs what it holds; a file with such runs has
//   BLAKE3(H(data without the runs) || H(offset and length of each run, 64 bits big-endian) || size, 64 bits)
// where adjacent runs count as one. Both sides feed it in order.
#pragma once

#include "common/base/bytes.hpp"
#include "common/crypto/blake3.hpp"

#include <cstdint>

namespace pinhole::files {

class FileHash {
  public:
    void data(ByteView bytes);
    void zeros(std::uint64_t count);
    /// Once, at the end.
    [[nodiscard]] crypto::Hash32 finish();

    [[nodiscard]] std::uint64_t size() const { return size_; }

  private:
    void close_run();

    crypto::Blake3 data_;
    crypto::Blake3 runs_;
    std::uint64_t size_ = 0;
    std::uint64_t run_length_ = 0;
    bool has_runs_ = false;
};

}  // namespace pinhole::files
