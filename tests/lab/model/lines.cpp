#include "tests/lab/model/lines.hpp"

#include <algorithm>
#include <functional>

namespace pinhole::lab {

void Lines::add(const std::string& name, const LinkPair& config, Rng& up, Rng& down) {
    lines_.emplace_back(End{.link = Link{config.up, up}, .name = name + " up", .armed = {}},
                        End{.link = Link{config.down, down}, .name = name + " down", .armed = {}});
}

SendOutcome Lines::send(LinkId id, Packet packet, TimePoint now) {
    const auto outcome = at(id).link.send(std::move(packet), now);
    arm(id);
    return outcome;
}

void Lines::clear(std::size_t line) {
    for (const bool up : {true, false}) {
        auto& end = at({.line = line, .up = up});
        end.link.clear();
        end.armed.reset();
    }
}

std::optional<TimePoint> Lines::next_arrival() {
    drop_stale();
    return events_.empty() ? std::nullopt : std::optional{events_.front().at};
}

std::optional<Lines::Arrival> Lines::receive(TimePoint now) {
    for (auto next = next_arrival(); next && *next <= now; next = next_arrival()) {
        const auto event = events_.front();
        pop();
        auto& end = at(event.link);
        end.armed.reset();
        auto packet = end.link.receive(event.at);
        arm(event.link);
        if (packet) {
            return Arrival{.link = event.link, .at = event.at, .packet = std::move(*packet)};
        }
    }
    return std::nullopt;
}

void Lines::arm(LinkId id) {
    auto& end = at(id);
    const auto next = end.link.next_arrival();
    if (next == end.armed) {
        return;
    }
    end.armed = next;
    if (next) {
        events_.push_back({.at = *next, .link = id});
        std::ranges::push_heap(events_, std::greater{});
    }
}

void Lines::drop_stale() {
    while (!events_.empty() && at(events_.front().link).armed != events_.front().at) {
        pop();
    }
}

void Lines::pop() {
    std::ranges::pop_heap(events_, std::greater{});
    events_.pop_back();
}

}  // namespace pinhole::lab
