#include "peer/transport/receive_stream.hpp"

namespace pinhole::transport {

namespace {

// Holes in one window: 16 MiB of full packets of which chance takes the half are 2900 ranges. A peer that makes more of
// them out of tiny frames would make every insertion slow.
constexpr std::size_t kMaxRanges = 4096;

}  // namespace

std::optional<Violation> ReceiveStream::check(std::uint64_t end, bool fin) const {
    if (end > limit_) {
        return Violation{CloseReason::flow_control, "stream data beyond its limit"};
    }
    // RFC 9000 §4.5: the final size does not change.
    if (final_size_ ? end > *final_size_ || (fin && end != *final_size_) : fin && end < highest_) {
        return Violation{CloseReason::protocol_violation, "final size changed"};
    }
    return std::nullopt;
}

std::expected<ReceiveStream::Intake, Violation> ReceiveStream::on_data(std::uint64_t offset, ByteView data, bool fin) {
    const auto end = offset + data.size();
    if (const auto violation = check(end, fin)) {
        return std::unexpected(*violation);
    }
    Intake intake;
    if (reset_code_) {
        return intake;
    }
    if (!data.empty() && !stopped_ && received_.size() >= kMaxRanges && offset > received_.front().end) {
        intake.refused = true;
        return intake;
    }
    const bool end_was_known = final_size_.has_value();
    if (fin) {
        final_size_ = end;
    }
    intake.advanced = end > highest_ ? end - highest_ : 0;
    highest_ = std::max(highest_, end);
    if (stopped_) {
        return intake;
    }
    if (end > base_ && !data.empty()) {
        const auto begin = std::max(offset, base_);
        intake.added = received_.insert({begin, end});
        if (intake.added > 0) {
            store_.write(begin, data.subspan(static_cast<std::size_t>(begin - offset)));
            held_ += intake.added;
        }
    }
    const bool front_grew = intake.added > 0 && received_.front().begin == base_ && received_.front().end >= end;
    intake.readable = front_grew || (!end_was_known && final_size_ == base_);
    return intake;
}

std::expected<std::uint64_t, Violation> ReceiveStream::on_reset(std::uint64_t code, std::uint64_t final_size) {
    if (final_size > limit_) {
        return std::unexpected(Violation{CloseReason::flow_control, "reset beyond the stream's limit"});
    }
    if (final_size < highest_ || (final_size_ && *final_size_ != final_size)) {
        return std::unexpected(Violation{CloseReason::protocol_violation, "final size changed"});
    }
    const bool complete = all_read();
    const auto advanced = final_size - highest_;
    highest_ = final_size;
    final_size_ = final_size;
    if (!reset_code_ && !complete) {
        reset_code_ = code;
    }
    return advanced;
}

std::size_t ReceiveStream::read(ByteSpan out) {
    if (received_.empty() || received_.front().begin != base_) {
        return 0;
    }
    const auto front = received_.front();
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), front.length()));
    store_.read(base_, out.first(count));
    base_ += count;
    held_ -= count;
    received_.erase_below(base_);
    if (received_.empty()) {
        store_.clear(base_);
    } else {
        store_.release_below(base_);
    }
    return count;
}

std::uint64_t ReceiveStream::discard() {
    const auto moved = highest_ - base_;
    base_ = highest_;
    held_ = 0;
    received_.clear();
    store_.clear(base_);
    return moved;
}

std::optional<std::uint64_t> ReceiveStream::limit_to_grant(std::uint64_t window) const {
    if (final_size_ || stopped_) {
        return std::nullopt;
    }
    const auto target = base_ + window;
    const bool worth_a_frame = target >= limit_ + window / 2;
    const bool half_used = highest_ + span_ / 2 >= limit_;
    return worth_a_frame && half_used ? std::optional{target} : std::nullopt;
}

void ReceiveStream::on_granted(std::uint64_t limit) {
    limit_ = limit;
    span_ = limit - base_;
}

}  // namespace pinhole::transport
