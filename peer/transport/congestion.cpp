#include "peer/transport/congestion.hpp"

#include "peer/transport/bbr.hpp"
#include "peer/transport/cubic.hpp"
#include "peer/transport/ledbat.hpp"

#include <algorithm>

namespace pinhole::transport {

std::optional<CongestionAlgorithm> congestion_algorithm(std::string_view name) {
    const auto found = std::ranges::find(kCongestionAlgorithms, name, [](const auto& known) { return known.first; });
    return found == kCongestionAlgorithms.end() ? std::nullopt : std::optional{found->second};
}

std::unique_ptr<CongestionController> make_congestion_controller(CongestionAlgorithm algorithm, std::size_t mtu) {
    switch (algorithm) {
        case CongestionAlgorithm::bbr:
            return std::make_unique<Bbr>(mtu);
        case CongestionAlgorithm::ledbat:
            return std::make_unique<Ledbat>(mtu);
        case CongestionAlgorithm::cubic:
            break;
    }
    return std::make_unique<Cubic>(mtu);
}

}  // namespace pinhole::transport
