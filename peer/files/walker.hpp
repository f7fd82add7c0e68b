// Goes through the files and folders that a user named, depth first, one entry at a time, so that memory does not grow
// with the tree. Blocking. Links are followed where the user named them; below, links and special files are skipped.
#pragma once

#include "common/base/error.hpp"
#include "common/signaling/peer_messages.hpp"
#include "peer/files/descriptor.hpp"

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <dirent.h>
#include <sys/stat.h>

namespace pinhole::files {

struct Found {
    std::vector<std::string> path{};  ///< from the named file or folder on
    struct stat info{};
    Descriptor file{};  ///< open for reading; only for files, and only when asked for
};

/// Nothing is left.
struct WalkEnd {};

using WalkStep = std::variant<Found, signaling::EntrySkipped, WalkEnd>;

class Walker {
  public:
    /// With `open_files` off, for counting, files are only asked whether they can be read.
    Walker(std::vector<std::string> roots, bool open_files) : roots_(std::move(roots)), open_files_(open_files) {}

    [[nodiscard]] Result<WalkStep> next();

  private:
    struct CloseDirectory {
        void operator()(DIR* directory) const { ::closedir(directory); }
    };

    using Directory = std::unique_ptr<DIR, CloseDirectory>;

    Result<WalkStep> next_root();
    Result<WalkStep> visit(std::string name);
    Result<WalkStep> visit_file(Found found);
    Result<WalkStep> enter(Descriptor folder, Found found);
    [[nodiscard]] std::string where(std::string_view name) const;
    WalkStep skip(signaling::SkipReason reason, std::string name) const;

    std::vector<std::string> roots_;
    bool open_files_;
    std::size_t next_root_ = 0;
    std::vector<Directory> open_;    ///< from the root down
    std::vector<std::string> path_;  ///< their names
};

}  // namespace pinhole::files
