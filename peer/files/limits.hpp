// Bounds of a transfer: value, unit, why.
#pragma once

#include "common/signaling/peer_frames.hpp"

#include <cstddef>
#include <cstdint>

namespace pinhole::files {

/// Bytes read, hashed, sent and written at a time.
inline constexpr std::size_t kChunkSize = signaling::kMaxDataFrame;
/// Bytes between disk and stream on each side: 16 chunks hide a slow moment of either, and memory does not grow with
/// the file. When they are full the stream is not read (or the disk not asked), and flow control tells the other side.
inline constexpr std::size_t kWindow = 16 * kChunkSize;
/// Chunks that the disk is asked for at once: each time wakes its thread up, and three quarters of the window last
/// until then.
inline constexpr std::size_t kDemandStep = kWindow / kChunkSize / 4;
/// What an entry without data counts for in the window, on top of its path.
inline constexpr std::size_t kEntryCost = 1024;
/// NAME_MAX and PATH_MAX of Linux.
inline constexpr std::size_t kMaxName = 255;
inline constexpr std::size_t kMaxPath = 4096;
/// Folders inside each other; each level holds one descriptor open.
inline constexpr std::size_t kMaxDepth = 64;
/// Files and folders of one transfer.
inline constexpr std::uint64_t kMaxEntries = 1'000'000;
/// Files sent but not yet confirmed as stored: their names are kept for the report.
inline constexpr std::size_t kMaxUnconfirmed = 4096;

/// What may come of an offered count or size: live folders grow between the offer and the walk, but nobody who agreed
/// to a kilobyte shall get a terabyte.
[[nodiscard]] constexpr std::uint64_t with_growth(std::uint64_t offered, std::uint64_t floor) {
    return offered + offered / 16 + floor;
}

inline constexpr std::uint64_t kByteGrowth = 16U << 20;
inline constexpr std::uint64_t kEntryGrowth = 1000;

}  // namespace pinhole::files
