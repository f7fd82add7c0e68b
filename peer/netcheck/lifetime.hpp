// How long an idle mapping lives (RFC 5780 §4.6): sockets that spoke once and then rest for different times; at its
// time another socket asks the server to answer to the resting one's external port (RESPONSE-PORT). What arrives was
// let in by a mapping that still lived. Each socket is tested once, because the answer may refresh it; all rest side by
// side.
//
// Timers, in words: a question at the end of each rest; over when all rests are, or two in a row found nothing alive,
// or kSlack after the longest.
#pragma once

#include "peer/netcheck/target.hpp"
#include "peer/netcheck/wire.hpp"

#include <string>

namespace pinhole::netcheck {

class LifetimeProbe {
  public:
    static constexpr int kTries = 4;
    static constexpr Duration kInterval = 250ms;
    static constexpr Duration kSlack = 10s;

    struct Span {
        TimePoint now;
        Duration limit;
    };

    /// Rests of up to the limit.
    void start(Wire& wire, const Target& target, net::Family family, const Span& span);
    void advance(Wire& wire, TimePoint now);

    [[nodiscard]] bool done() const { return done_; }

    /// The longest rest that a mapping survived; zero if none did, nullopt if it could not be measured.
    [[nodiscard]] std::optional<Duration> verdict() const { return verdict_; }

    /// What the figure does not say, a whole sentence; empty if there is nothing.
    [[nodiscard]] const std::string& note() const { return note_; }

    [[nodiscard]] std::optional<TimePoint> next_timeout() const;

  private:
    struct Rest {
        Duration length;
        SocketId socket;
        std::optional<ExchangeId> spoke{};
        std::optional<TimePoint> over{};
        std::optional<ExchangeId> test{};
        std::optional<ExchangeId> control{};
    };

    enum class Fate : std::uint8_t { pending, alive, dead, unclear };

    void speak(Wire& wire, Rest& rest, TimePoint now) const;
    void test(Wire& wire, Rest& rest, TimePoint now) const;
    [[nodiscard]] Fate fate(const Wire& wire, const Rest& rest) const;
    /// The rest of no length: whether the method works here at all. False: it does not, and all is over.
    [[nodiscard]] bool feasible(const Wire& wire);
    void conclude(Wire& wire, bool overdue);
    void end(Wire& wire);

    Target target_;
    TimePoint deadline_;
    SocketId asker_;
    std::vector<Rest> rests_;
    std::optional<Duration> verdict_;
    std::string note_;
    bool done_ = false;
};

}  // namespace pinhole::netcheck
