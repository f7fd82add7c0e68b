// Carries out one side's PunchPlan: opens sockets, sends probes, samples ports, scans. Never decides what works: when
// something comes in on a socket of its own, it asks for an ICE check there (Promote). Knows no socket, no signaling,
// no ICE; Session drives it and passes its wishes to the shell.
//
// A probe is a STUN Binding indication with FINGERPRINT (RFC 8445 §11: agents ignore those), 28 bytes.
// Timers: each step's start and end; a scan's next probe every kScanInterval; the repeats of open.
#pragma once

#include "common/base/bytes.hpp"
#include "common/base/ids.hpp"
#include "common/base/rng.hpp"
#include "common/net/datagram.hpp"
#include "common/net/punch_plan.hpp"
#include "peer/punch/probe_budget.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

namespace pinhole::punch {

/// Names a socket that was asked for until its local endpoint is known.
using SocketToken = StrongId<struct PunchSocketTag>;

struct Config {
    /// The STUN server to sample with; nullopt: no samples are taken.
    std::optional<net::Endpoint> stun;
    /// Where probes of a scan leave from: the socket whose reflexive endpoint the other side was told.
    net::Endpoint main;
    /// Of all calls together; outlives the puncher. Null: only the bounds of one plan hold.
    ProbeBudget* budget = nullptr;
};

struct OpenSocket {
    SocketToken token;
    net::Family family = net::Family::v4;
};

struct CloseSocket {
    net::Endpoint local;
};

struct SendProbe {
    net::PathAddresses path;
    Bytes payload;
    std::uint8_t ttl = 0;  ///< 0: the system's
};

/// Something came in from the other side on a socket of ours: this pair is to be checked by ICE, with `path.local` as a
/// new base.
struct Promote {
    net::PathAddresses path;
    net::Strategy strategy = net::Strategy::predict;
};

/// For the server: external ports seen before and after the burst of step `step`.
struct Samples {
    std::size_t step = 0;
    net::Address external;
    std::vector<std::uint16_t> before;
    std::vector<std::uint16_t> after;
};

/// A STUN Binding indication with FINGERPRINT.
[[nodiscard]] Bytes make_probe(Rng& rng);

using Action = std::variant<OpenSocket, CloseSocket, SendProbe, Promote, Samples>;

class Puncher {
  public:
    Puncher(const Config& config, Rng& rng);
    Puncher(Puncher&&) noexcept;
    Puncher& operator=(Puncher&&) noexcept;
    ~Puncher();

    /// `go` is the instant that both sides start from. Steps beyond the bounds of punch_plan.hpp are cut down to them.
    void start(net::PunchPlan plan, TimePoint go);
    /// What the server made of the other side's samples.
    void handle_scan(std::size_t step, std::vector<net::PortRange> ranges, TimePoint now);
    /// A server-reflexive candidate of the other side: at the address of an `open` step that has not begun, its port is
    /// newer than the plan's.
    void handle_candidate(const net::Endpoint& remote);
    void handle_socket(SocketToken token, const net::Endpoint& local, TimePoint now);
    void handle_socket_failed(SocketToken token, TimePoint now);
    /// A datagram on any socket of the session. True: it answered a sample and is dealt with. Otherwise ICE is to see
    /// it, too; Promote may have been asked for first.
    bool handle_datagram(const net::PathAddresses& path, ByteView payload, TimePoint now);
    /// A path was judged good: stops probing at once and closes its sockets 2 s later, but for `path.local` if it is
    /// one of them; that one belongs to the session then, until `close`.
    void handle_success(const net::PathAddresses& path, TimePoint now);
    /// Stops and closes everything.
    void close();
    void handle_timeout(TimePoint now);

    [[nodiscard]] std::optional<Action> poll_action();
    [[nodiscard]] std::optional<TimePoint> next_timeout() const;

    /// Probes sent so far.
    [[nodiscard]] std::uint64_t probes() const;
    /// Of the step that has made this pair possible: its local end is a socket of ours, or its remote end was scanned.
    [[nodiscard]] std::optional<net::Strategy> found(const net::PathAddresses& path) const;

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace pinhole::punch
