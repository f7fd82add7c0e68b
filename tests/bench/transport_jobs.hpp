// What transport-load does on its connections: one stream as fast as it goes, with messages beside it or not, and many
// connections that rest. Each ends with one line of JSON.
#pragma once

#include "tests/bench/load_report.hpp"
#include "tests/bench/transport_options.hpp"
#include "tests/bench/transport_peer.hpp"

#include <optional>
#include <vector>

namespace pinhole::bench {

/// A stream from memory, for a size or a time; messages have a stream of their own, opened first.
class SendJob final : public Job {
  public:
    explicit SendJob(const TransportOptions& options);

    void begin(TransportPeer& peer) override;
    void handle_event(TransportPeer& peer, std::size_t index, const transport::Event& event) override;
    void work(TransportPeer& peer, std::size_t index, TimePoint now) override;
    [[nodiscard]] std::optional<TimePoint> next_timeout() const override;
    [[nodiscard]] bool over(const TransportPeer& peer, TimePoint now) const override;

  private:
    void write_messages(transport::Connection& connection, TimePoint now);
    void write_bulk(transport::Connection& connection, TimePoint now);
    [[nodiscard]] std::uint64_t bulk_allowed(TimePoint now) const;
    [[nodiscard]] bool goal_reached(TimePoint now) const;
    void report(TransportPeer& peer, TimePoint now);

    TransportOptions options_;
    Bytes source_;
    std::optional<transport::StreamId> chat_;
    transport::StreamId bulk_;
    TimePoint began_;
    std::uint64_t written_ = 0;
    bool blocked_ = false;
    bool bulk_done_ = false;
    bool chat_done_ = false;
    std::uint64_t messages_ = 0;
    bool closing_ = false;
};

/// The other end of it: reads, counts, discards.
class ReceiveJob final : public Job {
  public:
    explicit ReceiveJob(const TransportOptions& options);

    void begin(TransportPeer& peer) override;
    void handle_event(TransportPeer& peer, std::size_t index, const transport::Event& event) override;

    void work(TransportPeer& /*peer*/, std::size_t /*index*/, TimePoint /*now*/) override {}

    [[nodiscard]] bool over(const TransportPeer& peer, TimePoint now) const override;

  private:
    void read(transport::Connection& connection, transport::StreamId stream);
    void take_messages(ByteView bytes);

    bool expects_messages_;
    std::size_t message_size_;
    Bytes scratch_;
    Bytes message_;
    Intake intake_;
    Latencies latencies_;
    bool reported_ = false;
};

/// Connections that exchange a little both ways and then rest; either end says what one of them weighs.
class IdleJob final : public Job {
  public:
    explicit IdleJob(const TransportOptions& options);

    void begin(TransportPeer& peer) override;
    void handle_stranger(TransportPeer& peer, std::size_t index) override;
    void handle_event(TransportPeer& peer, std::size_t index, const transport::Event& event) override;
    void work(TransportPeer& peer, std::size_t index, TimePoint now) override;
    [[nodiscard]] std::optional<TimePoint> next_timeout() const override;
    [[nodiscard]] bool over(const TransportPeer& peer, TimePoint now) const override;

  private:
    /// What one connection has still to send and to read.
    struct Exchange {
        std::uint64_t written = 0;
        std::uint64_t read = 0;
        std::optional<transport::StreamId> stream;
        bool done = false;
    };

    void add(TransportPeer& peer, std::size_t count);
    void exchange(transport::Connection& connection, Exchange& state);
    void next_phase(TransportPeer& peer, TimePoint now);

    TransportOptions options_;
    Bytes scratch_;
    std::vector<Exchange> exchanges_;
    std::size_t done_ = 0;
    std::uint64_t before_kb_ = 0;
    bool weighing_ = false;
    std::optional<TimePoint> rested_;
    bool reported_ = false;
    bool over_ = false;
};

}  // namespace pinhole::bench
