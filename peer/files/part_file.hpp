// One file on its way onto the disk: written aside under a hidden name, and renamed when it is complete and verified.
// Whatever goes wrong before that, the destructor removes it. Blocking.
#pragma once

#include "common/base/error.hpp"
#include "common/base/rng.hpp"
#include "common/signaling/peer_messages.hpp"
#include "peer/files/descriptor.hpp"
#include "peer/files/file_hash.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace pinhole::files {

inline constexpr std::string_view kPartPrefix = ".pinhole-";
inline constexpr std::string_view kPartSuffix = ".part";

class PartFile {
  public:
    /// In `folder`, which outlives it. `shown` is the path for error messages.
    [[nodiscard]] static Result<PartFile> create(int folder, const signaling::EntryHeader& header, Rng& rng);

    PartFile(PartFile&& other) noexcept;
    PartFile& operator=(PartFile&&) = delete;
    ~PartFile();

    [[nodiscard]] Status write(ByteView bytes);

    /// Leaves a hole.
    void skip_zeros(std::uint64_t count) { hash_.zeros(count); }

    /// Verifies, sets mode and time, syncs and renames. Returns the name that it got.
    [[nodiscard]] Result<std::string> finish(const signaling::EntryTrailer& trailer);

  private:
    PartFile(int folder, Descriptor file, std::string hidden_name, const signaling::EntryHeader& header);
    Status make_durable();
    Result<std::string> publish();
    void start_writeback();

    int folder_;
    Descriptor file_;
    std::string hidden_name_;  ///< empty once it is renamed
    std::string name_;
    std::string shown_;
    std::uint32_t mode_;
    std::int64_t mtime_ns_;
    FileHash hash_;
    std::uint64_t written_to_ = 0;  ///< end of the last bytes written
    std::uint64_t writeback_from_ = 0;
};

/// Modification time and the present access time, for futimens.
[[nodiscard]] Status set_times(int descriptor, std::int64_t mtime_ns, std::string_view shown);

}  // namespace pinhole::files
