#include "peer/files/source.hpp"

#include "common/base/encoding.hpp"
#include "peer/files/descriptor.hpp"
#include "peer/files/errors.hpp"
#include "peer/files/file_hash.hpp"
#include "peer/files/limits.hpp"
#include "peer/files/path.hpp"
#include "peer/files/walker.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <limits>
#include <optional>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pinhole::files {

namespace {

constexpr std::uint64_t kStatBlock = 512;  // the unit of st_blocks

/// Nanoseconds since 1970 hold the years 1678 to 2261; what is outside is moved to the edge.
std::int64_t to_ns(const timespec& time) {
    constexpr std::int64_t kNs = 1'000'000'000;
    constexpr auto kEdge = std::numeric_limits<std::int64_t>::max() / kNs - 1;
    return std::clamp<std::int64_t>(time.tv_sec, -kEdge, kEdge) * kNs + time.tv_nsec;
}

std::uint64_t size_of(const struct stat& info) {
    return static_cast<std::uint64_t>(info.st_size);
}

std::uint64_t stored_size_of(const struct stat& info) {
    return std::min(size_of(info), static_cast<std::uint64_t>(info.st_blocks) * kStatBlock);
}

signaling::EntryHeader header_of(const Found& found) {
    const bool directory = S_ISDIR(found.info.st_mode);
    return {.path = found.path,
            .kind = directory ? signaling::EntryKind::directory : signaling::EntryKind::file,
            .size = directory ? 0 : size_of(found.info),
            .mode = found.info.st_mode & 0777U,
            .mtime_ns = to_ns(found.info.st_mtim)};
}

bool is_zero(ByteView bytes) {
    return bytes.front() == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

/// The buffer, or another one where it is too small, or so large that a small file would waste it.
Bytes sized(Bytes buffer, std::size_t size) {
    if (buffer.capacity() < size || size < kChunkSize / 2) {
        return Bytes(size);
    }
    buffer.resize(size);
    return buffer;
}

class PathSource final : public Source {
  public:
    PathSource(std::vector<std::string> roots, signaling::TransferOffer offer)
        : offer_(std::move(offer)), walker_(std::move(roots), true) {}

    [[nodiscard]] const signaling::TransferOffer& offer() const override { return offer_; }

  private:
    [[nodiscard]] Result<SourceItem> read_next(Bytes buffer) override {
        return file_ ? next_of_file(std::move(buffer)) : next_entry();
    }

    struct OpenFile {
        Found found;
        std::uint64_t size = 0;
        bool has_holes = false;
        FileHash hash;
    };

    Result<SourceItem> next_entry();
    Result<SourceItem> next_of_file(Bytes buffer);
    Result<SourceItem> finish_file();
    Result<SourceItem> read_chunk(std::size_t size, Bytes buffer);
    [[nodiscard]] std::uint64_t hole_at_offset() const;
    [[nodiscard]] std::unexpected<Error> changed() const;

    signaling::TransferOffer offer_;
    Walker walker_;
    std::optional<OpenFile> file_;
};

Result<SourceItem> PathSource::next_entry() {
    auto step = walker_.next();
    if (!step) {
        return std::unexpected(std::move(step.error()));
    }
    if (std::holds_alternative<WalkEnd>(*step)) {
        return signaling::TransferEnd{};
    }
    if (auto* skipped = std::get_if<signaling::EntrySkipped>(&*step)) {
        return std::move(*skipped);
    }
    auto& found = std::get<Found>(*step);
    auto header = header_of(found);
    if (found.file.is_open()) {
        ::posix_fadvise(found.file.value(), 0, 0, POSIX_FADV_SEQUENTIAL);
        const bool has_holes = stored_size_of(found.info) < header.size;
        file_.emplace(std::move(found), header.size, has_holes, FileHash{});
    }
    return header;
}

Result<SourceItem> PathSource::next_of_file(Bytes buffer) {
    const auto rest = file_->size - file_->hash.size();
    if (rest == 0) {
        return finish_file();
    }
    if (const auto hole = hole_at_offset(); hole > 0) {
        file_->hash.zeros(hole);
        return signaling::ZeroRun{hole};
    }
    return read_chunk(static_cast<std::size_t>(std::min<std::uint64_t>(rest, kChunkSize)), std::move(buffer));
}

/// Zeros from here on that the file system does not even store, in whole chunks unless they reach the end.
std::uint64_t PathSource::hole_at_offset() const {
    if (!file_->has_holes) {
        return 0;
    }
    const auto offset = file_->hash.size();
    const auto data = ::lseek(file_->found.file.value(), static_cast<off_t>(offset), SEEK_DATA);
    const auto rest = file_->size - offset;
    const bool to_the_end = data < 0 ? errno == ENXIO : static_cast<std::uint64_t>(data) >= file_->size;
    if (to_the_end) {
        return rest >= kChunkSize ? rest : 0;
    }
    const auto hole = data < 0 ? 0 : static_cast<std::uint64_t>(data) - offset;
    return hole - hole % kChunkSize;
}

Result<SourceItem> PathSource::read_chunk(std::size_t size, Bytes buffer) {
    auto bytes = sized(std::move(buffer), size);
    std::size_t got = 0;
    while (got < size) {
        const auto offset = static_cast<off_t>(file_->hash.size() + got);
        const auto count = ::pread(file_->found.file.value(), bytes.data() + got, size - got, offset);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return read_failure(join_path(file_->found.path), errno);
        }
        if (count == 0) {
            return changed();
        }
        got += static_cast<std::size_t>(count);
    }
    if (size == kChunkSize && is_zero(bytes)) {
        file_->hash.zeros(size);
        return signaling::ZeroRun{size};
    }
    file_->hash.data(bytes);
    return bytes;
}

Result<SourceItem> PathSource::finish_file() {
    struct stat now{};
    if (::fstat(file_->found.file.value(), &now) != 0) {
        return read_failure(join_path(file_->found.path), errno);
    }
    if (size_of(now) != file_->size || to_ns(now.st_mtim) != to_ns(file_->found.info.st_mtim)) {
        return changed();
    }
    const signaling::EntryTrailer trailer{.size = file_->size, .hash = file_->hash.finish()};
    file_.reset();
    return trailer;
}

std::unexpected<Error> PathSource::changed() const {
    return fail(Errc::changed_while_reading, printable(join_path(file_->found.path)));
}

class StreamSource final : public Source {
  public:
    StreamSource(int descriptor, std::string name, const signaling::TransferId& id)
        : descriptor_(descriptor), offer_{.id = id, .name = std::move(name), .files = 1, .size_known = false} {}

