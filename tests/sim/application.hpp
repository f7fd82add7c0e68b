// What a program does with a transport connection in the simulator: sends patterned streams, reads and checks what
// comes. Whoever owns the connection hands over its events.
#pragma once

#include "peer/transport/connection.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

namespace pinhole::sim {

using transport::Connection;
using transport::Priority;
using transport::StreamId;

/// What stream bytes look like: known to both ends, different at every offset of one chunk.
[[nodiscard]] ByteView pattern(std::uint64_t offset, std::size_t length);

struct Outgoing {
    std::uint64_t total = 0;
    std::uint64_t written = 0;
    bool finish = true;
    bool blocked = false;
    /// Finished was reported.
    bool done = false;
    /// The peer stopped it.
    bool stopped = false;
};

struct Incoming {
    std::uint64_t received = 0;
    bool ended = false;
    bool wrong = false;
    std::optional<std::uint64_t> reset;
};

class Application {
  public:
    explicit Application(Connection& on) : connection(on) {}

    /// Opens a stream and sends so much over it, as fast as it is taken.
    StreamId send(std::uint64_t bytes, Priority priority = Priority::file);
    /// The same over a stream that is open.
    void send_on(StreamId stream, std::uint64_t bytes);
    /// More bytes on a stream that `send` opened with finish = false.
    void send_more(StreamId stream, std::uint64_t bytes);

    void handle_event(const transport::Event& event);
    /// Reads and writes what can be.
    void work(TimePoint now);

    [[nodiscard]] bool all_sent() const;
    [[nodiscard]] bool received(std::uint64_t streams, std::uint64_t bytes) const;

    template <class E>
    [[nodiscard]] std::size_t count() const {
        return static_cast<std::size_t>(
            std::ranges::count_if(events, [](const auto& event) { return std::holds_alternative<E>(event); }));
    }

    template <class E>
    [[nodiscard]] const E* last() const {
        for (auto it = events.rbegin(); it != events.rend(); ++it) {
            if (const auto* event = std::get_if<E>(&*it)) {
                return event;
            }
        }
        return nullptr;
    }

    Connection& connection;
    std::map<StreamId, Outgoing> outgoing;
    std::map<StreamId, Incoming> incoming;
    std::vector<transport::Event> events;
    /// A reader that is asleep leaves everything where it is.
    bool reading = true;
    /// Told of every piece that was read.
    std::function<void(StreamId, std::uint64_t received, TimePoint)> on_read;

  private:
    void read_all(TimePoint now);
    void write_all();

    std::vector<std::uint8_t> buffer_ = std::vector<std::uint8_t>(64 * 1024);
    std::vector<StreamId> readable_;
};

}  // namespace pinhole::sim
