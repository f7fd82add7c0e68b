#include "tests/bench/transport_jobs.hpp"

#include "common/io/clock.hpp"

#include <algorithm>
#include <limits>

namespace pinhole::bench {

namespace {

constexpr std::size_t kSourceSize = 1U << 20;
constexpr std::size_t kScratchSize = 256U << 10;
/// How often a stream with a rate of its own is topped up.
constexpr Duration kBulkTick = 2ms;

Duration to_duration(double in_seconds) {
    return Duration{static_cast<Duration::rep>(in_seconds * 1e9)};
}

}  // namespace

SendJob::SendJob(const TransportOptions& options) : options_(options), source_(kSourceSize) {
    SeededRng{1}.fill(source_);
}

void SendJob::begin(TransportPeer& peer) {
    peer.add_connection();
    auto& connection = peer.connection(0);
    if (options_.messages.count > 0) {
        chat_ = connection.open_stream(transport::Priority::chat).value();
    }
    bulk_ = connection.open_stream(transport::Priority::file).value();
    began_ = io::now();
}

void SendJob::handle_event(TransportPeer& /*peer*/, std::size_t /*index*/, const transport::Event& event) {
    if (const auto* writable = std::get_if<transport::Writable>(&event)) {
        blocked_ = blocked_ && writable->stream != bulk_;
    } else if (const auto* finished = std::get_if<transport::Finished>(&event)) {
        bulk_done_ = bulk_done_ || finished->stream == bulk_;
        chat_done_ = chat_done_ || finished->stream == chat_;
    }
}

void SendJob::work(TransportPeer& peer, std::size_t /*index*/, TimePoint now) {
    if (closing_) {
        return;
    }
    auto& connection = peer.connection(0);
    write_messages(connection, now);
    write_bulk(connection, now);
    if (goal_reached(now)) {
        report(peer, now);
        closing_ = true;
        connection.close(transport::CloseReason::done, "", now);
    }
}

void SendJob::write_messages(transport::Connection& connection, TimePoint now) {
    while (messages_ < options_.messages.count && next_timeout() <= now) {
        Bytes message(options_.messages.size);
        write_stamp(message.data());
        (void)connection.write(*chat_, message);
        if (++messages_ == options_.messages.count) {
            connection.finish(*chat_);
        }
    }
}

std::uint64_t SendJob::bulk_allowed(TimePoint now) const {
    const bool endless = options_.seconds > 0 || options_.messages.count > 0;
    const auto total = endless ? std::numeric_limits<std::uint64_t>::max() : options_.size;
    if (options_.bulk_megabits <= 0) {
        return total;
    }
    return std::min(total, static_cast<std::uint64_t>(seconds(now - began_) * options_.bulk_megabits * 125'000));
}

void SendJob::write_bulk(transport::Connection& connection, TimePoint now) {
    const auto allowed = bulk_allowed(now);
    while (!blocked_ && written_ < allowed) {
        const auto offered = ByteView{source_}.first(std::min<std::uint64_t>(source_.size(), allowed - written_));
        const auto taken = connection.write(bulk_, offered).value_or(0);
        written_ += taken;
        blocked_ = taken < offered.size();
        if (options_.seconds == 0 && chat_ == std::nullopt && written_ == options_.size) {
            connection.finish(bulk_);
        }
    }
}

std::optional<TimePoint> SendJob::next_timeout() const {
    if (closing_) {
        return std::nullopt;
    }
    std::optional<TimePoint> next;
    if (messages_ < options_.messages.count) {
        next = began_ + to_duration(static_cast<double>(messages_ + 1) / options_.messages.per_second);
    }
    if (options_.bulk_megabits > 0 && !bulk_done_) {
        next = earliest(next, began_ + ((io::now() - began_) / kBulkTick + 1) * kBulkTick);
    }
    return options_.seconds > 0 ? earliest(next, began_ + to_duration(options_.seconds)) : next;
}

bool SendJob::goal_reached(TimePoint now) const {
    if (options_.seconds > 0) {
        return now - began_ >= to_duration(options_.seconds);
    }
    return chat_ ? chat_done_ : bulk_done_;
}

void SendJob::report(TransportPeer& peer, TimePoint now) {
    const auto& connection = peer.connection(0);
    const auto stats = connection.stats();
    const auto path = connection.path_stats();
    print_report({{"end", "send"},
                  {"bytes", written_},
                  {"seconds", seconds(now - began_)},
                  {"ended", seconds(now.time_since_epoch())},
                  {"packets_sent", stats.packets_sent},
                  {"packets_lost", stats.packets_lost},
                  {"wire_bytes", stats.bytes_sent},
                  {"rtt_ms", 1e3 * seconds(path.smoothed_rtt)},
                  {"window", path.congestion_window},
                  {"mtu", path.mtu}});
}

bool SendJob::over(const TransportPeer& peer, TimePoint /*now*/) const {
    return closing_ && peer.connection(0).closed();
}

ReceiveJob::ReceiveJob(const TransportOptions& options)
    : expects_messages_(options.messages.count > 0),
      message_size_(options.messages.size),
      scratch_(kScratchSize),
      intake_(options.warm_up) {}

void ReceiveJob::begin(TransportPeer& peer) {
    peer.add_connection();
    print_ready();
}

void ReceiveJob::handle_event(TransportPeer& peer, std::size_t /*index*/, const transport::Event& event) {
    auto& connection = peer.connection(0);
    if (const auto* readable = std::get_if<transport::Readable>(&event)) {
        read(connection, readable->stream);
    }
    const bool ended = std::holds_alternative<transport::Closed>(event);
    if (ended && !reported_) {
        reported_ = true;
        auto report = intake_.json();
        report["end"] = "receive";
        report["packets_sent"] = connection.stats().packets_sent;
        report["packets_received"] = connection.stats().packets_received;
        if (expects_messages_) {
            report["latency_ms"] = latencies_.json();
        }
        print_report(report);
    }
}

void ReceiveJob::read(transport::Connection& connection, transport::StreamId stream) {
    // The sender opens the stream of messages first.
    const bool messages = expects_messages_ && stream.value == 0;
    while (const auto count = connection.read(stream, scratch_).value_or(0)) {
        if (messages) {
            take_messages(ByteView{scratch_}.first(count));
        } else {
            intake_.add(count);
        }
    }
}

void ReceiveJob::take_messages(ByteView bytes) {
    while (!bytes.empty()) {
        const auto part = bytes.first(std::min(bytes.size(), message_size_ - message_.size()));
        message_.insert(message_.end(), part.begin(), part.end());
        bytes = bytes.subspan(part.size());
        if (message_.size() == message_size_) {
            latencies_.add_stamped(message_.data());
            message_.clear();
        }
    }
}

bool ReceiveJob::over(const TransportPeer& /*peer*/, TimePoint /*now*/) const {
    return reported_;
}

}  // namespace pinhole::bench
