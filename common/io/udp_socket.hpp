// A UDP socket that moves batches: recvmmsg with GRO in, one sendmsg with GSO out, source addresses and ECN both ways.
// It makes no decisions: what would block is told to the caller, never queued. Linux. Driven by the shells' coroutines.
#pragma once

#include "common/base/error.hpp"
#include "common/base/time.hpp"
#include "common/io/tokens.hpp"
#include "common/net/datagram.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <system_error>

#include <boost/asio/ip/udp.hpp>

namespace pinhole::io {

enum class SendResult : std::uint8_t {
    sent,
    would_block,  ///< the socket's buffer is full; what follows of this payload is lost
    too_big,      ///< a datagram is larger than the path's or interface's MTU
    failed        ///< no route, refused by a firewall, closed
};

class UdpSocket {
  public:
    using OnDatagram = std::function<void(const net::Received&)>;

    /// Binds to `bind`; port 0 lets the system choose, an unspecified address means all of its family.
    [[nodiscard]] static Result<UdpSocket> open(const asio::any_io_executor& executor, const net::Endpoint& bind);

    UdpSocket(UdpSocket&&) noexcept;
    UdpSocket& operator=(UdpSocket&&) noexcept;
    ~UdpSocket();

    [[nodiscard]] std::uint16_t port() const;
    [[nodiscard]] net::Family family() const;
    /// As bound, with the real port.
    [[nodiscard]] net::Endpoint local() const;

    /// Ends with an error when the socket is closed. The object must not be moved meanwhile.
    [[nodiscard]] asio::awaitable<std::error_code> wait_readable();
    /// Sleeps, and what arrives meanwhile gathers in the kernel: `receive` takes it together. Ends early, with an
    /// error, when the socket is closed.
    [[nodiscard]] asio::awaitable<std::error_code> wait_until(TimePoint when);

    /// Hands over what has arrived, up to about kReceiveBudget datagrams, without waiting; returns how many.
    /// `on_datagram` may send on and close this socket; the payload is valid until `after_batch`, which follows each
    /// system call that brought something.
    std::size_t receive(const OnDatagram& on_datagram, const std::function<void()>& after_batch = {});

    /// Sends `payload` as datagrams of `segment_size` bytes (the last may be shorter), or as one when it is not larger.
    /// From `path.local`'s address unless that is unspecified.
    SendResult send(const net::PathAddresses& path, ByteView payload, std::size_t segment_size, net::Ecn ecn);

    /// One datagram with a TTL, or hop limit, of its own; 0: the system's.
    SendResult send_with_ttl(const net::PathAddresses& path, ByteView payload, std::uint8_t ttl);

    void close();
    [[nodiscard]] bool is_open() const;

    /// For UdpGather.
    [[nodiscard]] int descriptor() const;

    static constexpr std::size_t kReceiveBudget = 256;

  private:
    struct State;
    explicit UdpSocket(std::unique_ptr<State> state);

    std::unique_ptr<State> state_;
};

}  // namespace pinhole::io
