// What can go wrong with a transfer, on either side, as error codes with a sentence each; the detail of the Error names
// the file. `refused` is exit code 8, `cancelled` 130 when it was this side, the rest 7.
#pragma once

#include "common/base/error.hpp"
#include "common/signaling/peer_messages.hpp"

namespace pinhole::files {

enum class Errc {
    refused = 1,            ///< the other side does not want it
    busy,                   ///< the other side takes no more transfers at the moment
    cancelled,              ///< this side ended it
    cancelled_by_peer,      ///< the other side ended it
    peer_failed,            ///< the other side failed for a reason that has no name here
    peer_gone,              ///< the connection broke
    protocol,               ///< bytes that no correct peer sends
    not_found,              ///< a path that does not exist
    not_a_file,             ///< neither a file nor a folder
    unreadable,             ///< reading failed
    no_permission,          ///< the system does not allow to read or write it
    changed_while_reading,  ///< a file changed while it was sent
    hash_mismatch,          ///< what arrived is not what was sent
    unsafe_name,            ///< a name that could lead out of the target folder, or that cannot be a name
    name_taken,             ///< no free name near the wanted one
    disk_full,
    write_failed,
    too_many_files,
    too_deep,         ///< more than kMaxDepth folders inside each other
    single_file_only  ///< several files, or a folder, for standard output
};

std::error_code make_error_code(Errc code);

/// How an error of this side is told to the other side, and how the other side's is told here.
[[nodiscard]] signaling::AbortReason abort_reason(const std::error_code& code);
[[nodiscard]] Errc from_abort(signaling::AbortReason reason);
/// As this side reports it: the detail says that it happened over there.
[[nodiscard]] Error peer_error(const signaling::TransferAbort& abort);
[[nodiscard]] Errc from_refusal(signaling::RefuseReason reason);

}  // namespace pinhole::files

template <>
struct std::is_error_code_enum<pinhole::files::Errc> : std::true_type {};
