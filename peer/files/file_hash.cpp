#include "peer/files/file_hash.hpp"

#include <array>

namespace pinhole::files {

void FileHash::data(ByteView bytes) {
    close_run();
    data_.update(bytes);
    size_ += bytes.size();
}

void FileHash::zeros(std::uint64_t count) {
    run_length_ += count;
    size_ += count;
    has_runs_ = true;
}

void FileHash::close_run() {
    if (run_length_ == 0) {
        return;
    }
    std::array<std::uint8_t, 16> run{};
    ByteWriter writer{run};
    writer.u64(size_ - run_length_);
    writer.u64(run_length_);
    runs_.update(run);
    run_length_ = 0;
}

crypto::Hash32 FileHash::finish() {
    close_run();
    const auto data = data_.finish();
    if (!has_runs_) {
        return data;
    }
    std::array<std::uint8_t, 72> both{};
    ByteWriter writer{both};
    writer.bytes(data);
    writer.bytes(runs_.finish());
    writer.u64(size_);
    return crypto::blake3(both);
}

}  // namespace pinhole::files
