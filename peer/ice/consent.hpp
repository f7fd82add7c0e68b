// Consent freshness (RFC 7675 §5.1) of one path: when to ask again, and whether the last answer is too old.
// Timers: ask every 5 s ±20 %; dead 30 s after the last answer. Consent also keeps NAT mappings alive, so nothing else
// does.
#pragma once

#include "common/base/rng.hpp"
#include "common/base/time.hpp"
#include "common/net/datagram.hpp"

#include <optional>

namespace pinhole::ice {

class Consent {
  public:
    /// The path has just been checked.
    void start(const net::PathAddresses& path, TimePoint now, Rng& rng);

    void stop() { state_.reset(); }

    /// An authenticated answer came back over `path`.
    void refresh(const net::PathAddresses& path, TimePoint now);

    /// True if a request is to be sent, once per interval.
    [[nodiscard]] bool ask(TimePoint now, Rng& rng);
    [[nodiscard]] bool expired(TimePoint now) const;
    [[nodiscard]] std::optional<TimePoint> next_timeout() const;

  private:
    struct State {
        net::PathAddresses path;
        TimePoint ask_at;
        TimePoint dead_at;
    };

    std::optional<State> state_;
};

}  // namespace pinhole::ice
