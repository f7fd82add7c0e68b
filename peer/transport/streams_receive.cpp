// What the peer's frames do to the streams.
#include "peer/transport/streams.hpp"

namespace pinhole::transport {

std::expected<Streams::Stream*, Violation> Streams::target(StreamId id) {
    if (auto* stream = find(id)) {
        return stream;
    }
    if (was_opened(id)) {
        return nullptr;
    }
    if (ours(id.value)) {
        return std::unexpected(Violation{CloseReason::protocol_violation, "frame for a stream never opened"});
    }
    if (id.value / 2 >= their_limit_) {
        return std::unexpected(Violation{CloseReason::stream_limit, "too many streams"});
    }
    // RFC 9000 §3.2: opening a stream opens all of its kind with lower ids.
    while (next_theirs_ <= id.value / 2) {
        const StreamId opened{next_theirs_++ * 2 + (1 - our_bit_)};
        create(opened.value, Priority::file);
        events_->push_back(Opened{opened});
    }
    return find(id);
}

std::expected<bool, Violation> Streams::handle(const StreamFrame& frame) {
    const auto found = target(frame.stream);
    if (!found) {
        return std::unexpected(found.error());
    }
    if (*found == nullptr) {
        return true;
    }
    auto& stream = **found;
    if (!ours(frame.stream.value) && !stream.priority_chosen) {
        stream.priority = frame.priority;
    }
    const auto intake = stream.receive.on_data(frame.offset, frame.data, frame.fin);
    if (!intake) {
        return std::unexpected(intake.error());
    }
    if (intake->refused) {
        return false;
    }
    received_total_ += intake->advanced;
    buffered_ += intake->added;
    if (received_total_ > receive_limit_) {
        return std::unexpected(Violation{CloseReason::flow_control, "data beyond the connection's limit"});
    }
    if (stream.receive.stopped()) {
        discard(stream);
        release_if_done(frame.stream, stream);
        return true;
    }
    if (intake->readable) {
        report_readable(frame.stream, stream);
    }
    if (stream.receive.limit_to_grant(stream_window_)) {
        request_grant(frame.stream, stream);
    }
    if (stream.receive.done()) {
        release_if_done(frame.stream, stream);
    }
    return true;
}

Streams::Outcome Streams::handle(const ResetStreamFrame& frame) {
    const auto found = target(frame.stream);
    if (!found) {
        return std::unexpected(found.error());
    }
    if (*found == nullptr) {
        return {};
    }
    auto& stream = **found;
    const bool first = !stream.receive.reset_code();
    const auto advanced = stream.receive.on_reset(frame.code, frame.final_size);
    if (!advanced) {
        return std::unexpected(advanced.error());
    }
    received_total_ += *advanced;
    if (received_total_ > receive_limit_) {
        return std::unexpected(Violation{CloseReason::flow_control, "reset beyond the connection's limit"});
    }
    if (first && stream.receive.reset_code()) {
        discard(stream);
        if (!stream.receive.stopped()) {
            events_->push_back(Reset{frame.stream, frame.code});
        }
    }
    release_if_done(frame.stream, stream);
    return {};
}

Streams::Outcome Streams::handle(const StopSendingFrame& frame) {
    const auto found = target(frame.stream);
    if (!found) {
        return std::unexpected(found.error());
    }
    auto* stream = *found;
    if (stream == nullptr || stream->send.reset_code() || stream->send.everything_acked()) {
        return {};
    }
    events_->push_back(Stopped{frame.stream, frame.code});
    // RFC 9000 §3.5: answered with RESET_STREAM, so that both sides can forget the stream.
    start_reset(frame.stream, *stream, frame.code);
    return {};
}

Streams::Outcome Streams::handle(const MaxStreamDataFrame& frame) {
    const auto found = target(frame.stream);
    if (!found) {
        return std::unexpected(found.error());
    }
    if (*found != nullptr) {
        (*found)->send.raise_limit(frame.limit);
        schedule(frame.stream, **found);
    }
    return {};
}

Streams::Outcome Streams::handle(const MaxDataFrame& frame) {
    send_limit_ = std::max(send_limit_, frame.limit);
    return {};
}

Streams::Outcome Streams::handle(const MaxStreamsFrame& frame) {
    if (frame.count > kMaxVarint / 4) {
        return std::unexpected(Violation{CloseReason::protocol_violation, "impossible stream count"});
    }
    our_limit_ = std::max(our_limit_, frame.count);
    return {};
}

}  // namespace pinhole::transport
