// A whole internet in virtual time: the lab's network model, hosts with their sockets, the programs on them, and a
// clock that jumps from event to event. Everything that happens follows from one seed.
#pragma once

#include "tests/lab/model/network.hpp"
#include "tests/sim/host.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace pinhole::sim {

/// A program on a host that waits for times. It is told of packets by its sockets.
class Program {
  public:
    Program() = default;
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;
    virtual ~Program() = default;

    [[nodiscard]] virtual std::optional<TimePoint> next_timeout() const = 0;
    virtual void handle_timeout(TimePoint now) = 0;
};

class World {
  public:
    /// The topology need not be resolved; its own seed is not looked at. Throws std::invalid_argument if it is wrong.
    World(lab::Topology topology, std::uint64_t seed);
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    [[nodiscard]] Host& host(std::string_view name);

    [[nodiscard]] lab::Network& network() { return network_; }

    /// It must outlive the world's last step.
    void add(Program& program) { programs_.push_back(&program); }

    /// Something that the test does so long from now.
    void after(Duration delay, std::function<void()> action);
    /// Plugs the host into another LAN: a new address and no connections to the old one.
    net::Address move(std::string_view host, std::string_view behind);

    /// Runs until `done`, at most for so much virtual time. False when time ran out.
    bool run(const std::function<bool()>& done, Duration limit);
    void run_for(Duration time);

    [[nodiscard]] TimePoint now() const { return now_; }

    [[nodiscard]] Duration elapsed() const { return now_ - TimePoint{}; }

    /// A generator of its own for whoever asks, the same in every run of this seed.
    [[nodiscard]] std::uint64_t draw_seed() { return rng_.u64(); }

    /// Over every packet that a host has sent, with its time.
    [[nodiscard]] std::uint64_t trace_hash() const { return trace_; }

    [[nodiscard]] std::uint64_t packets() const { return packets_; }

    [[nodiscard]] std::size_t steps() const { return steps_; }

    /// Sees each packet as its host sends it; false drops it there.
    std::function<bool(const Host&, const lab::Packet&)> wiretap;

  private:
    bool step(TimePoint limit);
    void send(lab::HostId from, lab::Packet packet);
    void note(lab::HostId from, const lab::Packet& packet);

    SeededRng rng_;
    lab::Network network_;
    TimePoint now_{};
    std::vector<std::unique_ptr<Host>> hosts_;  ///< by HostId
    std::vector<Program*> programs_;
    std::multimap<TimePoint, std::function<void()>> actions_;
    std::uint64_t trace_ = 0xcbf29ce484222325;
    std::uint64_t packets_ = 0;
    std::size_t steps_ = 0;
};

}  // namespace pinhole::sim
