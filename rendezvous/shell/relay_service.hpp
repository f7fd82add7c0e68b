// The relay on real sockets: carries out what the TURN core says and tells it what came of it, moves what flows through
// channels, and keeps the connections of clients on TCP and TLS. Decides nothing about who may do what. Driven by
// Service; single-threaded.
#pragma once

#include "common/base/log.hpp"
#include "common/io/udp_socket.hpp"
#include "common/stun/stream_framer.hpp"
#include "rendezvous/core/admission.hpp"
#include "rendezvous/core/stun_service.hpp"
#include "rendezvous/core/turn/turn_server.hpp"
#include "rendezvous/shell/relay_sockets.hpp"
#include "rendezvous/shell/relay_streams.hpp"
#include "rendezvous/shell/turn_link.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace pinhole::rendezvous {

struct RelayOptions {
    /// Without it clients' connections carry STUN only.
    bool enabled = true;
    PortRange ports{};
    /// Told instead of the server's own, at most one of each family.
    std::vector<net::Address> external{};
    /// Peers that are refused otherwise.
    std::vector<turn::AddressRange> allow{};
    std::vector<turn::Authenticator::User> users{};
    turn::TurnConfig::Lifetimes lifetimes{};
    Duration nonce_lifetime = turn::Authenticator::Config{}.nonce_lifetime;
};

class RelayService {
  public:
    /// Silence after which a client on TCP without an allocation is closed.
    static constexpr Duration kIdle = 10s;

    /// `secret` makes the time-limited credentials of peers. `stun` answers what is no TURN on the clients' connections
    /// and outlives this, as does `rng`.
    RelayService(io::asio::any_io_executor executor, const RelayOptions& options, const std::string& secret,
                 StunService& stun, Rng& rng);

    /// Before anything else: where the server listens, wildcards included.
    void start(const std::vector<net::Endpoint>& listeners);
    void stop();

    /// False: the message is not for the relay.
    [[nodiscard]] bool takes(ByteView message) const { return options_.enabled && turn::is_turn(message); }

    /// A datagram that it takes, from `socket`. The payload has to stay until `flush`.
    void handle_datagram(const io::UdpSocket& socket, const net::Received& datagram);

    void flush() { gather_.flush(); }

    /// Carries one connection from its first byte to its end: Binding requests, TURN, a peer's stream.
    [[nodiscard]] io::asio::awaitable<void> serve(std::shared_ptr<TurnLink> link);

    [[nodiscard]] const turn::TurnStats& stats() const { return core_.stats(); }

    [[nodiscard]] turn::TurnCounts counts() const { return core_.counts(); }

    /// Since the start: datagrams that a full socket or a slow client cost.
    [[nodiscard]] std::uint64_t lost() const { return gather_.lost() + dropped_; }

  private:
    [[nodiscard]] io::asio::awaitable<void> run_timers();
    [[nodiscard]] io::asio::awaitable<void> sweep();
    void handle_peer(turn::RelayId relay, const net::Endpoint& from, ByteView payload);
    [[nodiscard]] io::asio::awaitable<void> converse(std::shared_ptr<TurnLink> link);
    /// What came in one read; false: the client has done, or lost its connection.
    [[nodiscard]] bool handle_frames(TurnLink& link, stun::StreamFramer& framer);
    [[nodiscard]] bool handle_frame(TurnLink& link, ByteView frame);
    /// Whoever has an allocation is counted and bounded by the core.
    void settle(TurnLink& link);
    [[nodiscard]] bool forward(const turn::TurnClient& client, ByteView message);
    /// After every input to the core.
    void drain();
    void carry_out(turn::TurnOutput& output);
    void send_to_client(const turn::TurnClient& client, ByteView message);
    void open(const turn::OpenRelay& wish);
    [[nodiscard]] std::optional<net::Address> relay_address(const turn::OpenRelay& wish) const;
    void set_policy();
    void log_traffic();

    io::asio::any_io_executor executor_;
    RelayOptions options_;
    StunService& stun_;
    /// Clients on TCP and TLS without an allocation; bounds of their own, so that they cannot keep logins out.
    Admission guests_;
    turn::TurnServer core_;
    io::UdpGather gather_;
    RelaySockets sockets_;
    RelayStreams streams_;
    std::vector<net::Endpoint> listeners_;
    /// The sockets of the server, by the concrete address that clients have reached: a handful.
    std::map<net::Endpoint, int> descriptors_;
    std::map<turn::TurnClient, std::shared_ptr<TurnLink>> links_;
    io::asio::steady_timer timer_;
    io::asio::steady_timer sweeper_;
    bool draining_ = false;
    bool stopping_ = false;
    std::uint64_t dropped_ = 0;
    std::uint64_t logged_ = 0;
    log::RateLimit failures_{10s};
};

}  // namespace pinhole::rendezvous
