#include "peer/files/part_file.hpp"

#include "common/base/encoding.hpp"
#include "peer/files/errors.hpp"
#include "peer/files/path.hpp"

#include <array>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pinhole::files {

namespace {

/// Copies of one name that are tried.
constexpr unsigned kMaxNumber = 9999;
/// Bytes after which the kernel is asked to start writing, so that the sync at the end does not wait for everything.
constexpr std::uint64_t kWritebackStep = 8U << 20;

bool is_unsupported(int code) {
    return code == EINVAL || code == ENOSYS || code == EOPNOTSUPP || code == EPERM;
}

/// A rename that never replaces. Where the file system does not know the flag, a second link does the same; where it
/// does not know links either, an empty file claims the name first.
bool rename_to_new(int folder, const std::string& from, const std::string& to) {
    if (::renameat2(folder, from.c_str(), folder, to.c_str(), RENAME_NOREPLACE) == 0) {
        return true;
    }
    if (!is_unsupported(errno)) {
        return false;
    }
    if (::linkat(folder, from.c_str(), folder, to.c_str(), 0) == 0) {
        ::unlinkat(folder, from.c_str(), 0);
        return true;
    }
    if (!is_unsupported(errno)) {
        return false;
    }
    const Descriptor claim{::openat(folder, to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
    return claim.is_open() && ::renameat(folder, from.c_str(), folder, to.c_str()) == 0;
}

}  // namespace

Status make_durable(int descriptor, const Attributes& attributes, std::string_view shown) {
    constexpr std::int64_t kNs = 1'000'000'000;
    const auto ns = (attributes.mtime_ns % kNs + kNs) % kNs;
    const std::array<timespec, 2> times{timespec{.tv_sec = 0, .tv_nsec = UTIME_NOW},
                                        timespec{.tv_sec = (attributes.mtime_ns - ns) / kNs, .tv_nsec = ns}};
    // What is ours and still may not be changed is on a file system that cannot keep it, such as FAT; the content is
    // worth more than its mode. The same goes for folders that cannot be synced.
    if ((::fchmod(descriptor, attributes.mode & 0777U) != 0 || ::futimens(descriptor, times.data()) != 0) &&
        !is_unsupported(errno)) {
        return write_failure(shown, errno);
    }
    if (::fsync(descriptor) != 0 && errno != EINVAL) {
        return write_failure(shown, errno);
    }
    return {};
}

Result<PartFile> PartFile::create(int folder, const signaling::EntryHeader& header, Rng& rng) {
    std::array<std::uint8_t, 8> random{};
    rng.fill(random);
    auto hidden = std::string{kPartPrefix} + to_hex(random) + std::string{kPartSuffix};
    Descriptor file{
        ::openat(folder, hidden.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0600)};
    if (!file.is_open()) {
        return write_failure(join_path(header.path), errno);
    }
    return PartFile{folder, std::move(file), std::move(hidden), header};
}

PartFile::PartFile(int folder, Descriptor file, std::string hidden_name, const signaling::EntryHeader& header)
    : folder_(folder),
      file_(std::move(file)),
      hidden_name_(std::move(hidden_name)),
      name_(header.path.back()),
      shown_(join_path(header.path)),
      attributes_{.mode = header.mode, .mtime_ns = header.mtime_ns} {}

PartFile::PartFile(PartFile&& other) noexcept
    : folder_(other.folder_),
      file_(std::move(other.file_)),
      hidden_name_(std::exchange(other.hidden_name_, {})),
      name_(std::move(other.name_)),
      shown_(std::move(other.shown_)),
      attributes_(other.attributes_),
      hash_(other.hash_),
      written_to_(other.written_to_),
      writeback_from_(other.writeback_from_) {}

PartFile::~PartFile() {
    if (!hidden_name_.empty()) {
        ::unlinkat(folder_, hidden_name_.c_str(), 0);
    }
}

Status PartFile::write(ByteView bytes) {
    auto offset = hash_.size();
    hash_.data(bytes);
    while (!bytes.empty()) {
        const auto count = ::pwrite(file_.value(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (count < 0 && errno != EINTR) {
            return write_failure(shown_, errno);
        }
        const auto step = count > 0 ? static_cast<std::size_t>(count) : 0;
        offset += step;
        bytes = bytes.subspan(step);
    }
    written_to_ = offset;
    start_writeback();
    return {};
}

void PartFile::start_writeback() {
    if (written_to_ - writeback_from_ >= kWritebackStep) {
        ::sync_file_range(file_.value(), static_cast<off_t>(writeback_from_),
                          static_cast<off_t>(written_to_ - writeback_from_), SYNC_FILE_RANGE_WRITE);
        writeback_from_ = written_to_;
    }
}

Result<std::string> PartFile::finish(const signaling::EntryTrailer& trailer) {
    if (hash_.size() != trailer.size || hash_.finish() != trailer.hash) {
        return fail(Errc::hash_mismatch, printable(shown_));
    }
    if (trailer.size > written_to_ && ::ftruncate(file_.value(), static_cast<off_t>(trailer.size)) != 0) {
        return write_failure(shown_, errno);
    }
    if (auto durable = make_durable(file_.value(), attributes_, shown_); !durable) {
        return std::unexpected(std::move(durable.error()));
    }
    return publish();
}

Result<std::string> PartFile::publish() {
    for (unsigned number = 0; number <= kMaxNumber; ++number) {
        auto name = numbered_name(name_, number);
        if (rename_to_new(folder_, hidden_name_, name)) {
            hidden_name_.clear();
            return name;
        }
        if (errno != EEXIST) {
            return write_failure(shown_, errno);
        }
    }
    return fail(Errc::name_taken, printable(shown_));
}

}  // namespace pinhole::files
