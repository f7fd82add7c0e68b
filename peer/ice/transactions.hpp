// STUN transactions under way: who was asked what, when to ask again, when to give up (RFC 8489 §6.2.1, RFC 8445
// §14.3). Bounded by the pacing of who adds to it. Knows nothing of pairs beyond their addresses.
#pragma once

#include "common/stun/message.hpp"
#include "peer/ice/agent.hpp"

#include <optional>
#include <vector>

namespace pinhole::ice {

/// RFC 8445 §14.3: at least 500 ms.
inline constexpr Duration kInitialRto = 500ms;
/// RFC 8489 §6.2.1: Rc. After the last one another doubled RTO passes before the check fails.
inline constexpr int kMaxSends = 7;
/// Deviation: where packets are known to get through, a missing answer means loss and not a closed door, so the RTO
/// stops doubling here: 7 sends within 10 s.
inline constexpr Duration kMaxOpenRto = 2s;
/// How long the answer to a check that is not repeated any more still counts.
inline constexpr Duration kLinger = 4s;

struct Transaction {
    enum class Kind : std::uint8_t { check, consent };

    stun::TransactionId id{};
    net::PathAddresses path;
    Kind kind = Kind::check;
    Role role = Role::controlling;  ///< that the request claimed
    bool nominating = false;
    bool open = false;           ///< the other side has been heard on this path
    std::uint32_t priority = 0;  ///< of a peer-reflexive candidate that it may discover
    Bytes message{};
    int sends = 0;
    bool cancelled = false;  ///< RFC 8445 §7.3.1.4: no retransmission, no failure, but a success counts
    Duration rto = kInitialRto;
    TimePoint sent_at{};
    TimePoint deadline{};
};

class Transactions {
  public:
    /// Files it as sent at `now`.
    void add(Transaction transaction, TimePoint now);
    [[nodiscard]] Transaction* find(const stun::TransactionId& id);
    void erase(const stun::TransactionId& id);

    /// A check that is to be sent once more; mark it with `resent`.
    [[nodiscard]] Transaction* due(TimePoint now);
    static void resent(Transaction& transaction, TimePoint now);
    /// Takes one that was never answered; cancelled ones vanish silently.
    [[nodiscard]] std::optional<Transaction> expire(TimePoint now);

    void cancel(const net::PathAddresses& path);
    void cancel_plain(const net::PathAddresses& path);
    /// Drops all checks except nominations; consent goes on.
    void drop_plain_checks();

    void clear() { live_.clear(); }

    [[nodiscard]] std::optional<TimePoint> next_due() const;
    [[nodiscard]] std::optional<TimePoint> next_expiry() const;

    [[nodiscard]] std::size_t size() const { return live_.size(); }

  private:
    static bool repeats(const Transaction& transaction);
    static void cancel(Transaction& transaction);

    std::vector<Transaction> live_;
};

}  // namespace pinhole::ice
