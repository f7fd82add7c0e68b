// Which endpoints belong together: a primary one as --listen names it, and with --alternate the second address of its
// family, so that four endpoints are one server of NAT behaviour discovery (RFC 5780). Opens nothing.
#pragma once

#include "common/base/error.hpp"
#include "common/net/endpoint.hpp"

#include <optional>
#include <vector>

namespace pinhole::rendezvous {

struct Place {
    net::Endpoint at;

    struct Alternate {
        /// `at`'s address, or if that is the wildcard the one that clients are to use.
        net::Address primary;
        net::Address address;
    };

    std::optional<Alternate> alternate{};
};

/// One place for each of `listen`. `local` are the addresses of this machine. Errors are whole sentences.
[[nodiscard]] Result<std::vector<Place>> plan_places(const std::vector<net::Endpoint>& listen,
                                                     const std::vector<net::Address>& alternates,
                                                     const std::vector<net::Address>& local);

}  // namespace pinhole::rendezvous
