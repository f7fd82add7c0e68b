#include "peer/transport/chunk_store.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::transport {

std::unique_ptr<Chunk> ChunkPool::take() {
    if (reserve_.empty()) {
        return std::make_unique_for_overwrite<Chunk>();
    }
    auto chunk = std::move(reserve_.back());
    reserve_.pop_back();
    return chunk;
}

void ChunkPool::give(std::unique_ptr<Chunk> chunk) {
    if (chunk && reserve_.size() < kReserve) {
        reserve_.push_back(std::move(chunk));
    }
}

bool ChunkStore::write_small(std::uint64_t offset, ByteView bytes) {
    const bool first = chunks_.empty() && !small_.bytes;
    if (!first || bytes.empty() || bytes.size() > kSmall) {
        return false;
    }
    small_ = {std::make_unique_for_overwrite<std::uint8_t[]>(bytes.size()), offset, bytes.size()};
    std::ranges::copy(bytes, small_.bytes.get());
    return true;
}

/// What was small becomes chunks like anything else.
void ChunkStore::unfold() {
    if (const auto small = std::exchange(small_, {}); small.bytes) {
        // Its front may have been released.
        const auto begin = std::max(small.begin, first_ * kChunkSize);
        write_chunks(begin,
                     ByteView{small.bytes.get(), small.size}.subspan(static_cast<std::size_t>(begin - small.begin)));
    }
}

void ChunkStore::write(std::uint64_t offset, ByteView bytes) {
    if (!write_small(offset, bytes)) {
        unfold();
        write_chunks(offset, bytes);
    }
}

void ChunkStore::write_chunks(std::uint64_t offset, ByteView bytes) {
    while (!bytes.empty()) {
        const auto index = static_cast<std::size_t>(offset / kChunkSize - first_);
        while (chunks_.size() <= index) {
            chunks_.push_back(nullptr);
        }
        auto& chunk = chunks_[index];
        if (!chunk) {
            chunk = pool_->take();
        }
        const auto at = static_cast<std::size_t>(offset % kChunkSize);
        const auto count = std::min(bytes.size(), kChunkSize - at);
        std::copy_n(bytes.data(), count, chunk->data() + at);
        bytes = bytes.subspan(count);
        offset += count;
    }
}

void ChunkStore::read(std::uint64_t offset, ByteSpan out) const {
    if (small_.bytes) {
        std::copy_n(&small_.bytes[static_cast<std::size_t>(offset - small_.begin)], out.size(), out.data());
        return;
    }
    while (!out.empty()) {
        const auto& chunk = chunks_[static_cast<std::size_t>(offset / kChunkSize - first_)];
        const auto at = static_cast<std::size_t>(offset % kChunkSize);
        const auto count = std::min(out.size(), kChunkSize - at);
        std::copy_n(chunk->data() + at, count, out.data());
        out = out.subspan(count);
        offset += count;
    }
}

void ChunkStore::release_below(std::uint64_t offset) {
    if (small_.bytes && small_.begin + small_.size <= offset) {
        small_ = {};
    }
    while (!chunks_.empty() && (first_ + 1) * kChunkSize <= offset) {
        pool_->give(chunks_.pop_front());
        ++first_;
    }
    if (chunks_.empty()) {
        first_ = offset / kChunkSize;
    }
}

void ChunkStore::clear(std::uint64_t offset) {
    small_ = {};
    while (!chunks_.empty()) {
        pool_->give(chunks_.pop_front());
    }
    first_ = offset / kChunkSize;
}

}  // namespace pinhole::transport
