// All links of a network and the order in which packets arrive on them. A line is a pair of links that a NAT or host
// hangs on; it does not know who.
#pragma once

#include "tests/lab/model/link.hpp"
#include "tests/lab/model/topology.hpp"

#include <compare>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace pinhole::lab {

/// One link: the number of its line, and whether it leads up, away from what hangs on the line.
struct LinkId {
    std::size_t line = 0;
    bool up = false;

    friend auto operator<=>(const LinkId&, const LinkId&) = default;
};

class Lines {
  public:
    /// Numbered from 0. The generators outlive it.
    void add(const std::string& name, const LinkPair& config, Rng& up, Rng& down);

    [[nodiscard]] std::size_t size() const { return lines_.size(); }

    [[nodiscard]] Link& link(LinkId id) { return at(id).link; }

    /// "alice up".
    [[nodiscard]] const std::string& name(LinkId id) { return at(id).name; }

    SendOutcome send(LinkId id, Packet packet, TimePoint now);
    /// Pulls the plug of a line: what is in flight is lost.
    void clear(std::size_t line);

    [[nodiscard]] std::optional<TimePoint> next_arrival();

    struct Arrival {
        LinkId link;
        TimePoint at;
        Packet packet;
    };

    /// The earliest packet that has arrived by `now`.
    [[nodiscard]] std::optional<Arrival> receive(TimePoint now);

  private:
    struct End {
        Link link;
        std::string name;
        /// The time of this link's entry in `events_`.
        std::optional<TimePoint> armed;
    };

    struct Event {
        TimePoint at;
        LinkId link;

        friend auto operator<=>(const Event&, const Event&) = default;
    };

    [[nodiscard]] End& at(LinkId id) { return id.up ? lines_[id.line].first : lines_[id.line].second; }

    void arm(LinkId id);
    void drop_stale();
    void pop();

    std::vector<std::pair<End, End>> lines_;
    /// A heap; an entry whose time is not its link's `armed` is stale.
    std::vector<Event> events_;
};

}  // namespace pinhole::lab