    [[nodiscard]] const signaling::TransferOffer& offer() const override { return offer_; }

  private:
    enum class Next : std::uint8_t { header, data, end };

    [[nodiscard]] Result<SourceItem> read_next(Bytes buffer) override {
        switch (std::exchange(next_, next_ == Next::header ? Next::data : next_)) {
            case Next::header:
                return header();
            case Next::data:
                return read(std::move(buffer));
            case Next::end:
                break;
        }
        return signaling::TransferEnd{};
    }

    [[nodiscard]] signaling::EntryHeader header() const {
        timespec now{};
        ::clock_gettime(CLOCK_REALTIME, &now);
        return {.path = {offer_.name}, .size_known = false, .mode = 0644, .mtime_ns = to_ns(now)};
    }

    /// What is there, so that a slow pipe is not held back until a chunk is full.
    Result<SourceItem> read(Bytes buffer) {
        auto bytes = sized(std::move(buffer), kChunkSize);
        auto count = ::read(descriptor_, bytes.data(), bytes.size());
        while (count < 0 && (errno == EINTR || errno == EAGAIN)) {
            pollfd readable{.fd = descriptor_, .events = POLLIN, .revents = 0};
            ::poll(&readable, 1, -1);
            count = ::read(descriptor_, bytes.data(), bytes.size());
        }
        if (count < 0) {
            return read_failure(offer_.name, errno);
        }
        if (count == 0) {
            next_ = Next::end;
            return signaling::EntryTrailer{.size = hash_.size(), .hash = hash_.finish()};
        }
        bytes.resize(static_cast<std::size_t>(count));
        hash_.data(bytes);
        return bytes;
    }

    int descriptor_;
    signaling::TransferOffer offer_;
    Next next_ = Next::header;
    FileHash hash_;
};

/// The first pass: everything once, so that the other side knows what it agrees to.
Result<signaling::TransferOffer> count(const std::vector<std::string>& roots, const signaling::TransferId& id) {
    signaling::TransferOffer offer;
    offer.id = id;
    Walker walker{roots, false};
    for (;;) {
        auto step = walker.next();
        if (!step) {
            return std::unexpected(std::move(step.error()));
        }
        if (std::holds_alternative<WalkEnd>(*step)) {
            return offer;
        }
        const auto* found = std::get_if<Found>(&*step);
        if (found == nullptr) {
            continue;
        }
        if (offer.name.empty()) {
            offer.name = found->path.front();
        }
        if (S_ISDIR(found->info.st_mode)) {
            ++offer.directories;
        } else {
            ++offer.files;
            offer.bytes += size_of(found->info);
            offer.disk_bytes += stored_size_of(found->info);
        }
        if (std::uint64_t{offer.files} + offer.directories > kMaxEntries) {
            return fail(Errc::too_many_files, printable(found->path.front()));
        }
    }
}

}  // namespace

Result<std::unique_ptr<Source>> open_paths(std::span<const std::string> paths, const signaling::TransferId& id) {
    std::vector<std::string> roots{paths.begin(), paths.end()};
    auto offer = count(roots, id);
    if (!offer) {
        return std::unexpected(std::move(offer.error()));
    }
    return std::make_unique<PathSource>(std::move(roots), std::move(*offer));
}

std::unique_ptr<Source> open_stream(int descriptor, std::string name, const signaling::TransferId& id) {
    return std::make_unique<StreamSource>(descriptor, std::move(name), id);
}

}  // namespace pinhole::files
