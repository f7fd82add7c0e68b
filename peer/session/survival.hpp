// When a session that is in trouble calls its peer again through the server (an ICE restart), what it says meanwhile,
// and when it gives up. Knows neither ICE nor the transport; Session tells it what they notice.
//
// Timers: a stall is shown after kShow of silence; restarts follow each other after 1 s, doubled up to kSlowest; on a
// detour a better path is looked for after kFirstUpgrade, doubled up to kSlowestUpgrade; gone after `gone_after` of
// silence if the server says that the peer has left, otherwise after `patience`.
#pragma once

#include "common/base/time.hpp"
#include "common/signaling/messages.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace pinhole::session {

class Survival {
  public:
    struct Config {
        /// Silence after which a peer that has left the server is not coming back: longer than a program takes to be
        /// started again, and what the transport of other protocols waits, too.
        Duration gone_after = 30s;
        /// Silence after which nobody is waited for: a laptop that is carried from one place to another sleeps for
        /// less.
        Duration patience = 15min;
    };

    /// Why a restart is wanted though something is still heard.
    enum class Cause : std::uint8_t {
        path_died,    ///< data goes over another path
        moved,        ///< our network is another
        consent_lost  ///< ICE has no pair in use any more
    };

    static constexpr Duration kShow = 1s;
    /// After a login: a call of the other side that waits for us comes right behind it, and then ours would only cross
    /// it.
    static constexpr Duration kRing = 50ms;
    static constexpr Duration kSlowest = 5s;
    /// Restarts in a row that fail although something is heard: then what is heard has to do.
    static constexpr unsigned kMaxWanted = 5;
    static constexpr Duration kFirstUpgrade = 15s;
    static constexpr Duration kSlowestUpgrade = 15min;
    /// A better path that dies within this time of being taken, and is not the first that died, was none: the next one
    /// is looked for later.
    static constexpr Duration kLasting = 1min;

    explicit Survival(const Config& config) : config_(config) {}

    /// Nothing was heard on any path since `heard`.
    void handle_silent(TimePoint heard, TimePoint now);
    /// Something was heard; true if that ends a stall.
    bool handle_heard(TimePoint now);
    void want_restart(Cause cause, TimePoint now);
    /// This machine has slept: what it did not hear meanwhile says nothing.
    void handle_woken(TimePoint now);
    void handle_server(bool online, TimePoint now);
    /// Data goes over a relay or not. `ours`: it is this side that looks for a better path from time to time.
    void handle_path(bool relayed, bool ours, TimePoint now);
    /// It knows that already.
    [[nodiscard]] bool knows_path(bool relayed, bool ours) const;

    void handle_started(TimePoint now);
    void handle_done(TimePoint now);
    /// Nullopt: the call was answered, but no path was found.
    void handle_failed(std::optional<signaling::EndReason> reason, TimePoint now);

    [[nodiscard]] bool stalled() const { return heard_.has_value(); }

    /// A restart is to be started.
    [[nodiscard]] bool due(TimePoint now) const;
    /// The peer counts as gone.
    [[nodiscard]] bool lost(TimePoint now) const;
    /// What is being tried, as "trying" goes on, if that is to be said and was not said yet.
    [[nodiscard]] std::optional<std::string> poll_notice(TimePoint now);
    [[nodiscard]] std::optional<TimePoint> next_timeout() const;

  private:
    [[nodiscard]] std::string trying() const;
    [[nodiscard]] TimePoint silent_since() const;
    [[nodiscard]] bool left() const;
    [[nodiscard]] std::optional<TimePoint> next_attempt() const;

    Config config_;
    std::optional<TimePoint> heard_;  ///< before the stall
    TimePoint woken_{};
    bool online_ = false;
    std::optional<TimePoint> relogged_;  ///< the connection to the server is another one since
    bool under_way_ = false;
    bool wanted_ = false;
    bool asked_ = false;  ///< the restart under way was wanted for more than an upgrade
    unsigned failures_ = 0;
    TimePoint not_before_{};
    std::optional<signaling::EndReason> verdict_;
    std::optional<TimePoint> upgrade_at_;
    Duration upgrade_pause_ = kFirstUpgrade;
    std::optional<TimePoint> direct_since_;
    bool died_before_ = false;  ///< a direct path
    bool flapping_ = false;     ///< the last one died soon after it was taken, and was not the first
    std::string said_;
};

}  // namespace pinhole::session
