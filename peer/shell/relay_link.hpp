// One TurnClient on one carrier, with its timer: what Relays tries, keeps and gives back. Decides nothing.
#pragma once

#include "common/base/rng.hpp"
#include "common/net/datagram.hpp"
#include "peer/relay/turn_client.hpp"
#include "peer/shell/relay_carrier.hpp"

#include <functional>
#include <memory>
#include <optional>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

namespace pinhole::shell {

class RelayLink : public std::enable_shared_from_this<RelayLink> {
  public:
    struct Config {
        RelayTarget target;
        relay::Credentials credentials;
        std::optional<relay::Challenge> challenge{};
        relay::Families families = relay::Families::v4;
        std::optional<net::Address> bind{};
        /// At once; otherwise only when `allocate` is called.
        bool allocate = false;
    };

    struct Callbacks {
        std::function<void(const relay::Event&)> event;  ///< may close this
        std::function<void(const net::Received&)> datagram;
        std::function<void()> batch_over;
    };

    RelayLink(const boost::asio::any_io_executor& executor, Config config, Rng& rng);

    void start(Callbacks callbacks);
    void allocate();
    /// Gives back what was allocated and closes; no callback follows.
    void release();
    void verify();
    void replace(relay::Credentials credentials);
    void permit(const net::Endpoint& peer);
    /// Datagrams of `segment` bytes each, the last may be shorter, from a relayed address to a peer.
    io::SendResult send(const net::PathAddresses& path, ByteView payload, std::size_t segment);

    [[nodiscard]] const relay::TurnClient& client() const { return client_; }

    [[nodiscard]] const RelayTarget& target() const { return config_.target; }

  private:
    void handle_message(ByteSpan message);
    void handle_closed(const Error& error);
    void flush_requests();
    void drain();
    void rearm();

    Config config_;
    relay::TurnClient client_;
    std::shared_ptr<RelayCarrier> carrier_;
    boost::asio::steady_timer timer_;
    std::optional<TimePoint> armed_;
    Callbacks callbacks_;
    Bytes buffer_;
    bool ready_ = false;
    bool over_ = false;
};

}  // namespace pinhole::shell
