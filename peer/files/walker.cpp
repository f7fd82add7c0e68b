#include "peer/files/walker.hpp"

#include "common/base/encoding.hpp"
#include "peer/files/errors.hpp"
#include "peer/files/limits.hpp"
#include "peer/files/path.hpp"

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <string_view>
#include <tuple>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace pinhole::files {

namespace {

// O_NONBLOCK: a pipe put in the place of a file must not hang the walk; it means nothing for files.
constexpr int kRead = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

/// What to call a named path: its last component, or that of the folder which ".", ".." or "dir/.." stand for.
Result<std::string> name_of(std::string_view root) {
    while (root.size() > 1 && root.ends_with('/')) {
        root.remove_suffix(1);
    }
    auto name = std::string{root.substr(root.rfind('/') + 1)};
    if (name.empty() || name == "." || name == "..") {
        const std::unique_ptr<char, decltype(&std::free)> real{::realpath(std::string{root}.c_str(), nullptr),
                                                               &std::free};
        const std::string_view path = real ? real.get() : "";
        name = path.substr(path.rfind('/') + 1);
    }
    if (name.empty()) {
        return fail(Errc::not_a_file, "the root folder; name the folders inside it instead");
    }
    return name;
}

}  // namespace

Result<WalkStep> Walker::next() {
    while (!open_.empty()) {
        errno = 0;
        const dirent* entry = ::readdir(open_.back().get());
        if (entry == nullptr && errno != 0) {
            return read_failure(join_path(path_), errno);
        }
        if (entry == nullptr) {
            open_.pop_back();
            path_.pop_back();
            continue;
        }
        std::string name = entry->d_name;
        if (name != "." && name != "..") {
            return visit(std::move(name));
        }
    }
    return next_root();
}

Result<WalkStep> Walker::next_root() {
    if (next_root_ == roots_.size()) {
        return WalkEnd{};
    }
    const auto& root = roots_[next_root_++];
    auto name = name_of(root);
    if (!name) {
        return std::unexpected(std::move(name.error()));
    }
    Found found{.path = {std::move(*name)}};
    // Asked before it is opened, because opening a device can have effects.
    if (::stat(root.c_str(), &found.info) != 0) {
        return read_failure(root, errno);
    }
    if (!S_ISREG(found.info.st_mode) && !S_ISDIR(found.info.st_mode)) {
        return fail(Errc::not_a_file, printable(root));
    }
    Descriptor file{::open(root.c_str(), kRead)};
    if (!file.is_open() || ::fstat(file.value(), &found.info) != 0) {
        return read_failure(root, errno);
    }
    if (S_ISDIR(found.info.st_mode)) {
        return enter(std::move(file), std::move(found));
    }
    if (!S_ISREG(found.info.st_mode)) {
        return fail(Errc::not_a_file, printable(root));
    }
    found.file = open_files_ ? std::move(file) : Descriptor{};
    return found;
}

Result<WalkStep> Walker::visit(std::string name) {
    const int parent = ::dirfd(open_.back().get());
    Found found{.path = path_};
    if (::fstatat(parent, name.c_str(), &found.info, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? Result<WalkStep>{skip(signaling::SkipReason::vanished, std::move(name))}
                               : read_failure(where(name), errno);
    }
    if (S_ISLNK(found.info.st_mode)) {
        return skip(signaling::SkipReason::symlink, std::move(name));
    }
    if (!S_ISREG(found.info.st_mode) && !S_ISDIR(found.info.st_mode)) {
        return skip(signaling::SkipReason::special, std::move(name));
    }
    found.path.push_back(name);
    if (auto safe = check_path(found.path); !safe) {
        return fail(found.path.size() > kMaxDepth ? Errc::too_deep : Errc::unsafe_name, printable(where(name)));
    }
    if (S_ISREG(found.info.st_mode) && !open_files_) {
        return ::faccessat(parent, name.c_str(), R_OK, AT_EACCESS) == 0 || errno == ENOENT
                   ? Result<WalkStep>{std::move(found)}
                   : read_failure(where(name), errno);
    }
    Descriptor file{::openat(parent, name.c_str(), kRead | O_NOFOLLOW)};
    if (!file.is_open()) {
        return errno == ENOENT || errno == ELOOP
                   ? Result<WalkStep>{skip(signaling::SkipReason::vanished, std::move(name))}
                   : read_failure(where(name), errno);
    }
    if (::fstat(file.value(), &found.info) != 0) {
        return read_failure(where(name), errno);
    }
    if (S_ISDIR(found.info.st_mode)) {
        return enter(std::move(file), std::move(found));
    }
    if (!S_ISREG(found.info.st_mode)) {
        return skip(signaling::SkipReason::special, std::move(name));
    }
    found.file = std::move(file);
    return found;
}

Result<WalkStep> Walker::enter(Descriptor folder, Found found) {
    Directory directory{::fdopendir(folder.value())};
    if (!directory) {
        return read_failure(join_path(found.path), errno);
    }
    std::ignore = folder.release();
    open_.push_back(std::move(directory));
    path_ = found.path;
    return found;
}

std::string Walker::where(std::string_view name) const {
    return join_path(path_) + "/" + std::string{name};
}

WalkStep Walker::skip(signaling::SkipReason reason, std::string name) const {
    signaling::EntrySkipped skipped{.path = path_, .reason = reason};
    skipped.path.push_back(std::move(name));
    return skipped;
}

}  // namespace pinhole::files
