// Which frames the streams put into a packet, and what becomes of them.
#include "peer/transport/streams.hpp"

#include <algorithm>

namespace pinhole::transport {

namespace {

/// A STREAM frame with less data than this is not worth its header, unless that is all there is.
constexpr std::size_t kMinPiece = 16;

}  // namespace

bool Streams::data_credit_due() const {
    return resend_data_credit_ || consumed_total_ + connection_window_ >= receive_limit_ + connection_window_ / 2;
}

bool Streams::streams_credit_due() const {
    return resend_streams_credit_ ||
           theirs_closed_ + max_streams_ >= their_limit_ + std::max<std::uint64_t>(1, max_streams_ / 8);
}

bool Streams::has_frames() const {
    return !control_.empty() || data_credit_due() || streams_credit_due() ||
           std::ranges::any_of(ready_, [](const auto& queue) { return !queue.empty(); });
}

bool Streams::write_frames(ByteWriter& out) {
    write_credit(out);
    write_control(out);
    const auto control = write_class(Priority::control, out);
    const auto chat = write_class(Priority::chat, out);
    write_class(Priority::file, out);
    return control == Data::fresh || chat == Data::fresh;
}

bool Streams::urgent(const FrameRecord& frame) const {
    const auto* stream = frame.kind == FrameKind::stream ? find(StreamId{frame.id}) : nullptr;
    return stream != nullptr && stream->priority != Priority::file;
}

void Streams::write_credit(ByteWriter& out) {
    if (data_credit_due() && out.room() >= kMaxControlFrame) {
        receive_limit_ = std::max(receive_limit_, consumed_total_ + connection_window_);
        resend_data_credit_ = false;
        write_frame(out, MaxDataFrame{receive_limit_});
        sent_->record({.value = receive_limit_, .kind = FrameKind::max_data});
    }
    if (streams_credit_due() && out.room() >= kMaxControlFrame) {
        their_limit_ = std::max(their_limit_, theirs_closed_ + max_streams_);
        resend_streams_credit_ = false;
        write_frame(out, MaxStreamsFrame{their_limit_});
        sent_->record({.value = their_limit_, .kind = FrameKind::max_streams});
    }
}

void Streams::write_control(ByteWriter& out) {
    while (!control_.empty()) {
        const auto id = control_.front();
        auto* stream = find(StreamId{id});
        if (stream != nullptr) {
            if (!write_control_of(id, *stream, out)) {
                return;
            }
            stream->control_queued = false;
        }
        control_.pop_front();
    }
}

bool Streams::write_control_of(std::uint64_t id, Stream& stream, ByteWriter& out) {
    const StreamId name{id};
    if (out.room() < 3 * kMaxControlFrame) {
        return false;
    }
    if (std::exchange(stream.reset_due, false) && stream.send.reset_code()) {
        write_frame(out, ResetStreamFrame{name, *stream.send.reset_code(), stream.send.sent()});
        sent_->record({.id = id, .kind = FrameKind::reset_stream});
    }
    if (std::exchange(stream.stop_due, false) && !stream.receive.done()) {
        write_frame(out, StopSendingFrame{name, stream.stop_code});
        sent_->record({.id = id, .kind = FrameKind::stop_sending});
    }
    if (std::exchange(stream.grant_due, false)) {
        const auto limit = stream.receive.limit_to_grant(stream_window_).value_or(stream.receive.limit());
        stream.receive.on_granted(limit);
        write_frame(out, MaxStreamDataFrame{name, limit});
        sent_->record({.id = id, .value = limit, .kind = FrameKind::max_stream_data});
    }
    return true;
}

Streams::Data Streams::write_class(Priority priority, ByteWriter& out) {
    auto& queue = ready_[static_cast<std::size_t>(priority)];
    auto wrote = Data::none;
    // Round robin; over when nobody in a whole round could write.
    for (std::size_t idle = 0; idle < queue.size() && out.room() >= kMinPiece;) {
        const auto id = queue.pop_front();
        auto* stream = find(StreamId{id});
        if (stream == nullptr) {
            continue;
        }
        stream->queued = false;
        const auto data = stream->priority == priority ? write_piece(id, *stream, out) : Data::none;
        idle = data == Data::none ? idle + 1 : 0;
        wrote = std::max(wrote, data);
        schedule(StreamId{id}, *stream);
    }
    return wrote;
}

Streams::Data Streams::write_piece(std::uint64_t id, Stream& stream, ByteWriter& out) {
    auto piece = stream.send.next(send_limit_ - sent_total_);
    if (!piece) {
        return Data::none;
    }
    StreamHeader header{.stream = {id}, .priority = stream.priority, .offset = piece->offset, .with_length = false};
    const auto bare = stream_header_size(header);
    if (out.room() < bare + 2 + std::min(piece->length, kMinPiece)) {
        return Data::none;
    }
    const auto space = out.room() - bare;
    header.length = std::min(piece->length, space);
    if (piece->length + varint_size(piece->length) <= space) {
        header.with_length = true;
    } else if (piece->length < space) {
        // No room for the length, none may be left over: padding goes in front.
        std::ranges::fill(out.reserve(space - piece->length), std::uint8_t{0});
    }
    piece->fin = piece->fin && header.length == piece->length;
    piece->length = header.length;
    header.fin = piece->fin;
    stream.send.read(piece->offset, write_stream_header(out, header));
    stream.send.on_sent(*piece);
    sent_total_ += piece->fresh ? piece->length : 0;
    report_writable({id}, stream);
    sent_->record({.id = id,
                   .value = piece->offset,
                   .length = static_cast<std::uint32_t>(piece->length),
                   .kind = FrameKind::stream,
                   .fin = piece->fin});
    return piece->fresh ? Data::fresh : Data::repeated;
}

void Streams::on_acked(const FrameRecord& frame) {
    auto* stream = find(StreamId{frame.id});
    if (stream == nullptr || (frame.kind != FrameKind::stream && frame.kind != FrameKind::reset_stream)) {
        return;
    }
    if (frame.kind == FrameKind::reset_stream) {
        stream->send.on_reset_acked();
    } else {
        const auto before = stream->send.held();
        stream->send.on_acked({frame.value, frame.value + frame.length}, frame.fin);
        buffered_ -= before - stream->send.held();
        report_sent(StreamId{frame.id}, *stream);
    }
    if (stream->send.done()) {
        release_if_done(StreamId{frame.id}, *stream);
    }
}

void Streams::on_lost(const FrameRecord& frame) {
    if (frame.kind == FrameKind::max_data) {
        resend_data_credit_ = resend_data_credit_ || frame.value == receive_limit_;
        return;
    }
    if (frame.kind == FrameKind::max_streams) {
        resend_streams_credit_ = resend_streams_credit_ || frame.value == their_limit_;
        return;
    }
    auto* stream = frame.kind == FrameKind::ack ? nullptr : find(StreamId{frame.id});
    if (stream == nullptr) {
        return;
    }
    switch (frame.kind) {
        case FrameKind::stream:
            stream->send.on_lost({frame.value, frame.value + frame.length}, frame.fin);
            schedule(StreamId{frame.id}, *stream);
            return;
        case FrameKind::reset_stream:
            stream->reset_due = true;
            break;
        case FrameKind::stop_sending:
            stream->stop_due = true;
            break;
        case FrameKind::max_stream_data:
            stream->grant_due = stream->grant_due || frame.value == stream->receive.limit();
            break;
        default:
            return;
    }
    schedule_control(StreamId{frame.id}, *stream);
}

}  // namespace pinhole::transport
