#include "peer/cli/net_report_text.hpp"

#include "peer/netcheck/summary.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace pinhole::cli {

namespace {

/// Width of the left column.
constexpr std::size_t kLabel = 15;

double milliseconds(Duration duration) {
    return static_cast<double>(duration.count()) / 1e6;
}

template <class T>
Json json_or_null(const std::optional<T>& value) {
    return value ? Json(*value) : Json(nullptr);
}

Json json_or_null(const std::optional<net::Endpoint>& endpoint) {
    return endpoint ? Json(endpoint->text()) : Json(nullptr);
}

Json protocol_json(const net::ProtocolReport& protocol) {
    return {{"open", json_or_null(protocol.open)},
            {"mapping", name(protocol.mapping)},
            {"filtering", name(protocol.filtering)},
            {"allocation", name(protocol.allocation)},
            {"delta", json_or_null(protocol.delta)},
            {"block", protocol.block ? Json::array({protocol.block->first, protocol.block->last}) : Json(nullptr)},
            {"rate", json_or_null(protocol.rate)},
            {"hairpin", json_or_null(protocol.hairpin)},
            {"lifetime_s", protocol.lifetime ? Json(seconds(*protocol.lifetime)) : Json(nullptr)},
            {"reflexive", json_or_null(protocol.reflexive)},
            {"opening_ttl", json_or_null(protocol.opening_ttl)},
            {"samples", protocol.samples}};
}

std::vector<std::string> texts(const std::vector<net::Address>& addresses) {
    std::vector<std::string> result;
    for (const auto& address : addresses) {
        result.push_back(address.text());
    }
    return result;
}

/// Collects lines; long ones are broken between words, and rows go on under their own column.
class Lines {
  public:
    explicit Lines(std::size_t columns) : columns_(std::max(columns, 2 * kLabel)) {}

    void paragraph(std::string_view text) { wrap({}, text); }

    void row(std::string_view label, std::string_view text) { wrap(fmt::format("{:<{}}", label, kLabel), text); }

    [[nodiscard]] std::vector<std::string> take() { return std::move(lines_); }

  private:
    void wrap(std::string line, std::string_view text) {
        const std::string indent(line.size(), ' ');
        bool begun = false;
        while (!text.empty()) {
            const auto word = text.substr(0, text.find(' '));
            text.remove_prefix(std::min(word.size() + 1, text.size()));
            if (begun && line.size() + 1 + word.size() > columns_) {
                lines_.push_back(std::exchange(line, indent));
                begun = false;
            }
            line += begun ? " " : "";
            line += word;
            begun = true;
        }
        lines_.push_back(std::move(line));
    }

    std::size_t columns_;
    std::vector<std::string> lines_;
};

/// Ports as a person says them: "+2 each time", "within 20000 to 20255".
std::string ports(const net::ProtocolReport& protocol) {
    switch (protocol.allocation) {
        case net::PortAllocation::preserving:
            return "ports kept";
        case net::PortAllocation::sequential:
            return protocol.delta ? fmt::format("ports in sequence ({:+} each time)", *protocol.delta)
                                  : "ports in sequence";
        case net::PortAllocation::block:
            return protocol.block
                       ? fmt::format("ports from the block {} to {}", protocol.block->first, protocol.block->last)
                       : "ports from a block";
        case net::PortAllocation::random:
            return "ports at random";
        case net::PortAllocation::unknown:
            break;
    }
    return {};
}

std::string protocol_text(const net::ProtocolReport& protocol) {
    if (!protocol.open) {
        return "not measured";
    }
    if (!*protocol.open) {
        return "blocked: no answer";
    }
    std::vector<std::string> parts{"works"};
    if (protocol.mapping == net::NatBehavior::none) {
        parts.emplace_back("no NAT");
    } else if (protocol.mapping != net::NatBehavior::unknown) {
        parts.push_back(fmt::format("mapping {}", name(protocol.mapping)));
    }
    if (protocol.filtering == net::NatBehavior::none) {
        parts.emplace_back("no filter");
    } else if (protocol.filtering != net::NatBehavior::unknown) {
        parts.push_back(fmt::format("filter {}", name(protocol.filtering)));
    }
    const bool translated = protocol.mapping != net::NatBehavior::none;
    if (auto allocation = ports(protocol); translated && !allocation.empty()) {
        parts.push_back(std::move(allocation));
    }
    if (protocol.hairpin && translated) {
        parts.emplace_back(*protocol.hairpin ? "hairpin" : "no hairpin");
    }
    return fmt::format("{}", fmt::join(parts, ", "));
}

std::string public_text(const net::NetReport& report) {
    std::vector<std::string> parts;
    if (report.udp.reflexive) {
        parts.push_back(report.udp.reflexive->text() + " (UDP)");
    }
    if (report.tcp.reflexive) {
        parts.push_back(report.tcp.reflexive->text() + " (TCP)");
    }
    return parts.empty() ? "not known" : fmt::format("{}", fmt::join(parts, ", "));
}

std::string ipv6_text(const net::NetReport& report, const Measured& measured) {
    if (!report.ipv6) {
        return measured.server_has_ipv6 ? "not measured" : "not measured: the server has no IPv6 address";
    }
    if (!*report.ipv6) {
        return "does not reach the server";
    }
    return report.reflexive_v6 ? "works, seen as " + report.reflexive_v6->text() : "works";
}

std::string server_text(const net::NetReport& report, const Measured& measured) {
    return report.rtt ? fmt::format("{}, round trip {:.0f} ms", measured.server, milliseconds(*report.rtt))
                      : measured.server;
}

Json relays_json(const Measured& measured) {
    auto relays = Json::array();
    for (const auto& relay : measured.relays) {
        relays.push_back({{"url", relay.url},
                          {"rtt_ms", relay.rtt ? Json(milliseconds(*relay.rtt)) : Json(nullptr)},
                          {"refused", relay.refused.empty() ? Json(nullptr) : Json(relay.refused)}});
    }
    return relays;
}

void relay_rows(const Measured& measured, Lines& lines) {
    if (measured.relays.empty()) {
        lines.row("Relays", "none offered by the server");
    }
    const char* label = "Relays";
    for (const auto& relay : measured.relays) {
        lines.row(std::exchange(label, ""),
                  relay.rtt ? fmt::format("{}, round trip {:.0f} ms", relay.url, milliseconds(*relay.rtt))
                            : fmt::format("{} does not answer", relay.url));
        if (!relay.refused.empty()) {
            lines.row("", "refused: " + relay.refused);
        }
    }
}

}  // namespace

