// Why a peer cannot be reached, as error codes; the command line maps them to exit codes.
#pragma once

#include "common/base/error.hpp"
#include "common/signaling/messages.hpp"

#include <system_error>

namespace pinhole::session {

enum class Errc {
    server_unreachable = 1,  ///< no connection to the rendezvous server
    server_key_changed,      ///< the server's key is not the pinned one
    server_refused,          ///< the server ended the connection before it said welcome
    peer_offline,
    peer_refused,    ///< the peer does not take calls from us
    peer_unwanting,  ///< the peer is online but takes no such call now
    peer_identity,   ///< the answer was not made by the key we called
    no_answer,
    no_path,         ///< no candidate pair worked
    peer_lost,       ///< an established connection went silent
    peer_closed,     ///< the peer ended the conversation
    peer_cancelled,  ///< the peer ended it in the middle, on purpose
    clock_wrong      ///< the two clocks differ, and correcting did not help
};

std::error_code make_error_code(Errc code);
/// What the end of a call means for the caller.
[[nodiscard]] Errc from_reason(signaling::EndReason reason);

}  // namespace pinhole::session

template <>
struct std::is_error_code_enum<pinhole::session::Errc> : std::true_type {};
