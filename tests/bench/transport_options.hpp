// The command line of transport-load.
#pragma once

#include "common/net/endpoint.hpp"
#include "peer/transport/connection.hpp"

#include <cstdint>
#include <variant>

namespace pinhole::bench {

enum class Task : std::uint8_t {
    send,          ///< a stream from memory, and messages beside it if asked for
    receive,       ///< reads and discards it
    idle_send,     ///< many connections that exchange a little and then rest
    idle_receive,  ///< the other end of them
    floor_send,    ///< seals and sends, without any protocol
    floor_receive  ///< receives and opens
};

struct MessageOptions {
    std::uint64_t count = 0;
    std::size_t size = 200;
    double per_second = 20;
};

struct TransportOptions {
    Task task = Task::send;
    net::Endpoint local;
    net::Endpoint remote;
    /// Cipher, congestion control and whatever else both ends have set alike.
    transport::Config config;
    /// Of the stream; in idle tasks, what each connection sends before it rests.
    std::uint64_t size = 1U << 30;
    /// Sends for so long instead of a size; 0: by size.
    double seconds = 0;
    /// The receiver's rate is counted from so long after the first byte.
    double warm_up = 0;
    /// The stream is not offered faster; 0: as fast as it is taken.
    double bulk_megabits = 0;
    MessageOptions messages;
    std::size_t connections = 1;
    /// How long idle connections rest before they are weighed.
    double rest = 30;

    [[nodiscard]] bool sends() const {
        return task == Task::send || task == Task::idle_send || task == Task::floor_send;
    }
};

/// The options, or the exit code of a program that has said what is wrong, or its help.
[[nodiscard]] std::variant<TransportOptions, int> parse_transport_options(int argc, char** argv);

}  // namespace pinhole::bench
