// `pinhole` in the simulator: signaling, gathering, ICE and transport of one peer, the real cores on one UDP socket and
// one TCP connection. Does what peer/shell's Node does, one call at a time, with an application that sends and checks.
#pragma once

#include "peer/ice/gatherer.hpp"
#include "peer/session/session.hpp"
#include "peer/session/signaling_client.hpp"
#include "tests/sim/application.hpp"
#include "tests/sim/netcheck_program.hpp"
#include "tests/sim/world.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

namespace pinhole::sim {

struct PeerOptions {
    net::Endpoint server;
    Duration path_patience = 10s;
    /// The caller opens one stream of so many bytes when connected; the callee sends as many back over it.
    std::uint64_t bytes = 20'000;
    /// Strategies that it does not use.
    std::vector<net::Strategy> without{};
    /// Measures its network so long after login, as the shell does, and tells the server.
    std::optional<Duration> measure_after = std::nullopt;
};

class PeerProgram final : public Program {
  public:
    PeerProgram(World& world, std::string_view host, const PeerOptions& options);

    /// Opens the socket and connects to the server.
    void start();
    void call(const crypto::PeerId& peer);
    /// Tells the server where it stands, as if it had measured.
    void report(const net::NetReport& report);
    /// Says goodbye to the other side.
    void hang_up(session::Goodbye goodbye = session::Goodbye::done);

    /// Its host has other addresses than before, and the kernel has said so.
    void network_changed();
    /// Does nothing for so long, as if stopped: its machine goes on, and takes what comes over TCP.
    void sleep(Duration time);
    /// The process is killed: its sockets close without a word.
    void die();

    [[nodiscard]] const crypto::PeerId& id() const { return identity_.id(); }

    [[nodiscard]] bool online() const { return signaling_.online(); }

    [[nodiscard]] bool connected() const { return application_ != nullptr; }

    /// All bytes of both directions arrived whole.
    [[nodiscard]] bool exchanged() const;
    [[nodiscard]] bool corrupted() const;

    [[nodiscard]] bool ended() const { return last<session::Ended>() != nullptr; }

    [[nodiscard]] const std::vector<session::Event>& events() const { return events_; }

    [[nodiscard]] net::Endpoint local() const;

    /// As the server's STUN has seen it.
    [[nodiscard]] std::optional<net::Endpoint> reflexive() const;

    /// UDP sockets for punching that are open.
    [[nodiscard]] std::size_t punch_sockets() const { return punch_ports_.size(); }

    /// Datagrams that ICE and punching have sent.
    [[nodiscard]] std::uint64_t probes() const { return probes_; }

    /// Restarts of ICE that it has begun.
    [[nodiscard]] std::uint64_t restarts() const { return restarts_; }

    /// What it measures or has measured, if it was told to.
    [[nodiscard]] const NetcheckProgram* netcheck() const { return netcheck_.get(); }

    template <class E>
    [[nodiscard]] const E* last() const {
        for (auto it = events_.rbegin(); it != events_.rend(); ++it) {
            if (const auto* event = std::get_if<E>(&*it)) {
                return event;
            }
        }
        return nullptr;
    }

    /// When the first authenticated packets had been seen from the other side.
    [[nodiscard]] std::optional<TimePoint> connected_at() const { return connected_at_; }

    /// The instant that both sides start at, as far as this one knows.
    [[nodiscard]] std::optional<TimePoint> went_at() const { return went_at_; }

    [[nodiscard]] std::optional<TimePoint> next_timeout() const override;
    void handle_timeout(TimePoint now) override;

  private:
    void connect_to_server();

    [[nodiscard]] bool asleep() const { return sleeps_until_.has_value(); }

    void when_awake(std::function<void()> action);
    void measure(std::optional<std::uint16_t> second_stun_port);
    void gather();
    void drain_gatherer();
    void learn(const ice::Reflexive& answer);
    void drain_signaling();
    void tell_of_server();
    void handle_message(const signaling::ToPeer& message);
    void handle_incoming(const signaling::Incoming& incoming);
    void handle_datagram(const net::Received& datagram);
    void begin(const crypto::PeerId& remote, signaling::CallId call);
    void begin_candidates(bool restarting = false);
    void resume(const signaling::Incoming& incoming, session::IncomingCall read);
    void restart();
    void drain();
    void handle_event(const session::Event& event);
    void send_packets();
    void serve(const session::SocketRequest& request);
    void close_punch_sockets();
    [[nodiscard]] std::vector<net::Candidate> candidates() const;
    [[nodiscard]] WallTime wall() const;

    World& world_;
    Host& host_;
    PeerOptions options_;
    SeededRng rng_;
    crypto::Identity identity_;
    session::SignalingClient signaling_;
    std::unique_ptr<NetcheckProgram> netcheck_;
    std::optional<TcpId> tcp_;
    std::uint16_t port_ = 0;
    std::set<std::uint16_t> punch_ports_;
    std::uint64_t probes_ = 0;
    std::uint64_t restarts_ = 0;
    ice::Gatherer gatherer_;
    bool gathering_ = false;
    std::optional<TimePoint> gathered_at_;
    std::map<net::Endpoint, net::Candidate> reflexives_;  ///< by base
    session::ReplayGuard replay_guard_;
    std::unique_ptr<session::Session> session_;
    std::unique_ptr<Application> application_;
    std::optional<TimePoint> sleeps_until_;
    std::vector<std::function<void()>> slept_through_;  ///< what TCP had to say
    bool caller_ = false;
    bool draining_ = false;
    std::vector<session::Event> events_;
    std::optional<TimePoint> connected_at_;
    std::optional<TimePoint> went_at_;
    Bytes buffer_;
};

}  // namespace pinhole::sim
