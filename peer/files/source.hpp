// Where a transfer's bytes come from: files and folders on the disk, or a stream such as standard input. Blocking: the
// shell calls next() on a worker thread, as often as Sender::poll_demand says, and hands each item to the Sender.
// Symbolic links are followed when they were given by name; inside folders they are skipped and reported.
#pragma once

#include "common/base/error.hpp"
#include "peer/files/sender.hpp"

#include <memory>
#include <span>
#include <string>
#include <utility>

namespace pinhole::files {

class Source {
  public:
    Source() = default;
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;
    virtual ~Source() = default;

    /// What will be sent, counted when the source was opened.
    [[nodiscard]] virtual const signaling::TransferOffer& offer() const = 0;

    /// The next item; TransferEnd is the last. After an error there is nothing more. File data comes in `buffer` when
    /// that has the room.
    [[nodiscard]] Result<SourceItem> next(Bytes buffer = {}) { return read_next(std::move(buffer)); }

  private:
    [[nodiscard]] virtual Result<SourceItem> read_next(Bytes buffer) = 0;
};

/// Counts what the paths hold (blocking, touches every entry once) and prepares to walk them. Errors: not_found,
/// not_a_file, no_permission, too_many_files, too_deep; the detail names the path.
[[nodiscard]] Result<std::unique_ptr<Source>> open_paths(std::span<const std::string> paths,
                                                         const signaling::TransferId& id);

/// Everything that a descriptor (standard input) yields until its end, as one file called `name`. The descriptor stays
/// the caller's.
[[nodiscard]] std::unique_ptr<Source> open_stream(int descriptor, std::string name, const signaling::TransferId& id);

}  // namespace pinhole::files
