// What two peers say to each other on chat and transfer streams, as domain values; peer_codec.hpp turns them into
// Protobuf and back, peer_frames.hpp puts them on a stream. The specification is proto/README.md, chapter 5. Names and
// paths are bytes as the sender's disk has them: not necessarily UTF-8, and not to be trusted.
#pragma once

#include "common/base/bytes.hpp"
#include "common/base/encoding.hpp"
#include "common/base/rng.hpp"
#include "common/base/wall_time.hpp"
#include "common/crypto/hash.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace pinhole::signaling {

/// 128 random bits that name something for both sides; `Tag` makes each use its own type.
template <class Tag>
struct RandomId {
    std::array<std::uint8_t, 16> bytes{};

    [[nodiscard]] static RandomId generate(Rng& rng) {
        RandomId id;
        rng.fill(id.bytes);
        return id;
    }

    [[nodiscard]] static std::optional<RandomId> from_bytes(ByteView view) {
        RandomId id;
        if (view.size() != id.bytes.size()) {
            return std::nullopt;
        }
        std::copy(view.begin(), view.end(), id.bytes.begin());
        return id;
    }

    /// 32 hexadecimal digits.
    [[nodiscard]] std::string text() const { return to_hex(bytes); }

    friend auto operator<=>(const RandomId&, const RandomId&) = default;
};

using MessageId = RandomId<struct MessageIdTag>;
using TransferId = RandomId<struct TransferIdTag>;

// --- chat ---
struct ChatText {
    MessageId id;
    WallTime sent_at;  ///< by the sender's clock
    std::string text;  ///< UTF-8, 1 to kMaxChatText bytes
};

/// The text with this id was taken over by the other side.
struct ChatReceipt {
    MessageId id;
};

// --- transfer, from the sending side ---
struct TransferOffer {
    TransferId id;
    std::string name;         ///< of the first path, for display only
    std::uint32_t files = 0;  ///< regular files
    std::uint32_t directories = 0;
    std::uint64_t bytes = 0;       ///< sum of the file sizes; 0 when not known
    std::uint64_t disk_bytes = 0;  ///< what storing them takes: less than `bytes` when files have holes
    bool size_known = true;        ///< false for standard input
};

enum class EntryKind : std::uint8_t { file = 1, directory = 2 };

/// Starts the next file or directory. A directory comes before everything in it, and the walk is depth first.
struct EntryHeader {
    std::vector<std::string> path;  ///< components, relative to the target folder
    EntryKind kind = EntryKind::file;
    std::uint64_t size = 0;
    bool size_known = true;
    std::uint32_t mode = 0;     ///< permission bits, 0777 at most
    std::int64_t mtime_ns = 0;  ///< since 1970, UTC
};

/// So many zero bytes, which need not be sent or stored.
struct ZeroRun {
    std::uint64_t count = 0;
};

/// Ends a file.
struct EntryTrailer {
    std::uint64_t size = 0;
    crypto::Hash32 hash{};  ///< README.md, chapter 5, "Hash"
};

enum class SkipReason : std::uint8_t {
    symlink = 1,  ///< a symbolic link inside a folder
    special,      ///< a socket, pipe or device inside a folder
    vanished      ///< gone before its turn came
};

/// An entry that was counted or seen but is not sent.
struct EntrySkipped {
    std::vector<std::string> path;
    SkipReason reason = SkipReason::symlink;
};

/// Nothing more follows.
struct TransferEnd {};

// --- transfer, from the receiving side ---
struct TransferAccept {};

enum class RefuseReason : std::uint8_t { declined = 1, disk_full, busy, not_possible };

struct TransferRefuse {
    RefuseReason reason = RefuseReason::declined;
};

/// The file of the header with this index (counted from 0 over all headers) is verified and under its final name.
struct EntryStored {
    std::uint32_t index = 0;
};

/// Everything is in place.
struct TransferStored {};

// --- transfer, from either side ---
enum class AbortReason : std::uint8_t {
    cancelled = 1,
    protocol,
    changed,  ///< a file changed while it was read
    unreadable,
    disk_full,
    no_permission,
    hash_mismatch,
    unsafe_name,
    too_many,
    failed  ///< anything else
};

struct TransferAbort {
    AbortReason reason = AbortReason::failed;
    std::string detail;  ///< to what it happened, at most 512 bytes, for display only
};

using PeerMessage =
    std::variant<ChatText, ChatReceipt, TransferOffer, EntryHeader, ZeroRun, EntryTrailer, EntrySkipped, TransferEnd,
                 TransferAccept, TransferRefuse, EntryStored, TransferStored, TransferAbort>;

}  // namespace pinhole::signaling
