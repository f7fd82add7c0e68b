// Measures our own NATs (RFC 5780, RFC 4787 §4–§6) as a state machine: asks for sockets, sends STUN over them and
// reads the answers into a NetReport. Knows no real socket and no clock; peer/shell drives it, so does the simulator.
//
// Driven like every core: one input, then poll_action and poll_event until empty, then next_timeout.
// Timers, in words: a first report within kFirstReport (with what is known by then), everything within kBudget, nothing
// later than that even if no server answers; the lifetime measurement alone goes on longer, if it was asked for.
// Moderation, for NATs with quotas: at most 44 mappings in all (36 of UDP, 8 of TCP) and 24 sockets at once, a lifetime
// apart (14 mappings); one packet in 2 ms.
#pragma once

#include "common/base/bytes.hpp"
#include "common/base/ids.hpp"
#include "common/base/rng.hpp"
#include "common/base/time.hpp"
#include "common/net/net_report.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

namespace pinhole::netcheck {

/// Contract of `pinhole netcheck`: a first answer below 1 s and all below 6 s, with room for the shell.
inline constexpr Duration kFirstReport = 800ms;
inline constexpr Duration kBudget = 5500ms;

using SocketId = StrongId<struct NetcheckSocketTag>;

/// One STUN server. RFC 5780 servers name their alternate address and port in OTHER-ADDRESS by themselves;
/// `second_port` is for servers with one address whose other port is known otherwise (Welcome).
struct StunServer {
    net::Endpoint endpoint;
    std::optional<std::uint16_t> second_port{};
};

struct Config {
    /// At most one a family is used; the first of each counts.
    std::vector<StunServer> servers{};
    /// Addresses of this machine, to tell a NAT from none.
    std::vector<net::Address> local{};
    /// Profile TCP as well (STUN over TCP).
    bool tcp = true;
    /// Measure how long an idle UDP mapping lives, up to this long. Zero: not at all.
    Duration lifetime{};
};

// --- what the driver is to do, in order ---

/// Open a UDP socket on a fresh port; answer with handle_opened or handle_failed.
struct OpenUdp {
    SocketId socket;
    net::Family family = net::Family::v4;
};

/// Connect a TCP socket; `same_port_as`: bind to the local port of that earlier TCP socket (SO_REUSEADDR and
/// SO_REUSEPORT on all of them), otherwise a fresh one. Answer with handle_opened when connected, or handle_failed.
struct OpenTcp {
    SocketId socket;
    net::Endpoint remote;
    std::optional<SocketId> same_port_as{};
};

/// Over UDP one datagram, with this TTL if there is one; over TCP bytes of the stream (`to` is its remote).
struct Send {
    SocketId socket;
    net::Endpoint to;
    Bytes payload;
    std::optional<std::uint8_t> ttl{};
};

struct Close {
    SocketId socket;
};

using Action = std::variant<OpenUdp, OpenTcp, Send, Close>;

// --- what the owner learns ---

/// The first answer: reachability, reflexive address, NAT or not; the rest as far as it is known.
struct FirstReport {};

/// All is measured that could be; only the lifetime may still be under way.
struct Complete {};

/// The lifetime was measured. Follows Complete, only if it was asked for.
struct LifetimeKnown {};

using Event = std::variant<FirstReport, Complete, LifetimeKnown>;

class Netcheck {
  public:
    /// Sockets it holds at most at one time.
    static constexpr std::size_t kMaxSockets = 64;

    Netcheck(Config config, Rng& rng, TimePoint now);
    Netcheck(Netcheck&&) noexcept;
    Netcheck& operator=(Netcheck&&) noexcept;
    ~Netcheck();

    /// `local`: as bound; of UDP the address this machine sends from (unspecified if unknown) and the real port.
    void handle_opened(SocketId socket, const net::Endpoint& local, TimePoint now);
    /// It could not be opened or connected, or the connection ended.
    void handle_failed(SocketId socket, TimePoint now);
    /// A datagram, or bytes of a TCP stream (`from` is its remote).
    void handle_received(SocketId socket, const net::Endpoint& from, ByteView payload, TimePoint now);
    void handle_timeout(TimePoint now);

    [[nodiscard]] std::optional<Action> poll_action();
    [[nodiscard]] std::optional<Event> poll_event();
    /// nullopt when all is done.
    [[nodiscard]] std::optional<TimePoint> next_timeout() const;

    /// As of now; final after Complete (and LifetimeKnown).
    [[nodiscard]] const net::NetReport& report() const;

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace pinhole::netcheck
