#include "tests/sim/application.hpp"

#include <array>
#include <cstring>

namespace pinhole::sim {

namespace {

// A prime, so that the pattern does not line up with chunks, packets or windows.
constexpr std::size_t kPeriod = 65'521;
constexpr std::size_t kLongest = 64 * 1024;

std::vector<std::uint8_t> make_table() {
    std::vector<std::uint8_t> table(kPeriod + kLongest);
    SeededRng rng{0x70617474};
    rng.fill(ByteSpan{table}.first(kPeriod));
    // It is longer than a period: forwards and one by one, so that what was just written is copied in turn.
    for (std::size_t i = 0; i < kLongest; ++i) {
        table[kPeriod + i] = table[i];
    }
    return table;
}

}  // namespace

ByteView pattern(std::uint64_t offset, std::size_t length) {
    static const auto table = make_table();
    return ByteView{table}.subspan(static_cast<std::size_t>(offset % kPeriod), std::min(length, kLongest));
}

StreamId Application::send(std::uint64_t bytes, Priority priority) {
    const auto stream = connection.open_stream(priority);
    if (stream) {
        outgoing[*stream].total = bytes;
    }
    return stream.value_or(StreamId{~std::uint64_t{0}});
}

void Application::send_on(StreamId stream, std::uint64_t bytes) {
    outgoing[stream].total = bytes;
}

void Application::send_more(StreamId stream, std::uint64_t bytes) {
    outgoing[stream].total += bytes;
    outgoing[stream].blocked = false;
}

void Application::work(TimePoint now) {
    if (reading) {
        read_all(now);
    }
    write_all();
}

void Application::handle_event(const transport::Event& event) {
    events.push_back(event);
    if (const auto* readable = std::get_if<transport::Readable>(&event)) {
        readable_.push_back(readable->stream);
    } else if (const auto* writable = std::get_if<transport::Writable>(&event)) {
        outgoing[writable->stream].blocked = false;
    } else if (const auto* finished = std::get_if<transport::Finished>(&event)) {
        outgoing[finished->stream].done = true;
    } else if (const auto* reset = std::get_if<transport::Reset>(&event)) {
        incoming[reset->stream].reset = reset->code;
    } else if (const auto* stopped = std::get_if<transport::Stopped>(&event)) {
        outgoing[stopped->stream].stopped = true;
    } else if (const auto* opened = std::get_if<transport::Opened>(&event)) {
        incoming[opened->stream] = {};
    }
}

void Application::read_all(TimePoint now) {
    for (const auto stream : std::exchange(readable_, {})) {
        auto& in = incoming[stream];
        for (;;) {
            const auto count = connection.read(stream, buffer_);
            if (!count || *count == 0) {
                break;
            }
            in.wrong = in.wrong || std::memcmp(buffer_.data(), pattern(in.received, *count).data(), *count) != 0;
            in.received += *count;
            if (on_read) {
                on_read(stream, in.received, now);
            }
        }
        in.ended = connection.end_of_stream(stream);
    }
}

void Application::write_all() {
    for (auto& [stream, out] : outgoing) {
        while (!out.blocked && !out.stopped && out.written < out.total) {
            const auto piece = pattern(
                out.written, static_cast<std::size_t>(std::min<std::uint64_t>(out.total - out.written, 32 * 1024)));
            const auto taken = connection.write(stream, piece);
            out.written += taken.value_or(0);
            out.blocked = !taken || *taken < piece.size();
        }
        if (out.finish && out.written == out.total && !out.done) {
            connection.finish(stream);
        }
    }
}

bool Application::all_sent() const {
    return std::ranges::all_of(
        outgoing, [](const auto& item) { return item.second.done || item.second.stopped || !item.second.finish; });
}

bool Application::received(std::uint64_t streams, std::uint64_t bytes) const {
    std::uint64_t complete = 0;
    for (const auto& [stream, in] : incoming) {
        complete += in.ended && in.received == bytes && !in.wrong ? 1 : 0;
    }
    return complete == streams;
}

}  // namespace pinhole::sim
