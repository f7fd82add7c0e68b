// The UDP sockets of relayed transport addresses: thousands of them, mostly idle, so none has a buffer or a coroutine
// of its own; one epoll set and one receiver serve all. Each is bound to the concrete address that its client reached.
// Decides nothing about what may pass. Driven by RelayService. Linux.
#pragma once

#include "common/base/error.hpp"
#include "common/base/rng.hpp"
#include "common/io/tokens.hpp"
#include "common/io/udp_gather.hpp"
#include "common/io/udp_receiver.hpp"
#include "common/stun/message.hpp"
#include "rendezvous/core/turn/types.hpp"
#include "rendezvous/shell/outside.hpp"

#include <functional>
#include <optional>
#include <unordered_map>

#include <boost/asio/posix/stream_descriptor.hpp>

namespace pinhole::rendezvous {

struct PortRange {
    std::uint16_t first = 49152;  ///< RFC 8656 §7.2: the dynamic ports
    std::uint16_t last = 65535;
};

class RelaySockets {
  public:
    struct Handler {
        /// The payload is valid until `after_batch`.
        std::function<void(turn::RelayId, const net::Endpoint& from, ByteView payload)> on_datagram;
        std::function<void(turn::RelayId, const net::Endpoint& to, const stun::IcmpError&)> on_icmp;
        std::function<void()> after_batch;
    };

    /// What is sent goes through `gather`, which is the handler's to flush. Both outlive this, and so does `rng`.
    RelaySockets(io::asio::any_io_executor executor, PortRange ports, io::UdpGather& gather, Rng& rng);
    ~RelaySockets();
    RelaySockets(const RelaySockets&) = delete;
    RelaySockets& operator=(const RelaySockets&) = delete;

    /// Serves all sockets until `stop`.
    [[nodiscard]] io::asio::awaitable<void> run(Handler handler);
    void stop();

    /// Where it is bound. With even_and_next `next` is bound to the port above, or neither is.
    [[nodiscard]] Result<net::Endpoint> open(const turn::OpenRelay& wish, const net::Address& at);
    void close(turn::RelayId relay);

    /// Borrows the payload until the gather is flushed.
    void send(turn::RelayId relay, const net::Endpoint& peer, ByteView payload);
    /// At once, with the DF bit.
    void send_unfragmented(turn::RelayId relay, const net::Endpoint& peer, ByteView payload);

    [[nodiscard]] Outside& outside() { return outside_; }

    [[nodiscard]] std::size_t size() const { return relays_.size(); }

  private:
    struct Relay {
        int descriptor = -1;
        net::Endpoint local;
    };

    [[nodiscard]] Result<Relay> bind(const net::Endpoint& at) const;
    [[nodiscard]] Status watch(turn::RelayId id, const Relay& relay);
    /// True if there may be more that are ready.
    [[nodiscard]] bool serve_ready(const Handler& handler);
    void end_batch(const Handler& handler);
    void serve(turn::RelayId id, std::uint32_t events, const Handler& handler);
    void read_errors(turn::RelayId id, const Relay& relay, const Handler& handler);

    PortRange ports_;
    io::UdpGather& gather_;
    Rng& rng_;
    Outside outside_;
    io::UdpReceiver receiver_;
    std::unordered_map<std::uint64_t, Relay> relays_;
    int epoll_ = -1;
    io::asio::posix::stream_descriptor ready_;
    bool stopping_ = false;
};

}  // namespace pinhole::rendezvous
