// How strategies did between classes of networks, over all calls. Only counts: no peers, no addresses. Knows no
// database; rendezvous/shell loads it and writes what changed.
#pragma once

#include "common/net/net_report.hpp"
#include "common/net/punch_plan.hpp"

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>

namespace pinhole::rendezvous {

class PunchHistory {
  public:
    /// Fewer tries say nothing.
    static constexpr std::uint32_t kMinTries = 20;
    /// Then both counts are halved, so that what networks do today outweighs last year.
    static constexpr std::uint32_t kMaxTries = 10'000;

    /// Classes in either order mean the same.
    struct Key {
        net::NatClass lower = net::NatClass::unknown;
        net::NatClass higher = net::NatClass::unknown;
        net::Strategy strategy = net::Strategy::udp;

        friend auto operator<=>(const Key&, const Key&) = default;
    };

    struct Entry {
        Key key;
        std::uint32_t tries = 0;
        std::uint32_t successes = 0;
    };

    [[nodiscard]] static Key key(net::NatClass a, net::NatClass b, net::Strategy strategy);

    void record(const Key& key, bool success);
    /// What was kept by an earlier run; counts that cannot be are ignored.
    void load(const Entry& entry);
    /// Tried often enough, and it never worked.
    [[nodiscard]] bool hopeless(const Key& key) const;
    [[nodiscard]] std::optional<Entry> find(const Key& key) const;

    [[nodiscard]] bool changed() const { return !changed_.empty(); }

    /// An entry that changed since it was polled last.
    [[nodiscard]] std::optional<Entry> poll_changed();

  private:
    struct Count {
        std::uint32_t tries = 0;
        std::uint32_t successes = 0;
    };

    std::map<Key, Count> counts_;
    std::set<Key> changed_;
};

}  // namespace pinhole::rendezvous
