// What goes wrong between a peer and a relay.
#pragma once

#include "common/base/error.hpp"

namespace pinhole::relay {

enum class Errc {
    no_answer = 1,        ///< the relay does not answer, or has fallen silent
    wrong_certificate,    ///< somebody else answers in its place: on TLS, before anything was asked
    refused_credentials,  ///< it does not take these credentials (401, 441)
    gone,                 ///< it knows no allocation of ours (437)
    port_in_use,          ///< it has another allocation for this port of ours (437)
    quota,                ///< we have as many allocations as it allows (486)
    full,                 ///< it has no capacity (508)
    elsewhere,            ///< it names another one (300)
    unsupported,          ///< it cannot do what was asked for (420, 440, 442)
    refused,              ///< any other error
    nonsense              ///< a success that lacks what it must have
};

std::error_code make_error_code(Errc code);

}  // namespace pinhole::relay

template <>
struct std::is_error_code_enum<pinhole::relay::Errc> : std::true_type {};
