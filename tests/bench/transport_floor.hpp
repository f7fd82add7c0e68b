// What this machine allows any transport: packets of one size sealed into one buffer and sent with segmentation
// offload, received merged and opened, with our ciphers and sockets and no protocol at all. What the network drops is
// not repeated.
#pragma once

#include "common/base/error.hpp"
#include "tests/bench/transport_options.hpp"

namespace pinhole::bench {

/// Sends until `options.seconds` have passed, or receives until nothing has come for a while. Prints the line of JSON.
[[nodiscard]] Status run_floor(const TransportOptions& options);

}  // namespace pinhole::bench
