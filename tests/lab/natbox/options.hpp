// The command line of natbox as values.
#pragma once

#include "tests/lab/model/topology.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace pinhole::natbox {

struct NamedNamespace {
    std::string name;
    std::string netns;
};

/// `natbox --topology …`
struct NetworkOptions {
    std::string topology;
    std::vector<NamedNamespace> hosts;
    std::string device = "wan";
    std::string capture;
    std::uint32_t snap_length = 256;
};

/// `natbox link …`; the names are those of interfaces.
struct LinkOptions {
    NamedNamespace a;
    NamedNamespace b;
    lab::LinkPair link;
    std::uint64_t seed = 1;
};

using Options = std::variant<NetworkOptions, LinkOptions>;

/// What to do, or the exit code: help was printed, or what is wrong was.
[[nodiscard]] std::variant<Options, int> parse_options(int argc, char** argv);

}  // namespace pinhole::natbox
