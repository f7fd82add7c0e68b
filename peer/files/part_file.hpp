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

struct Attributes {
    std::uint32_t mode = 0;  ///< permission bits
    std::int64_t mtime_ns = 0;
};

/// Gives a file or folder its attributes, as far as the file system can keep them, and syncs it.
[[nodiscard]] Status make_durable(int descriptor, const Attributes& attributes, std::string_view shown);

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
    Result<std::string> publish();
    void start_writeback();

    int folder_;
    Descriptor file_;
    std::string hidden_name_;  ///< empty once it is renamed
    std::string name_;
    std::string shown_;
    Attributes attributes_;
    FileHash hash_;
    std::uint64_t written_to_ = 0;  ///< end of the last bytes written
    std::uint64_t writeback_from_ = 0;
};

}  // namespace pinhole::files
