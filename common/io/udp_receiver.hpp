// Batches of datagrams out of any UDP socket of a thread: recvmmsg with GRO, with source and destination addresses and
// ECN. The buffers are large (a merged batch is up to 64 KB), so many sockets share one receiver. Knows no policy.
#pragma once

#include "common/net/datagram.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>

namespace pinhole::io {

class UdpReceiver {
  public:
    /// Messages of one system call, each of which may be many datagrams.
    static constexpr std::size_t kBatch = 16;

    /// Room for `slots` messages; each takes 64 KB of addresses, and of memory what has ever been received into it.
    explicit UdpReceiver(std::size_t slots = kBatch);
    UdpReceiver(UdpReceiver&&) noexcept;
    UdpReceiver& operator=(UdpReceiver&&) noexcept;
    ~UdpReceiver();

    /// One system call, without waiting: up to kBatch messages, as far as there is room. They are `size()` before and
    /// what follows, and valid until `clear`. Returns how many.
    [[nodiscard]] std::size_t receive(int descriptor);
    void clear();

    [[nodiscard]] std::size_t size() const;
    /// Messages that can be received before `clear`.
    [[nodiscard]] std::size_t room() const;

    /// Hands the datagrams of message `index` over until `on_datagram` says false. `local` is what the socket is bound
    /// to: the port, and the address where the kernel does not tell. Returns how many were handed over.
    template <class OnDatagram>
    std::size_t deliver(std::size_t index, const net::Endpoint& local, const OnDatagram& on_datagram) {
        auto message = read(index, local);
        std::size_t count = 0;
        if (message.segment_size == 0) {
            return count;
        }
        bool more = true;
        while (more) {
            const auto size = std::min(message.segment_size, message.bytes.size());
            ++count;
            const bool wanted = on_datagram(
                net::Received{.path = message.path, .payload = message.bytes.first(size), .ecn = message.ecn});
            message.bytes = message.bytes.subspan(size);
            more = wanted && !message.bytes.empty();
        }
        return count;
    }

  private:
    struct Buffers;

    struct Message {
        net::PathAddresses path;
        ByteSpan bytes;
        std::size_t segment_size = 0;  ///< 0: not to be delivered
        net::Ecn ecn = net::Ecn::not_ect;
    };

    [[nodiscard]] Message read(std::size_t index, const net::Endpoint& local);

    std::unique_ptr<Buffers> buffers_;
};

}  // namespace pinhole::io
