// One end of transport connections over one UDP socket, driven as the peer's node drives those of its sessions: what
// the kernel hands over goes in, then events, writes and packets are drained, then one timer waits for the earliest
// deadline. Knows nothing of what is sent; a Job decides that.
#pragma once

#include "common/crypto/keys.hpp"
#include "common/io/udp_socket.hpp"
#include "peer/transport/connection.hpp"
#include "tests/bench/transport_options.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

namespace pinhole::bench {

class TransportPeer;

/// What is done on the connections of a peer, each known by its index.
class Job {
  public:
    Job() = default;
    Job(const Job&) = delete;
    Job& operator=(const Job&) = delete;
    virtual ~Job() = default;

    virtual void begin(TransportPeer& peer) = 0;

    /// A packet for a connection that is not there yet: may add it, and all before it.
    virtual void handle_stranger(TransportPeer& /*peer*/, std::size_t /*index*/) {}

    virtual void handle_event(TransportPeer& peer, std::size_t index, const transport::Event& event) = 0;
    /// Writes what there is to write; after each input to the connection, and when `next_timeout` has come.
    virtual void work(TransportPeer& peer, std::size_t index, TimePoint now) = 0;

    [[nodiscard]] virtual std::optional<TimePoint> next_timeout() const { return std::nullopt; }

    /// The program is done.
    [[nodiscard]] virtual bool over(const TransportPeer& peer, TimePoint now) const = 0;
};

class TransportPeer {
  public:
    [[nodiscard]] static Result<std::unique_ptr<TransportPeer>> open(const TransportOptions& options);

    /// One more connection to the same remote end, which has to add its own in the same order.
    void add_connection();

    [[nodiscard]] std::size_t connections() const { return connections_.size(); }

    [[nodiscard]] transport::Connection& connection(std::size_t index) { return *connections_[index]; }

    [[nodiscard]] const transport::Connection& connection(std::size_t index) const { return *connections_[index]; }

    /// Until the job is over.
    void run(Job& job);

  private:
    explicit TransportPeer(const TransportOptions& options) : options_(options) {}

    [[nodiscard]] boost::asio::awaitable<void> receive_loop();
    void handle_datagram(const net::Received& datagram);
    void pump();
    void drain(std::size_t index);
    void send_packets(std::size_t index);
    void rearm();
    [[nodiscard]] std::optional<TimePoint> next_receive() const;
    void handle_timer();

    TransportOptions options_;
    crypto::SystemRng rng_;
    boost::asio::io_context io_{1};
    boost::asio::steady_timer timer_{io_};
    std::optional<TimePoint> armed_;
    std::optional<io::UdpSocket> socket_;
    std::vector<std::unique_ptr<transport::Connection>> connections_;
    std::set<std::size_t> dirty_;
    Bytes send_buffer_ = Bytes(65536);
    Job* job_ = nullptr;
};

}  // namespace pinhole::bench
