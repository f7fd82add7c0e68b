#include "peer/transport/streams.hpp"

#include <algorithm>

namespace pinhole::transport {

namespace {

/// Resets remembered after the stream is gone.
constexpr std::size_t kResetsRemembered = 256;

}  // namespace

Streams::Streams(const Config& config, SentPackets& sent, Ring<Event>& events)
    : stream_window_(std::max(config.stream_window, kInitialStreamCredit)),
      connection_window_(std::max(config.connection_window, kInitialConnectionCredit)),
      send_buffer_(config.send_buffer),
      unsent_(std::max<std::uint64_t>(config.unsent, 1)),
      max_streams_(std::max(config.max_streams, kInitialStreams)),
      our_bit_(config.role == Role::initiator ? 0 : 1),
      sent_(&sent),
      events_(&events) {}

Result<StreamId> Streams::open(Priority priority) {
    if (next_ours_ >= our_limit_) {
        return fail(TransportErrc::stream_limit);
    }
    const StreamId id{next_ours_++ * 2 + our_bit_};
    create(id.value, priority).priority_chosen = true;
    return id;
}

void Streams::set_priority(StreamId id, Priority priority) {
    if (auto* stream = find(id)) {
        stream->priority = priority;
        stream->priority_chosen = true;
    }
}

Result<std::size_t> Streams::write(StreamId id, ByteView bytes) {
    auto* stream = find(id);
    if (stream == nullptr) {
        return fail(was_opened(id) ? TransportErrc::stream_finished : TransportErrc::unknown_stream);
    }
    if (!stream->send.writable()) {
        return fail(stream->send.reset_code() ? TransportErrc::stream_stopped : TransportErrc::stream_finished);
    }
    const auto in_flight = stream->send.held() - stream->send.waiting();
    const auto taken = stream->send.write(bytes, std::min(send_buffer_, in_flight + unsent_));
    buffered_ += taken;
    stream->writable_wanted = stream->writable_wanted || taken < bytes.size();
    schedule(id, *stream);
    return taken;
}

Result<std::size_t> Streams::read(StreamId id, ByteSpan out) {
    auto* stream = find(id);
    if (stream == nullptr) {
        if (was_reset(id)) {
            return fail(TransportErrc::stream_reset);
        }
        return was_opened(id) ? Result<std::size_t>{0} : fail(TransportErrc::unknown_stream);
    }
    if (stream->receive.reset_code()) {
        return fail(TransportErrc::stream_reset);
    }
    const auto count = stream->receive.read(out);
    buffered_ -= count;
    consumed_total_ += count;
    if (stream->receive.limit_to_grant(stream_window_)) {
        request_grant(id, *stream);
    }
    if (count > 0) {
        release_if_done(id, *stream);
    }
    return count;
}

bool Streams::end_of_stream(StreamId id) const {
    const auto* stream = find(id);
    return stream == nullptr ? was_opened(id) && !was_reset(id) : stream->receive.all_read();
}

void Streams::finish(StreamId id) {
    auto* stream = find(id);
    if (stream != nullptr && stream->send.writable()) {
        stream->send.finish();
        schedule(id, *stream);
    }
}

void Streams::reset(StreamId id, std::uint64_t code) {
    if (auto* stream = find(id)) {
        start_reset(id, *stream, code);
    }
}

void Streams::stop(StreamId id, std::uint64_t code) {
    auto* stream = find(id);
    if (stream == nullptr || stream->receive.stopped() || stream->receive.done()) {
        return;
    }
    stream->receive.stop();
    discard(*stream);
    stream->stop_code = code;
    stream->stop_due = !stream->receive.done();
    schedule_control(id, *stream);
    release_if_done(id, *stream);
}

void Streams::on_event_taken(const Event& event) {
    if (const auto* readable = std::get_if<Readable>(&event)) {
        if (auto* stream = find(readable->stream)) {
            stream->readable_queued = false;
        }
    }
}

void Streams::stop_sending() {
    for (auto& [id, stream] : streams_) {
        buffered_ -= stream.send.held();
        stream.send.reset(0);
    }
}

void Streams::clear() {
    cached_ = nullptr;
    streams_.clear();
    control_.clear();
    std::ranges::for_each(ready_, [](auto& queue) { queue.clear(); });
    buffered_ = 0;
}

void Streams::rest() {
    pool_.rest();
    control_.shrink();
    recently_reset_.shrink();
    std::ranges::for_each(ready_, [](auto& queue) { queue.shrink(); });
    for (auto& [id, stream] : streams_) {
        stream.send.rest();
        stream.receive.rest();
    }
}

Streams::Stream* Streams::find(StreamId id) {
    if (cached_ != nullptr && cached_id_ == id.value) {
        return cached_;
    }
    const auto it = streams_.find(id.value);
    if (it == streams_.end()) {
        return nullptr;
    }
    cached_id_ = id.value;
    cached_ = &it->second;
    return cached_;
}

const Streams::Stream* Streams::find(StreamId id) const {
    const auto it = streams_.find(id.value);
    return it == streams_.end() ? nullptr : &it->second;
}

Streams::Stream& Streams::create(std::uint64_t id, Priority priority) {
    return streams_.try_emplace(id, pool_, priority).first->second;
}

bool Streams::was_opened(StreamId id) const {
    return id.value / 2 < (ours(id.value) ? next_ours_ : next_theirs_);
}

bool Streams::was_reset(StreamId id) const {
    for (std::size_t i = 0; i < recently_reset_.size(); ++i) {
        if (recently_reset_[i] == id.value) {
            return true;
        }
    }
    return false;
}

void Streams::release_if_done(StreamId id, Stream& stream) {
    if (!stream.send.done() || !stream.receive.done()) {
        return;
    }
    if (stream.receive.reset_code()) {
        recently_reset_.push_back(id.value);
        if (recently_reset_.size() > kResetsRemembered) {
            recently_reset_.pop_front();
        }
    }
    discard(stream);
    theirs_closed_ += ours(id.value) ? 0 : 1;
    cached_ = nullptr;
    // Queues hold ids: they pass over what is gone.
    streams_.erase(id.value);
}

void Streams::schedule(StreamId id, Stream& stream) {
    if (!stream.queued && stream.send.wants_to_send()) {
        stream.queued = true;
        ready_[static_cast<std::size_t>(stream.priority)].push_back(id.value);
    }
}

void Streams::schedule_control(StreamId id, Stream& stream) {
    if (!stream.control_queued) {
        stream.control_queued = true;
        control_.push_back(id.value);
    }
}

void Streams::request_grant(StreamId id, Stream& stream) {
    stream.grant_due = true;
    schedule_control(id, stream);
}

void Streams::start_reset(StreamId id, Stream& stream, std::uint64_t code) {
    if (stream.send.reset_code() || stream.send.everything_acked()) {
        return;
    }
    buffered_ -= stream.send.held();
    stream.send.reset(code);
    stream.reset_due = true;
    schedule_control(id, stream);
}

void Streams::discard(Stream& stream) {
    buffered_ -= stream.receive.held();
    consumed_total_ += stream.receive.discard();
}

void Streams::report_readable(StreamId id, Stream& stream) {
    if (!stream.readable_queued) {
        stream.readable_queued = true;
        events_->push_back(Readable{id});
    }
}

void Streams::report_writable(StreamId id, Stream& stream) {
    // A quarter of the buffer at a time, or half of what may wait, so that a writer is not woken for every packet.
    const bool room = stream.send.held() <= send_buffer_ - send_buffer_ / 4 && stream.send.waiting() <= unsent_ / 2;
    if (stream.writable_wanted && stream.send.writable() && room) {
        stream.writable_wanted = false;
        events_->push_back(Writable{id});
    }
}

void Streams::report_sent(StreamId id, Stream& stream) {
    report_writable(id, stream);
    if (stream.send.finished() && !stream.send.reset_code() && stream.send.everything_acked() &&
        !stream.finished_reported) {
        stream.finished_reported = true;
        events_->push_back(Finished{id});
    }
}

}  // namespace pinhole::transport