Json to_json(const net::NetReport& report, const Measured& measured) {
    return {{"udp", protocol_json(report.udp)},
            {"tcp", protocol_json(report.tcp)},
            {"local", texts(report.local)},
            {"ipv6", json_or_null(report.ipv6)},
            {"reflexive_v6", json_or_null(report.reflexive_v6)},
            {"gateway", nullptr},
            {"relays", relays_json(measured)},
            {"class", name(classify(report))},
            {"summary", netcheck::summarize(report)},
            {"server", measured.server},
            {"rtt_ms", report.rtt ? Json(milliseconds(*report.rtt)) : Json(nullptr)},
            {"notes", report.notes},
            {"complete", measured.complete},
            {"elapsed_ms", measured.elapsed_ms}};
}

std::string first_answer(const net::NetReport& report, const Measured& measured) {
    if (!report.udp.open.value_or(false) && !report.tcp.open.value_or(false)) {
        return fmt::format("No answer from {} yet.", measured.server);
    }
    const auto& seen = report.udp.reflexive ? report.udp.reflexive : report.tcp.reflexive;
    const auto* protocol = report.udp.open.value_or(false) ? "UDP works" : "TCP works, no answer over UDP yet";
    return seen ? fmt::format("{}; the internet sees this machine as {}.", protocol, seen->address.text())
                : fmt::format("{}.", protocol);
}

std::vector<std::string> screen(const net::NetReport& report, const Measured& measured, std::size_t columns) {
    Lines lines{columns};
    lines.paragraph(netcheck::summarize(report));
    lines.paragraph("");
    lines.row("Class", name(classify(report)));
    lines.row("This machine",
              report.local.empty() ? "no address" : fmt::format("{}", fmt::join(texts(report.local), ", ")));
    lines.row("Public", public_text(report));
    lines.row("IPv6", ipv6_text(report, measured));
    lines.row("Server", server_text(report, measured));
    lines.row("UDP", protocol_text(report.udp));
    lines.row("TCP", protocol_text(report.tcp));
    if (report.udp.opening_ttl) {
        lines.row("NAT opens at", fmt::format("TTL {}", *report.udp.opening_ttl));
    }
    if (report.udp.rate) {
        lines.row("Other traffic", fmt::format("{:.0f} new mappings a second", *report.udp.rate));
    }
    if (report.udp.lifetime) {
        lines.row("Mappings live",
                  fmt::format("{} without traffic, or longer", human_duration(seconds(*report.udp.lifetime))));
    }
    if (measured.rendezvous) {
        relay_rows(measured, lines);
    }
    for (std::size_t i = 0; i < report.notes.size(); ++i) {
        lines.row(i == 0 ? "Notes" : "", report.notes[i]);
    }
    return lines.take();
}

}  // namespace pinhole::cli
