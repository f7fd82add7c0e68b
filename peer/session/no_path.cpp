#include "peer/session/no_path.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace pinhole::session {

namespace {

using net::NatClass;

bool hard(NatClass nat_class) {
    return nat_class == NatClass::hard_sequential || nat_class == NatClass::hard_block ||
           nat_class == NatClass::hard_random;
}

/// Completes "gives every connection …".
const char* ports(NatClass nat_class) {
    switch (nat_class) {
        case NatClass::hard_sequential:
            return "the next port";
        case NatClass::hard_block:
            return "another port of a block";
        default:
            return "a random port";
    }
}

/// Completes "UDP is blocked …".
const char* and_tcp(const NoPathFacts& facts) {
    if (std::ranges::find(facts.switched_off, "tcp") != facts.switched_off.end()) {
        return ", and TCP is switched off here (--without tcp)";
    }
    return facts.tcp_tried ? ", and no TCP connection could be made" : "";
}

std::optional<std::string> blocked(const NoPathFacts& facts) {
    const bool here = facts.ours == NatClass::blocked;
    const bool there = facts.theirs == NatClass::blocked;
    if (!here && !there) {
        return std::nullopt;
    }
    return fmt::format("UDP is blocked {}{}",
                       here && there ? "on both sides"
                       : here        ? "on this side"
                                     : "on the other side",
                       and_tcp(facts));
}

std::optional<std::string> ports_unknown(const NoPathFacts& facts) {
    if (hard(facts.ours) && facts.ours == facts.theirs) {
        return fmt::format("both networks give every connection {} (symmetric NAT)", ports(facts.ours));
    }
    if (hard(facts.ours) && hard(facts.theirs)) {
        return fmt::format("this network gives every connection {}, the other one {} (symmetric NATs)",
                           ports(facts.ours), ports(facts.theirs));
    }
    if (!hard(facts.ours) && !hard(facts.theirs)) {
        return std::nullopt;
    }
    const bool here = hard(facts.ours);
    return fmt::format("{} network gives every connection {} (symmetric NAT), and it was not found this time",
                       here ? "this" : "the other", ports(here ? facts.ours : facts.theirs));
}

std::string by_what_was_seen(const NoPathFacts& facts) {
    if (facts.heard_anything) {
        return fmt::format("its packets arrive here, but none of ours are answered ({} address pairs tried)",
                           facts.pairs);
    }
    const bool known = facts.ours != NatClass::unknown && facts.theirs != NatClass::unknown;
    return fmt::format("none of {} address pairs let a packet through: a firewall blocks {}{}", facts.pairs,
                       facts.tcp_tried ? "UDP and TCP" : "UDP",
                       known ? " between the two" : ", or both NATs choose a new port for each destination");
}

}  // namespace

// What nobody can change on the way comes first, then what the user has chosen, then the ports.
std::string why_no_path(const NoPathFacts& facts) {
    if (const auto text = blocked(facts)) {
        return *text;
    }
    if (facts.remote_candidates == 0) {
        return "the other side offered no address";
    }
    if (!facts.switched_off.empty()) {
        return fmt::format("what these networks need is switched off here (--without {})",
                           fmt::join(facts.switched_off, ","));
    }
    if (facts.same_nat) {
        return "both are behind one NAT, which does not let its networks reach each other";
    }
    return ports_unknown(facts).value_or(by_what_was_seen(facts));
}

}  // namespace pinhole::session
