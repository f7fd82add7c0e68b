// The relays that this peer may use and the one that it does use: measures them, allocates at the best that answers
// while a session lives, and takes the next one when it dies. Knows no session; Node drives it like SocketSet.
//
// Order of attempts: at a relay that has answered before, the way that was quickest, and everything else only a second
// later; otherwise all relays at once, UDP first, TCP 300 ms later, TLS 600 ms later, in the manner of RFC 8305. Who
// answers first is asked for an address; the others stand by without one.
//
// Timers: a second attempt at all relays after 2 s, doubled up to a minute, while a session needs one; 10 s after the
// last session has ended the allocation is given back; a call's candidates wait for a relay for 3 s at most.
#pragma once

#include "common/net/candidate.hpp"
#include "common/signaling/messages.hpp"
#include "peer/shell/relay_link.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

namespace pinhole::shell {

class Relays : public std::enable_shared_from_this<Relays> {
  public:
    struct Callbacks {
        std::function<void(const net::Candidate&)> found;
        /// Whether there will be candidates is known: under_way() is over.
        std::function<void()> settled;
        std::function<void(const net::Received&)> datagram;  ///< path: relayed address, peer
        std::function<void()> batch_over;
    };

    struct Measured {
        std::string url;              ///< turn:HOST:PORT?transport=udp, turns: for TLS
        std::optional<Duration> rtt;  ///< nullopt: no answer
        /// Somebody else answers in its place over TLS, as a sentence without its end; empty: no.
        std::string refused{};
    };

    Relays(boost::asio::any_io_executor executor, std::optional<net::Address> bind, Rng& rng);

    void start(Callbacks callbacks);
    /// Where the rendezvous server is, in the order of preference: one of the relays may be there.
    void handle_servers(const std::vector<net::Endpoint>& servers);
    /// Logged in: a list is about to come, from any server that knows of relays.
    void handle_online();
    void handle_list(const signaling::Relays& list);
    /// After a change of the network: an allocation that was made from an address that is gone is made anew.
    void handle_network_changed();

    /// Whether any session lives.
    void want(bool wanted);
    /// The other side's candidates: it may send from there.
    void permit(const std::vector<net::Candidate>& remotes);

    /// It is one of our relayed addresses, or was one.
    [[nodiscard]] bool owns(const net::Endpoint& local) const;
    io::SendResult send(const net::PathAddresses& path, ByteView payload, std::size_t segment);

    [[nodiscard]] std::vector<net::Candidate> candidates() const;
    [[nodiscard]] bool under_way() const;
    /// How packets from a relayed address leave this machine; nullopt: it is none.
    [[nodiscard]] std::optional<RelayTransport> transport_of(const net::Endpoint& local) const;

    /// Of all relays in the list, once `measuring` is over.
    [[nodiscard]] std::vector<Measured> measured() const;
    [[nodiscard]] bool measuring() const;

    /// Gives back what is allocated; no callback follows.
    void stop();

  private:
    // relays_race.cpp has what is about attempts.

    /// What the quickest answer of a relay has told.
    struct Best {
        Duration rtt{};
        RelayTarget target;
        relay::Challenge challenge;
    };

    struct Server {
        signaling::Relay relay;
        std::vector<net::Endpoint> endpoints;  ///< one of each family at most
        std::optional<Best> best;
        std::string refused;  ///< why not over TLS; empty: nothing is against it
    };

    enum class Progress : std::uint8_t { waiting, asking, challenged, allocating, dead };

    struct Attempt {
        std::size_t server = 0;
        RelayTarget target;
        Duration delay{};
        std::optional<relay::Challenge> challenge{};
        int moves = 0;  ///< to other servers or ports that it was sent to
        Progress progress = Progress::waiting;
        Duration rtt{};
        std::shared_ptr<RelayLink> link{};
    };

    using AttemptId = std::uint64_t;

    boost::asio::awaitable<void> resolve(std::string host, std::uint16_t port, std::uint64_t list);
    void set_endpoints(Server& server, const std::vector<net::Endpoint>& endpoints);
    void begin_race();
    void abandon_race();
    void add_attempts(std::size_t index, bool later);
    void add_attempt(Attempt attempt);
    void launch(AttemptId id);
    void handle_event(AttemptId id, const relay::Event& event);
    void handle_challenged(AttemptId id, Duration rtt);
    void handle_allocated(AttemptId id, const relay::Allocated& allocated);
    void handle_failed(AttemptId id, const relay::Failed& failed);
    void note_refused(Server& server, const Error& error);
    void follow(const Attempt& attempt, const relay::Failed& failed);
    void choose_next();
    void finish_if_hopeless();
    void note_best(const Attempt& attempt);
    void handle_lost(const Error& error);
    void drop_active();
    void await_settling();
    void settle();
    void retry_later();
    [[nodiscard]] RelayLink::Callbacks callbacks_for(AttemptId id);
    void after(boost::asio::steady_timer& timer, Duration delay, void (Relays::*action)());
    void give_back();

    boost::asio::any_io_executor executor_;
    std::optional<net::Address> bind_;
    Rng& rng_;
    Callbacks callbacks_;
    std::vector<net::Endpoint> rendezvous_;
    std::vector<Server> servers_;
    std::uint64_t list_ = 0;  ///< counts lists, so that a late name is not taken for one of the newest
    std::map<AttemptId, Attempt> race_;
    AttemptId last_attempt_ = 0;
    std::shared_ptr<RelayLink> active_;
    AttemptId active_id_ = 0;
    std::optional<net::Address> active_source_;
    std::vector<net::Endpoint> relayed_;  ///< of `active_`
    std::vector<net::Endpoint> past_;     ///< relayed addresses that are gone
    std::vector<net::Endpoint> permitted_;
    boost::asio::steady_timer settle_timer_;
    boost::asio::steady_timer retry_timer_;
    boost::asio::steady_timer linger_timer_;
    int failures_ = 0;
    int resolving_ = 0;  ///< names of relays
    bool expecting_ = false;
    bool unsettled_ = false;
    bool wanted_ = false;
    bool stopped_ = false;
};

[[nodiscard]] relay::Credentials credentials_of(const signaling::Relay& relay);
/// What the contract of the command line calls the relay's address.
[[nodiscard]] std::string relay_url(const std::string& host, std::uint16_t port, RelayTransport transport);

}  // namespace pinhole::shell
