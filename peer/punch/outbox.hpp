// What the steps of one plan share: the queue of wishes to whoever drives them, and the bounds that hold for all steps
// together, whatever a server has planned.
#pragma once

#include "common/stun/message.hpp"
#include "peer/punch/puncher.hpp"

#include <deque>
#include <set>

namespace pinhole::punch {

/// Of all steps together; of all plans together ProbeBudget says.
inline constexpr std::uint64_t kMaxProbes = net::kMaxScanProbes;
/// Sockets that are open or asked for, those that only sample included.
inline constexpr std::size_t kMaxSockets = net::kMaxPunchSockets + 2;
inline constexpr std::size_t kMaxPromoted = 8;
/// Of one socket: behind a filter that looks at no port it hears all sockets of the other side, and ICE has to know
/// only that it is there. The others are for the sockets of later steps.
inline constexpr std::ptrdiff_t kMaxPromotedOfSocket = 2;

class Outbox {
  public:
    /// `budget` may be null.
    Outbox(Rng& rng, ProbeBudget* budget) : rng_(&rng), budget_(budget) {}

    /// Asks for a socket; nullopt if there are too many.
    [[nodiscard]] std::optional<SocketToken> open(net::Family family);
    void close(const net::Endpoint& local);

    /// A socket that was asked for does not exist.
    void failed() { --sockets_; }

    /// False if no more probes may leave.
    bool probe(const net::PathAddresses& path, std::uint8_t ttl, TimePoint now);
    /// A STUN Binding request.
    void ask(const net::PathAddresses& path, const stun::TransactionId& id);
    /// Once per path and for a few paths only.
    void promote(const net::PathAddresses& path, net::Strategy strategy);

    void report(Samples samples) { actions_.emplace_back(std::move(samples)); }

    /// Forgets all but the closing of sockets.
    void silence();
    [[nodiscard]] std::optional<Action> poll();

    [[nodiscard]] std::uint64_t probes() const { return probes_; }

    [[nodiscard]] Rng& rng() { return *rng_; }

  private:
    Rng* rng_;
    ProbeBudget* budget_;
    std::deque<Action> actions_;
    std::uint64_t last_token_ = 0;
    std::size_t sockets_ = 0;
    std::uint64_t probes_ = 0;
    std::set<net::PathAddresses> promoted_;
};

}  // namespace pinhole::punch
