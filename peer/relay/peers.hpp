// The peers that an allocation lets in and those that have a channel (RFC 8656 §9, §12), with the time when each is to
// be asked for again. Only what is used is renewed: what nobody has sent to for a permission's lifetime lapses. Knows
// no messages; TurnClient drives it.
#pragma once

#include "common/base/time.hpp"
#include "common/net/endpoint.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <optional>

namespace pinhole::relay {

/// Of each kind. All sessions of a node together use few of the 32 candidates that each may have.
inline constexpr std::size_t kMaxPeers = 256;

class Peers {
  public:
    /// What is to be asked of the relay.
    struct Wish {
        net::Endpoint peer;         ///< without a channel its port does not count
        std::uint16_t channel = 0;  ///< 0: a permission
    };

    Peers(Duration permission_lifetime, Duration channel_lifetime)
        : permission_lifetime_(permission_lifetime), channel_lifetime_(channel_lifetime) {}

    /// We send to this peer, or are about to. False: the relay has refused it, or there is no room for one more.
    bool use(const net::Endpoint& peer, TimePoint now);
    /// The same for a peer that data is sent to: it is worth a channel.
    bool use_channel(const net::Endpoint& peer, TimePoint now);

    /// Something that is to be asked for; call until nothing comes. It is taken for asked until told otherwise.
    [[nodiscard]] std::optional<Wish> poll_wish();
    void handle_granted(const Wish& wish, TimePoint now);
    /// It is not asked for again before `until`.
    void handle_refused(const Wish& wish, TimePoint until);
    void handle_timeout(TimePoint now);

    /// The channel to this peer, if the relay has bound it.
    [[nodiscard]] std::optional<std::uint16_t> channel(const net::Endpoint& peer) const;
    [[nodiscard]] const net::Endpoint* peer(std::uint16_t channel) const;

    /// When something lapses or is to be renewed.
    [[nodiscard]] std::optional<TimePoint> next_timeout() const { return next_; }

    [[nodiscard]] std::size_t permissions() const { return permissions_.size(); }

    [[nodiscard]] std::size_t channels() const { return channels_.size(); }

  private:
    enum class State : std::uint8_t { asked, granted, refused };

    struct Entry {
        State state = State::asked;
        TimePoint used_at{};
        TimePoint renew{};    ///< once granted
        TimePoint expires{};  ///< once granted or refused
        std::uint16_t number = 0;
        bool bound = false;  ///< of a channel; also while it is asked for again
    };

    void grant(Entry& entry, Duration lifetime, TimePoint now) const;
    bool ask_if_due(Entry& entry, TimePoint now) const;
    [[nodiscard]] bool covered(const net::Address& address, TimePoint now) const;
    void schedule(TimePoint now);

    Duration permission_lifetime_;
    Duration channel_lifetime_;
    std::map<net::Address, Entry> permissions_;
    std::map<net::Endpoint, Entry> channels_;
    std::map<std::uint16_t, net::Endpoint> by_number_;
    std::deque<Wish> wishes_;
    std::optional<TimePoint> next_;
    std::uint16_t numbers_given_ = 0;  ///< none is given twice: the relay keeps an expired one reserved (§12)
};

}  // namespace pinhole::relay
