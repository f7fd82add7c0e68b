// The TCP side of relayed transport addresses (RFC 6062): listeners, connections to peers from the same port, and the
// copying between a peer's connection and the client's that was bound to it. Decides nothing about who may. Driven by
// RelayService.
#pragma once

#include "common/base/error.hpp"
#include "common/base/rng.hpp"
#include "rendezvous/core/turn/types.hpp"
#include "rendezvous/shell/outside.hpp"
#include "rendezvous/shell/relay_sockets.hpp"
#include "rendezvous/shell/turn_link.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

namespace pinhole::rendezvous {

class RelayStreams {
  public:
    /// After one direction has ended the other may be silent for so long.
    static constexpr Duration kHalfClosed = 60s;

    struct Handler {
        std::function<std::optional<turn::StreamId>(turn::RelayId, const net::Endpoint& peer)> on_accepted;
        std::function<void(turn::StreamId)> on_connected;
        std::function<void(turn::StreamId)> on_failed;
        std::function<void(turn::StreamId)> on_closed;
        /// How many bytes may pass now.
        std::function<std::size_t(turn::StreamId, std::size_t wanted)> allow;
    };

    /// `rng` outlives this.
    RelayStreams(io::asio::any_io_executor executor, PortRange ports, Rng& rng);

    void set_handler(Handler handler) { handler_ = std::move(handler); }

    [[nodiscard]] Result<net::Endpoint> open(const turn::OpenRelay& wish, const net::Address& at);
    void close(turn::RelayId relay);
    void connect(const turn::ConnectPeer& wish);
    void close(turn::StreamId stream);

    /// Copies both ways until both ends have finished or one is gone. `rest` is what the client has said already.
    [[nodiscard]] io::asio::awaitable<void> splice(std::shared_ptr<TurnLink> client, turn::StreamId id, Bytes rest);

    void stop();

    [[nodiscard]] Outside& outside() { return outside_; }

  private:
    struct Relay {
        explicit Relay(const io::asio::any_io_executor& executor) : acceptor(executor) {}

        io::asio::ip::tcp::acceptor acceptor;
        net::Endpoint local;
    };

    struct Stream {
        explicit Stream(io::asio::ip::tcp::socket connected) : peer(std::move(connected)), idle(peer.get_executor()) {}

        void close();
        /// Something has moved, or one direction has ended.
        void touch(const std::shared_ptr<Stream>& self);

        io::asio::ip::tcp::socket peer;
        std::shared_ptr<TurnLink> client{};
        io::asio::steady_timer idle;
        int ended = 0;  ///< directions
    };

    [[nodiscard]] Status listen(Relay& relay, const net::Endpoint& at) const;
    [[nodiscard]] io::asio::awaitable<void> accept(turn::RelayId id, std::shared_ptr<Relay> relay);
    [[nodiscard]] io::asio::awaitable<void> establish(turn::StreamId id, std::shared_ptr<Stream> stream,
                                                      net::Endpoint peer);
    [[nodiscard]] io::asio::awaitable<void> from_client(turn::StreamId id, std::shared_ptr<Stream> stream, Bytes rest);
    [[nodiscard]] io::asio::awaitable<void> from_peer(turn::StreamId id, std::shared_ptr<Stream> stream);
    [[nodiscard]] io::asio::awaitable<void> await_allowance(turn::StreamId id, std::size_t size);
    void end_direction(turn::StreamId id, const std::shared_ptr<Stream>& stream);

    io::asio::any_io_executor executor_;
    PortRange ports_;
    Rng& rng_;
    Outside outside_;
    Handler handler_;
    std::map<turn::RelayId, std::shared_ptr<Relay>> relays_;
    std::map<turn::StreamId, std::shared_ptr<Stream>> streams_;
    /// SO_REUSEPORT, which connecting from a listening port needs, would let two relays have one.
    std::set<net::Endpoint> taken_;
};

}  // namespace pinhole::rendezvous
