#include "peer/shell/gathering.hpp"

#include "common/base/limits.hpp"
#include "common/io/interfaces.hpp"
#include "peer/shell/candidates.hpp"

#include <algorithm>
#include <set>

namespace pinhole::shell {

namespace {

/// A reflexive address older than this is asked for again when a call begins. NATs forget UDP mappings after 30 s
/// (connectivity in the wild), and some forget one of TCP with the connection that made it, which the server closes
/// after 10 s of silence: a little less leaves room for the call itself.
constexpr Duration kFresh = 8s;
/// Shorter than it takes to notice that a path is dead: what was answered since was answered by the NAT as it is.
constexpr Duration kJustNow = 1s;
/// Addresses that TCP is offered on: it is for those networks where nothing else gets through.
constexpr std::size_t kMaxTcpAddresses = 4;
/// Host candidates at most, so that a call has room for what is found later: a reflexive one of each family over UDP
/// and TCP each, those of relays, and some.
constexpr std::size_t kMaxHosts = limits::kMaxCandidates - kMaxTcpAddresses - 10;

}  // namespace

Gathering::Gathering(Rng& rng, const SocketSet& sockets, const TcpPaths& tcp, std::optional<net::Address> bind)
    : rng_(rng), sockets_(sockets), tcp_(tcp), bind_(std::move(bind)), gatherer_(rng) {}

void Gathering::handle_servers(const std::vector<net::Endpoint>& servers, TimePoint now) {
    servers_ = servers;
    read_hosts();
    if (!servers_.empty() && !under_way_) {
        ask(now);
    }
}

void Gathering::handle_network_changed(TimePoint now) {
    reflexives_.clear();
    reflexive_.reset();
    read_hosts();
    if (!servers_.empty()) {
        ask(now);
    }
}

void Gathering::read_hosts() {
    hosts_.clear();
    tcp_hosts_.clear();
    if (servers_.empty()) {
        return;
    }
    const auto addresses =
        usable_addresses(io::local_addresses(/*include_loopback=*/true), servers_.front().address, bind_);
    for (const auto family : {net::Family::v4, net::Family::v6}) {
        if (const auto port = sockets_.port(family)) {
            const auto candidates = host_candidates(addresses, family, *port);
            hosts_.insert(hosts_.end(), candidates.begin(), candidates.end());
        }
    }
    hosts_.resize(std::min(hosts_.size(), kMaxHosts));
    read_tcp_hosts(addresses);
}

void Gathering::read_tcp_hosts(std::vector<net::Address> addresses) {
    addresses.resize(std::min(addresses.size(), kMaxTcpAddresses));
    for (const auto family : {net::Family::v4, net::Family::v6}) {
        if (const auto port = tcp_.port(family)) {
            const auto candidates = tcp_host_candidates(addresses, family, *port);
            tcp_hosts_.insert(tcp_hosts_.end(), candidates.begin(), candidates.end());
        }
    }
}

void Gathering::refresh(TimePoint now) {
    ask_unless(kFresh, now);
}

void Gathering::distrust(TimePoint now) {
    ask_unless(kJustNow, now);
}

void Gathering::ask_unless(Duration fresh, TimePoint now) {
    const bool known = settled_at_ && now - *settled_at_ < fresh;
    if (!known && !under_way_) {
        ask(now);
    }
}

void Gathering::ask(TimePoint now) {
    std::set<net::Family> asked;
    gatherer_ = ice::Gatherer{rng_};
    for (const auto& server : servers_) {
        const auto family = server.address.family();
        if (!asked.insert(family).second) {
            continue;
        }
        const auto source = source_address_for(server);
        const auto ask_from = [&](std::optional<std::uint16_t> port, net::Transport transport) {
            if (source && port) {
                gatherer_.add({.local = {.address = *source, .port = *port}, .remote = server, .transport = transport},
                              now);
            }
        };
        ask_from(sockets_.port(family), net::Transport::udp);
        ask_from(tcp_.port(family), net::Transport::tcp);
    }
    under_way_ = true;
    gatherer_.finish_adding(now);
    read_answers(now);
}

bool Gathering::handle_datagram(const net::PathAddresses& path, ByteView payload, TimePoint now) {
    const bool ours = gatherer_.handle_datagram(path, payload, now);
    read_answers(now);
    return ours;
}

void Gathering::handle_timeout(TimePoint now) {
    gatherer_.handle_timeout(now);
    read_answers(now);
}

void Gathering::read_answers(TimePoint now) {
    while (const auto event = gatherer_.poll_event()) {
        if (const auto* answer = std::get_if<ice::Reflexive>(&*event)) {
            learn(*answer);
        } else {
            under_way_ = false;
            settled_at_ = now;
            events_.emplace_back(Settled{});
        }
    }
}

void Gathering::learn(const ice::Reflexive& answer) {
    const bool udp = answer.path.transport == net::Transport::udp;
    if (udp && (!reflexive_ || answer.reflexive.address.is_v4())) {
        reflexive_ = answer.reflexive;
    }
    const std::pair base{answer.path.transport, answer.path.local};
    reflexives_.erase(base);
    if (auto candidate = reflexive_candidate(answer)) {
        reflexives_.emplace(base, *candidate);
        events_.emplace_back(Found{*std::move(candidate)});
    }
}

std::optional<net::Transmit> Gathering::poll_transmit() {
    return gatherer_.poll_transmit();
}

std::optional<Gathering::Event> Gathering::poll_event() {
    if (events_.empty()) {
        return std::nullopt;
    }
    auto event = std::move(events_.front());
    events_.pop_front();
    return event;
}

std::optional<TimePoint> Gathering::next_timeout() const {
    return gatherer_.next_timeout();
}

std::vector<net::Candidate> Gathering::candidates() const {
    std::vector<net::Candidate> candidates;
    // First: what a call has no room for should not be the addresses that matter outside this network.
    for (const auto& [base, candidate] : reflexives_) {
        candidates.push_back(candidate);
    }
    candidates.insert(candidates.end(), hosts_.begin(), hosts_.end());
    candidates.insert(candidates.end(), tcp_hosts_.begin(), tcp_hosts_.end());
    return candidates;
}

}  // namespace pinhole::shell
