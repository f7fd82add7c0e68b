#include "peer/files/output_queue.hpp"

#include "peer/files/limits.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::files {

namespace {

/// What a window holds.
constexpr std::size_t kMaxSpares = kWindow / kChunkSize;

}  // namespace

void OutputQueue::push(const signaling::PeerMessage& message) {
    segments_.push_back({.bytes = signaling::frame(message)});
    size_ += segments_.back().bytes.size();
}

void OutputQueue::push_stream_kind(signaling::StreamKind kind) {
    segments_.push_back({.bytes = {std::to_underlying(kind)}, .starts_frame = false});
    size_ += 1;
}

void OutputQueue::push_data(Bytes bytes) {
    const auto header = signaling::data_frame_header(bytes.size());
    size_ += header.size() + bytes.size();
    segments_.push_back({.bytes = {header.begin(), header.end()}});
    segments_.push_back({.bytes = std::move(bytes), .starts_frame = false, .data = true});
}

void OutputQueue::drop_unsent() {
    const auto first = segments_.begin() + (offset_ > 0 ? 1 : 0);
    segments_.erase(std::find_if(first, segments_.end(), [](const Segment& segment) { return segment.starts_frame; }),
                    segments_.end());
    size_ = 0;
    for (const auto& segment : segments_) {
        size_ += segment.bytes.size();
    }
    size_ -= offset_;
}

void OutputQueue::clear() {
    segments_.clear();
    offset_ = 0;
    size_ = 0;
}

ByteView OutputQueue::front() const {
    return segments_.empty() ? ByteView{} : ByteView{segments_.front().bytes}.subspan(offset_);
}

void OutputQueue::consume(std::size_t count) {
    while (count > 0 && !segments_.empty()) {
        auto& segment = segments_.front();
        const auto step = std::min(count, segment.bytes.size() - offset_);
        offset_ += step;
        size_ -= step;
        count -= step;
        data_sent_ += segment.data ? step : 0;
        if (offset_ == segment.bytes.size()) {
            pop_front();
        }
    }
}

void OutputQueue::pop_front() {
    auto& segment = segments_.front();
    if (segment.data && segment.bytes.capacity() >= kChunkSize && spares_.size() < kMaxSpares) {
        spares_.push_back(std::move(segment.bytes));
    }
    segments_.pop_front();
    offset_ = 0;
}

Bytes OutputQueue::take_spare() {
    if (spares_.empty()) {
        return {};
    }
    auto spare = std::move(spares_.back());
    spares_.pop_back();
    return spare;
}

}  // namespace pinhole::files
