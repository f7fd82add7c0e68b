// What a transfer tells its shell, on either side.
#pragma once

#include "common/base/error.hpp"
#include "common/crypto/hash.hpp"
#include "common/signaling/peer_messages.hpp"

#include <cstdint>
#include <string>
#include <variant>

namespace pinhole::files {

/// Receiver only: answer with accept() or refuse().
struct Offered {
    signaling::TransferOffer offer;
};

/// Sender only: the other side agreed.
struct Accepted {};

/// One file is verified and under its final name on the receiving side.
struct FileStored {
    std::string path;  ///< bytes, joined with '/'; on the receiving side under the name it got
    std::uint64_t bytes = 0;
    crypto::Hash32 hash{};
};

/// An entry of a folder that is not sent.
struct Skipped {
    std::string path;
    signaling::SkipReason reason = signaling::SkipReason::symlink;
};

/// Everything is in place, and both sides know it. Last event.
struct Done {
    std::uint64_t bytes = 0;
    std::uint32_t files = 0;
};

/// It ended otherwise: errors.hpp, or the system's code. Last event.
struct Failed {
    Error error;
};

using Event = std::variant<Offered, Accepted, FileStored, Skipped, Done, Failed>;

struct Progress {
    std::uint64_t bytes_done = 0;
    std::uint64_t bytes_total = 0;  ///< meaningless when !total_known
    bool total_known = true;
    std::uint32_t files_done = 0;  ///< stored
    std::uint32_t files_total = 0;
    std::string current;  ///< path under way, bytes joined with '/'
};

}  // namespace pinhole::files
