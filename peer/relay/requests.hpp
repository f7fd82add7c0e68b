// Requests to a relay that wait for their answers, and when to ask again: over UDP by RFC 8489 §6.2.1, over a stream
// never (§6.2.2). Knows nothing of what they mean; TurnClient drives it.
#pragma once

#include "common/base/time.hpp"
#include "common/net/endpoint.hpp"
#include "common/stun/message.hpp"

#include <map>
#include <optional>

namespace pinhole::relay {

/// Waiting at once at most; a request that finds no room is made later.
inline constexpr std::size_t kMaxRequests = 64;

struct Request {
    enum class Kind : std::uint8_t { allocate, refresh, permission, channel };

    Kind kind = Kind::allocate;
    /// Of permission (its port does not count) and channel.
    net::Endpoint peer{};
    std::uint16_t channel = 0;
    /// Nonces that this request was refused for already.
    int challenges = 0;
    bool authenticated = false;
    Bytes message{};
    int sends = 0;
    TimePoint began_at{};
    TimePoint asked_at{};  ///< the last time
    TimePoint deadline{};
    Duration rto{};
};

class Requests {
  public:
    explicit Requests(bool stream) : stream_(stream) {}

    /// Files it as sent at `now`. `rtt`: of an earlier exchange, if there was one.
    void add(const stun::TransactionId& id, Request request, Duration rtt, TimePoint now);
    [[nodiscard]] const Request* find(const stun::TransactionId& id) const;
    std::optional<Request> take(const stun::TransactionId& id);
    /// A request that is to be sent again, counted as sent; call until nothing comes.
    [[nodiscard]] const Request* repeat(TimePoint now);
    /// One that nobody has answered.
    [[nodiscard]] std::optional<Request> expire(TimePoint now);

    [[nodiscard]] std::optional<TimePoint> next_timeout() const;

    [[nodiscard]] bool waiting(Request::Kind kind) const;

    [[nodiscard]] bool full() const { return waiting_.size() >= kMaxRequests; }

    void clear() { waiting_.clear(); }

    [[nodiscard]] std::size_t size() const { return waiting_.size(); }

  private:
    bool stream_;
    std::map<stun::TransactionId, Request> waiting_;
};

}  // namespace pinhole::relay
