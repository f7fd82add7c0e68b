// Any text as a topology file: it is refused with a sentence, or it is a network that packets can be sent through.
#include "tests/lab/model/network.hpp"
#include "tests/lab/model/topology_file.hpp"

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

using namespace pinhole;
using namespace pinhole::lab;

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

/// Everybody greets everybody; what a few hundred hops bring forth is enough.
void greet(const Topology& topology) {
    Network network{topology};
    TimePoint now{1s};
    for (std::size_t from = 0; from < network.hosts(); ++from) {
        for (std::size_t to = 0; to < network.hosts(); ++to) {
            const auto source = network.address({from});
            const auto destination = network.address({to});
            require(source && destination);
            Packet packet;
            packet.flow = {.protocol = Protocol::udp,
                           .source = {.address = *source, .port = 1000},
                           .destination = {.address = *destination, .port = 2000}};
            packet.size = 1400;
            packet.payload = {1};
            network.send({from}, std::move(packet), now);
        }
    }
    for (int hops = 0; hops < 300; ++hops) {
        if (const auto delivery = network.poll(now)) {
            require(delivery->to.value < network.hosts());
            continue;
        }
        const auto next = network.next_timeout();
        if (!next) {
            break;
        }
        require(*next > now);
        now = *next;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto topology = parse_topology(as_text({data, size}));
    if (!topology) {
        require(!topology.error().detail.empty() && topology.error().detail.size() < 2000);
        return 0;
    }
    require(topology->nats.size() + topology->hosts.size() <= kMaxNodes);
    auto again = *topology;
    require(resolve(again).has_value());
    greet(*topology);
    return 0;
}
