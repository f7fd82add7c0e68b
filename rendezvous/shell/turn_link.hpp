// A client's connection that carries STUN and TURN, over TCP or TLS: reading, and a bounded queue of what is to be
// written. Data that does not fit is dropped like a datagram; an answer that does not fit ends the connection. Decides
// nothing else. Driven by RelayService.
#pragma once

#include "rendezvous/core/turn/types.hpp"
#include "rendezvous/shell/tcp_link.hpp"

#include <optional>
#include <string>
#include <vector>

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>

namespace pinhole::rendezvous {

class TurnLink : public std::enable_shared_from_this<TurnLink> {
  public:
    /// Data that waits for a client, 20 ms at 100 Mbit/s; more only makes it late.
    static constexpr std::size_t kMaxData = 256 * 1024;
    /// With answers: nobody asks so much without reading.
    static constexpr std::size_t kMaxBacklog = kMaxData + 64 * 1024;
    /// A client that reads nothing for so long loses its connection, and what was queued for it.
    static constexpr Duration kWriteStall = 10s;

    /// With a TLS context the bytes are read and written through TLS.
    TurnLink(std::shared_ptr<TcpLink> tcp, io::asio::ssl::context* tls);

    [[nodiscard]] const turn::TurnClient& client() const { return client_; }

    /// False: it failed. At once without TLS.
    [[nodiscard]] io::asio::awaitable<bool> handshake();
    /// Bytes read; 0: the client has done, or is gone.
    [[nodiscard]] io::asio::awaitable<std::size_t> read(ByteSpan into);

    /// A whole message.
    void send(ByteView message);
    /// ChannelData with its padding; false: dropped.
    bool send_data(ByteView header, ByteView payload);
    /// For streams that are paired: everything before is written, then `bytes`. False: the client is gone.
    [[nodiscard]] io::asio::awaitable<bool> write(ByteView bytes);
    /// Nothing more will be written.
    void finish();

    /// When something was heard last, for whoever ends idle connections.
    [[nodiscard]] TimePoint heard() const { return heard_; }

    void close();

    [[nodiscard]] bool is_open() const { return open_; }

    /// The connection is that of a peer's stream from now on (RFC 6062).
    void pair(turn::StreamId stream) { paired_ = stream; }

    [[nodiscard]] const std::optional<turn::StreamId>& paired() const { return paired_; }

    /// While it counts as a guest, and how many Binding requests it has made.
    bool is_guest = true;
    int bindings = 0;

  private:
    void start_writing();
    [[nodiscard]] io::asio::awaitable<void> write_queue();
    [[nodiscard]] io::asio::awaitable<bool> write_records(ByteView bytes, const std::vector<std::size_t>& ends);
    [[nodiscard]] io::asio::awaitable<bool> write_all(ByteView bytes);

    std::shared_ptr<TcpLink> tcp_;
    std::optional<io::asio::ssl::stream<io::asio::ip::tcp::socket&>> tls_;
    io::asio::steady_timer written_;  ///< cancelled when the queue is empty, or cannot be written
    turn::TurnClient client_;
    Bytes queue_;
    /// Where the queue's messages end, over TLS.
    std::vector<std::size_t> ends_;
    bool writing_ = false;
    bool open_ = true;
    TimePoint heard_;
    std::optional<turn::StreamId> paired_;
};

}  // namespace pinhole::rendezvous
