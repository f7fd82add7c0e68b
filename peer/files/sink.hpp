// Where a transfer's bytes go: a folder on the disk, or a stream such as standard output. Blocking: the shell calls
// run() on a worker thread for each command of a Receiver, in order, and hands the result back. In a folder every file
// is written aside under a hidden name, compared with its hash, given mode and time, synced, and only then renamed; an
// existing name is never overwritten. No name from outside can lead out of the folder.
#pragma once

#include "common/base/error.hpp"
#include "common/base/rng.hpp"
#include "peer/files/receiver.hpp"

#include <memory>
#include <string>

namespace pinhole::files {

class Sink {
  public:
    Sink() = default;
    Sink(const Sink&) = delete;
    Sink& operator=(const Sink&) = delete;
    /// Removes what is not under its final name.
    virtual ~Sink() = default;

    /// After an error every further command fails with the same error, except Discard, which always succeeds.
    [[nodiscard]] virtual Result<SinkResult> run(const SinkCommand& command) = 0;
};

/// The folder must exist. `rng` names the hidden files and must outlive the sink; it is used on the worker thread.
[[nodiscard]] Result<std::unique_ptr<Sink>> open_folder(const std::string& path, Rng& rng);

/// One single file, written to a descriptor (standard output) that stays the caller's; its hash is known to match only
/// when the transfer is done.
[[nodiscard]] std::unique_ptr<Sink> open_output(int descriptor);

}  // namespace pinhole::files
