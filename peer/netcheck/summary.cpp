#include "peer/netcheck/summary.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace pinhole::netcheck {

namespace {

using net::NatBehavior;
using net::NatClass;
using net::PortAllocation;

constexpr std::array kReachable{NatClass::open,       NatClass::easy_address, NatClass::easy, NatClass::hard_sequential,
                                NatClass::hard_block, NatClass::hard_random};
constexpr std::array kHard{NatClass::hard_sequential, NatClass::hard_block, NatClass::hard_random};

bool is_hard(NatClass nat_class) {
    return std::ranges::find(kHard, nat_class) != kHard.end();
}

/// Completes "works with …".
const char* networks(NatClass nat_class) {
    switch (nat_class) {
        case NatClass::open:
            return "those whom anybody can reach";
        case NatClass::easy_address:
            return "networks that let in whole addresses";
        case NatClass::easy:
            return "networks that let in only the endpoint that was spoken to";
        case NatClass::hard_sequential:
            return "networks that use the next port for each destination";
        case NatClass::hard_block:
            return "networks that use another port of a block for each destination";
        case NatClass::hard_random:
            return "networks that use a random port for each destination";
        case NatClass::blocked:
        case NatClass::unknown:
            break;
    }
    return "networks of unknown kind";
}

std::string list(std::vector<NatClass> classes) {
    std::vector<std::string> words;
    if (std::ranges::count_if(classes, is_hard) == static_cast<std::ptrdiff_t>(kHard.size())) {
        std::erase_if(classes, is_hard);
        words.emplace_back("networks that use another port for each destination");
    }
    std::vector<std::string> named;
    std::ranges::transform(classes, std::back_inserter(named), networks);
    words.insert(words.begin(), named.begin(), named.end());
    std::string text;
    for (std::size_t i = 0; i < words.size(); ++i) {
        text += i == 0 ? "" : i + 1 == words.size() ? " and " : ", ";
        text += words[i];
    }
    return text;
}

std::string filter_words(NatBehavior filtering) {
    switch (filtering) {
        case NatBehavior::none:
        case NatBehavior::endpoint_independent:
            return "lets everybody in";
        case NatBehavior::address_dependent:
            return "lets in every port of an address that was spoken to";
        case NatBehavior::address_and_port_dependent:
            return "lets in only the endpoints that were spoken to";
        case NatBehavior::unknown:
            break;
    }
    return "has a filter that could not be measured";
}

std::string port_words(const net::ProtocolReport& udp) {
    if (udp.allocation == PortAllocation::preserving) {
        return "keeps our ports";
    }
    if (udp.mapping == NatBehavior::endpoint_independent) {
        return "uses one port for all destinations";
    }
    const std::string each = udp.mapping == NatBehavior::address_dependent ? "another port for each address"
                                                                           : "another port for each destination";
    switch (udp.allocation) {
        case PortAllocation::sequential:
            return "uses " + each + ", one after the other,";
        case PortAllocation::block:
            return "uses " + each + ", within a block,";
        case PortAllocation::random:
            return "uses " + each + ", chosen at random,";
        default:
            return "uses " + each;
    }
}

std::string blocked_words(const net::NetReport& report) {
    if (report.tcp.open == true) {
        return "This network blocks UDP; TCP works.";
    }
    return report.tcp.open == false ? "The server cannot be reached, neither over UDP nor over TCP."
                                    : "This network blocks UDP, or the server cannot be reached.";
}

std::string kind(const net::NetReport& report) {
    const auto& udp = report.udp;
    if (udp.open == false) {
        return blocked_words(report);
    }
    if (udp.open != true) {
        return "This network was not measured.";
    }
    switch (udp.mapping) {
        case NatBehavior::none:
            if (udp.filtering == NatBehavior::none) {
                return "There is no NAT and no firewall: anybody can reach this machine.";
            }
            return "There is no NAT, but a firewall that " + filter_words(udp.filtering) + ".";
        case NatBehavior::unknown:
            return "This network is behind a NAT of a kind that could not be measured.";
        default:
            return "This network is behind a NAT that " + port_words(udp) + " and " + filter_words(udp.filtering) + ".";
    }
}

std::string prospects(const net::NetReport& report) {
    const auto ours = net::classify(report);
    std::vector<NatClass> works;
    std::vector<NatClass> fails;
    for (const auto theirs : kReachable) {
        const auto known = connects(ours, theirs);
        if (known) {
            (*known ? works : fails).push_back(theirs);
        }
    }
    if (fails.empty() && works.size() == kReachable.size()) {
        return "Direct connections work with everybody whose network does not block UDP.";
    }
    if (works.empty() && report.tcp.open == true) {
        return "Direct connections go over TCP, where the other side's network lets them in.";
    }
    if (works.empty()) {
        return "Direct connections work only within the local network.";
    }
    if (!fails.empty() && fails.size() <= works.size()) {
        return "Direct connections work with everybody except " + list(fails) + ".";
    }
    return (fails.empty() ? "Direct connections work with " : "Direct connections work only with ") + list(works) +
           (fails.empty() ? "; with others it depends." : ".");
}

}  // namespace

// What the strategies of this build reach over UDP; a new strategy adds its row.
//   host and reverse     one side is open: whoever is not blocked reaches it
//   simultaneous punch   both ports are known; or one is, and its filter looks at addresses alone, so that the unknown
//                        port of the other side gets in
//   predict, birthday    one port is known: the other side's is found; or both are sequential
// Two blocks of ports meet only if both are narrow, which a class does not say.
std::optional<bool> connects(NatClass ours, NatClass theirs) {
    if (ours == NatClass::blocked || theirs == NatClass::blocked) {
        return false;
    }
    if (ours == NatClass::open || theirs == NatClass::open) {
        return true;
    }
    if (ours == NatClass::unknown || theirs == NatClass::unknown) {
        return std::nullopt;
    }
    const bool counting = ours == NatClass::hard_sequential && theirs == NatClass::hard_sequential;
    return !is_hard(ours) || !is_hard(theirs) || counting;
}

std::string summarize(const net::NetReport& report) {
    std::string text = kind(report);
    if (report.udp.open) {
        text += " " + prospects(report);
    }
    if (report.ipv6 == true) {
        text += " IPv6 works: peers that have it, too, need no NAT in between.";
    }
    return text;
}

}  // namespace pinhole::netcheck
