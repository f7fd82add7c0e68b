// Agents, NATs and the wires between them in virtual time: everything follows from the seed. A NAT is described by its
// mapping and filtering behaviour (RFC 4787 §4.1, §5); hosts without one sit on the public network.
#pragma once

#include "common/base/rng.hpp"
#include "peer/ice/agent.hpp"

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace pinhole::ice::testing {

enum class Behaviour : std::uint8_t { independent, address_dependent, address_and_port_dependent };

struct NatType {
    Behaviour mapping = Behaviour::independent;
    Behaviour filtering = Behaviour::address_and_port_dependent;
};

struct Link {
    Duration latency = 20ms;  ///< one way
    double loss = 0;
    Duration jitter{};  ///< added at random, so packets overtake each other
};

struct HostConfig {
    net::Endpoint address;
    /// None: the address is public.
    std::optional<net::Address> nat_address;
    NatType nat;
    Role role = Role::controlling;
    bool offer_host = true;
    bool offer_reflexive = true;
    /// The agent knows the socket from the beginning.
    bool base = true;
};

/// One packet as it left an agent.
struct Sent {
    TimePoint at;
    std::size_t host = 0;
    net::Transmit transmit;
};

class VirtualNetwork {
  public:
    VirtualNetwork(std::uint64_t seed, Link link) : rng_(seed), link_(link) {}

    std::size_t add(const HostConfig& config, Duration patience = 10s);
    /// Exchanges credentials and candidates, and starts both agents.
    void connect(std::size_t a, std::size_t b);
    void exchange_credentials(std::size_t a, std::size_t b);
    void offer(std::size_t from, std::size_t to);

    void start(std::size_t host) { agent(host).start(now_); }

    /// Runs until `deadline` after the beginning, or until nothing is left to happen.
    void run_until(Duration deadline);
    /// Runs until every agent has a selected pair or has failed; true if all selected.
    bool run_until_selected(Duration deadline);

    /// Delivers a datagram to a host as if it had come from `source` over the public network.
    void inject(std::size_t host, const net::Endpoint& source, const Bytes& payload);

    void set_link(Link link) { link_ = link; }

    void set_tamper(bool on) { tamper_ = on; }

    [[nodiscard]] Agent& agent(std::size_t host) { return *hosts_[host].agent; }

    [[nodiscard]] const std::vector<Event>& events(std::size_t host) const { return hosts_[host].events; }

    [[nodiscard]] const std::vector<Sent>& sent() const { return sent_; }

    [[nodiscard]] net::Endpoint reflexive(std::size_t host);

    [[nodiscard]] TimePoint now() const { return now_; }

    [[nodiscard]] std::string trace() const;

    template <class T>
    [[nodiscard]] std::vector<T> all(std::size_t host) const {
        std::vector<T> found;
        for (const auto& event : hosts_[host].events) {
            if (const auto* match = std::get_if<T>(&event)) {
                found.push_back(*match);
            }
        }
        return found;
    }

  private:
    struct Mapping {
        std::uint16_t port = 0;
        std::set<net::Endpoint> allowed;
    };

    struct Host {
        HostConfig config;
        std::unique_ptr<SeededRng> rng;
        std::unique_ptr<Agent> agent;
        std::vector<Event> events;
        /// By destination as far as the mapping behaviour looks at it.
        std::map<net::Endpoint, Mapping> mappings;
        std::uint16_t next_port = 40000;
    };

    struct Packet {
        net::Endpoint source;
        net::Endpoint destination;
        Bytes payload;
        /// Inside of one NAT: delivered to the private address without translation.
        std::optional<std::size_t> inside;
    };

    Mapping& map(Host& host, const net::Endpoint& destination);
    void drain(std::size_t host);
    void send(std::size_t host, net::Transmit transmit);
    void deliver(const Packet& packet);
    std::optional<std::size_t> receiver(const Packet& packet);
    [[nodiscard]] std::optional<TimePoint> next_event() const;
    void step();

    SeededRng rng_;
    Link link_;
    TimePoint now_{};
    bool tamper_ = false;
    std::vector<Host> hosts_;
    std::multimap<TimePoint, Packet> flying_;
    std::vector<Sent> sent_;
};

[[nodiscard]] net::Endpoint at(const char* text);
[[nodiscard]] net::Candidate host_candidate(const net::Endpoint& endpoint, std::uint16_t preference = 65535);

}  // namespace pinhole::ice::testing
