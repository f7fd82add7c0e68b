#include "common/base/encoding.hpp"
#include "peer/files/descriptor.hpp"
#include "peer/files/errors.hpp"
#include "peer/files/limits.hpp"
#include "peer/files/part_file.hpp"
#include "peer/files/path.hpp"
#include "peer/files/sink.hpp"

#include <cerrno>
#include <ctime>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace pinhole::files {

namespace {

constexpr int kOpenFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
constexpr unsigned kMaxNumber = 9999;

/// The walk is depth first, so the folders under way are a stack, each held open: what happens to the names meanwhile
/// (a link put in the place of a folder) cannot lead elsewhere.
struct Level {
    std::string sent_name;
    std::string name;  ///< the one it got
    Descriptor folder;
    Attributes attributes;
};

class FolderSink final : public Sink {
  public:
    FolderSink(Descriptor root, Rng& rng) : root_(std::move(root)), rng_(rng) {}

    [[nodiscard]] Result<SinkResult> run(const SinkCommand& command) override {
        if (std::holds_alternative<Discard>(command)) {
            part_.reset();
            levels_.clear();
            return std::nullopt;
        }
        if (failed_) {
            return std::unexpected(*failed_);
        }
        auto result = std::visit([&](const auto& body) { return handle(body); }, command);
        if (!result) {
            failed_ = result.error();
            part_.reset();
        }
        return result;
    }

  private:
    Result<SinkResult> handle(const Prepare& prepare);
    Result<SinkResult> handle(const signaling::EntryHeader& header);
    Result<SinkResult> handle(const Bytes& bytes);
    Result<SinkResult> handle(const signaling::ZeroRun& run);
    Result<SinkResult> handle(const signaling::EntryTrailer& trailer);
    Result<SinkResult> handle(const Complete&);

    static Result<SinkResult> handle(const Discard&) { return std::nullopt; }

    Status go_to_parent(const signaling::EntryHeader& header);
    Status make_folder(const signaling::EntryHeader& header);
    Status leave();

    [[nodiscard]] int here() const { return levels_.empty() ? root_.value() : levels_.back().folder.value(); }

    [[nodiscard]] std::string path_of(const std::string& name) const;

