// What a command ends with: the exit code of the contract, a stable code for scripts, one sentence and what to try.
#pragma once

#include "common/base/error.hpp"

#include <string>

namespace pinhole::cli {

/// The contract's exit codes.
enum class Exit : int {
    done = 0,
    failure = 1,
    usage = 2,
    server_unreachable = 3,
    peer_unknown = 4,
    no_path = 5,
    identity_mismatch = 6,
    transfer_failed = 7,
    refused = 8,
    interrupted = 130
};

struct Failure {
    Exit exit = Exit::failure;
    std::string code;     ///< for scripts: lower case with hyphens
    std::string message;  ///< what happened, to what
    std::string hint;     ///< what to try; may be empty
};

/// Places an error of any room. `peer` is the name to speak of, empty if there is none.
[[nodiscard]] Failure explain(const Error& error, const std::string& peer);

}  // namespace pinhole::cli
