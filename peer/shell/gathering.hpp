// Which candidates this peer has: the host candidates of its sockets, and what STUN found for them at the server. Asks
// again when the answers are old or the network is another. Knows no session; Node drives it like a core.
#pragma once

#include "common/net/candidate.hpp"
#include "peer/ice/gatherer.hpp"
#include "peer/shell/socket_set.hpp"
#include "peer/shell/tcp_paths.hpp"

#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

namespace pinhole::shell {

class Gathering {
  public:
    /// A candidate that was not known before.
    struct Found {
        net::Candidate candidate;
    };

    /// Every base has its answer or has given up.
    struct Settled {};

    using Event = std::variant<Found, Settled>;

    Gathering(Rng& rng, const SocketSet& sockets, const TcpPaths& tcp, std::optional<net::Address> bind);

    /// Reads the machine's addresses anew and asks these servers, the first of each family.
    void handle_servers(const std::vector<net::Endpoint>& servers, TimePoint now);
    /// Forgets what was found from addresses that may be gone, reads the machine's addresses anew and asks again.
    void handle_network_changed(TimePoint now);
    /// Asks again if the answers are so old that a NAT may have forgotten the mapping.
    void refresh(TimePoint now);
    /// The same where a path has died: with all answers but those of the last moment, because a NAT may have rebooted.
    void distrust(TimePoint now);
    /// True if the datagram was an answer to us.
    bool handle_datagram(const net::PathAddresses& path, ByteView payload, TimePoint now);
    void handle_timeout(TimePoint now);

    [[nodiscard]] std::optional<net::Transmit> poll_transmit();
    [[nodiscard]] std::optional<Event> poll_event();
    [[nodiscard]] std::optional<TimePoint> next_timeout() const;

    /// Questions are open: more candidates may be found.
    [[nodiscard]] bool under_way() const { return under_way_; }

    [[nodiscard]] std::vector<net::Candidate> candidates() const;

    /// Where STUN saw our UDP socket, IPv4 rather than IPv6.
    [[nodiscard]] const std::optional<net::Endpoint>& reflexive() const { return reflexive_; }

  private:
    void read_hosts();
    void read_tcp_hosts(std::vector<net::Address> addresses);
    void ask(TimePoint now);
    void ask_unless(Duration fresh, TimePoint now);
    void read_answers(TimePoint now);
    void learn(const ice::Reflexive& answer);

    Rng& rng_;
    const SocketSet& sockets_;
    const TcpPaths& tcp_;
    std::optional<net::Address> bind_;
    ice::Gatherer gatherer_;
    std::vector<net::Endpoint> servers_;
    std::vector<net::Candidate> hosts_;
    std::vector<net::Candidate> tcp_hosts_;
    std::map<std::pair<net::Transport, net::Endpoint>, net::Candidate> reflexives_;  ///< by base
    std::optional<net::Endpoint> reflexive_;
    std::optional<TimePoint> settled_at_;
    bool under_way_ = false;
    std::deque<Event> events_;
};

}  // namespace pinhole::shell