    Descriptor root_;
    Rng& rng_;
    std::vector<Level> levels_;
    std::optional<PartFile> part_;  // declared after levels_: it removes itself from a folder that is still open
    std::optional<Error> failed_;
};

Result<SinkResult> without_file(const Status& status) {
    return status ? Result<SinkResult>{std::nullopt} : std::unexpected(status.error());
}

Result<SinkResult> FolderSink::handle(const Prepare& prepare) {
    struct statvfs space{};
    if (::fstatvfs(root_.value(), &space) != 0) {
        return write_failure("the target folder", errno);
    }
    const auto available = std::uint64_t{space.f_bavail} * space.f_frsize;
    // File systems over a network may not know their size; then the writing will tell.
    if (space.f_blocks != 0 && prepare.offer.disk_bytes > available) {
        constexpr std::uint64_t kMega = 1'000'000;
        return fail(Errc::disk_full, fmt::format("{} MB are needed and {} MB are free",
                                                 prepare.offer.disk_bytes / kMega, available / kMega));
    }
    return std::nullopt;
}

Result<SinkResult> FolderSink::handle(const signaling::EntryHeader& header) {
    if (part_) {
        return fail(Errc::protocol);
    }
    if (auto safe = check_path(header.path); !safe) {
        return std::unexpected(std::move(safe.error()));
    }
    if (auto ready = go_to_parent(header); !ready) {
        return std::unexpected(std::move(ready.error()));
    }
    if (header.kind == signaling::EntryKind::directory) {
        return without_file(make_folder(header));
    }
    auto part = PartFile::create(here(), header, rng_);
    if (!part) {
        return std::unexpected(std::move(part.error()));
    }
    part_.emplace(std::move(*part));
    return std::nullopt;
}

/// Leaves folders until the entry's own is on top. It must have been announced, and not left before.
Status FolderSink::go_to_parent(const signaling::EntryHeader& header) {
    const auto depth = header.path.size() - 1;
    std::size_t shared = 0;
    while (shared < depth && shared < levels_.size() && levels_[shared].sent_name == header.path[shared]) {
        ++shared;
    }
    if (shared < depth) {
        return fail(Errc::protocol, "an entry outside of its folder");
    }
    while (levels_.size() > shared) {
        if (auto left = leave(); !left) {
            return left;
        }
    }
    return {};
}

/// Always a new folder, so that nothing that was there before is mixed with what arrives.
Status FolderSink::make_folder(const signaling::EntryHeader& header) {
    const auto shown = join_path(header.path);
    for (unsigned number = 0; number <= kMaxNumber; ++number) {
        auto name = numbered_name(header.path.back(), number);
        // Ours alone until it is complete; the mode that was sent might not even let us write.
        if (::mkdirat(here(), name.c_str(), 0700) != 0) {
            if (errno == EEXIST) {
                continue;
            }
            return write_failure(shown, errno);
        }
        Descriptor folder{::openat(here(), name.c_str(), kOpenFolder)};
        if (!folder.is_open()) {
            return write_failure(shown, errno);
        }
        levels_.push_back({.sent_name = header.path.back(),
                           .name = std::move(name),
                           .folder = std::move(folder),
                           .attributes = {.mode = header.mode, .mtime_ns = header.mtime_ns}});
        return {};
    }
    return fail(Errc::name_taken, printable(shown));
}

Status FolderSink::leave() {
    const auto level = std::move(levels_.back());
    levels_.pop_back();
    return make_durable(level.folder.value(), level.attributes, path_of(level.name));
}

Result<SinkResult> FolderSink::handle(const Bytes& bytes) {
    return part_ ? without_file(part_->write(bytes)) : Result<SinkResult>{fail(Errc::protocol)};
}

Result<SinkResult> FolderSink::handle(const signaling::ZeroRun& run) {
    if (!part_) {
        return fail(Errc::protocol);
    }
    part_->skip_zeros(run.count);
    return std::nullopt;
}

Result<SinkResult> FolderSink::handle(const signaling::EntryTrailer& trailer) {
    if (!part_) {
        return fail(Errc::protocol);
    }
    auto name = part_->finish(trailer);
    part_.reset();
    if (!name) {
        return std::unexpected(std::move(name.error()));
    }
    return FileStored{.path = path_of(*name), .bytes = trailer.size, .hash = trailer.hash};
}

Result<SinkResult> FolderSink::handle(const Complete&) {
    if (part_) {
        return fail(Errc::protocol);
    }
    while (!levels_.empty()) {
        if (auto left = leave(); !left) {
            return std::unexpected(std::move(left.error()));
        }
    }
    if (::fsync(root_.value()) != 0 && errno != EINVAL) {
        return write_failure("the target folder", errno);
    }
    return std::nullopt;
}

std::string FolderSink::path_of(const std::string& name) const {
    std::string path;
    for (const auto& level : levels_) {
        path += level.name + '/';
    }
    return path + name;
}

/// Removes what a killed process left in `folder`. Younger than a day may be a transfer under way.
void remove_stale_parts(int folder) {
    constexpr std::time_t kStaleAfter = 24 * 60 * 60;
    Descriptor copy{::openat(folder, ".", kOpenFolder)};
    const std::unique_ptr<DIR, int (*)(DIR*)> directory{::fdopendir(copy.value()), ::closedir};
    if (!directory) {
        return;
    }
    std::ignore = copy.release();
    const auto now = std::time(nullptr);
    while (const dirent* entry = ::readdir(directory.get())) {
        const std::string_view name = entry->d_name;
        struct stat info{};
        if (name.starts_with(kPartPrefix) && name.ends_with(kPartSuffix) &&
            ::fstatat(folder, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode) &&
            info.st_uid == ::geteuid() && now - info.st_mtime > kStaleAfter) {
            ::unlinkat(folder, entry->d_name, 0);
        }
    }
}

}  // namespace

Result<std::unique_ptr<Sink>> open_folder(const std::string& path, Rng& rng) {
    // The folder that the user names may be a link; only what is inside must not be.
    Descriptor root{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!root.is_open()) {
        return read_failure(path, errno);
    }
    remove_stale_parts(root.value());
    return std::make_unique<FolderSink>(std::move(root), rng);
}

}  // namespace pinhole::files
