#include "peer/files/errors.hpp"

namespace pinhole::files {

namespace {

const char* describe(int value) {
    switch (static_cast<Errc>(value)) {
        case Errc::refused:
            return "the transfer was refused";
        case Errc::busy:
            return "the other side takes no more transfers at the moment; try again later";
        case Errc::cancelled:
            return "the transfer was cancelled";
        case Errc::cancelled_by_peer:
            return "the other side cancelled the transfer";
        case Errc::peer_failed:
            return "the transfer failed";
        case Errc::peer_gone:
            return "the connection was lost before the transfer was complete";
        case Errc::protocol:
            return "the other side sent something that does not belong in a transfer";
        case Errc::not_found:
            return "there is no such file or folder";
        case Errc::not_a_file:
            return "only files and folders can be sent";
        case Errc::unreadable:
            return "it cannot be read";
        case Errc::no_permission:
            return "permission denied";
        case Errc::changed_while_reading:
            return "it changed while it was being sent; send it again when nothing writes to it";
        case Errc::hash_mismatch:
            return "what arrived is not what was sent; nothing was kept";
        case Errc::unsafe_name:
            return "this name cannot be used for a file here";
        case Errc::name_taken:
            return "no free name was found; remove some of the numbered copies";
        case Errc::disk_full:
            return "there is not enough room on the disk";
        case Errc::write_failed:
            return "it cannot be written";
        case Errc::too_many_files:
            return "one transfer holds at most a million files and folders; pack them into an archive";
        case Errc::too_deep:
            return "there are more than 64 folders inside each other; pack them into an archive";
        case Errc::single_file_only:
            return "only a single file can go to standard output";
    }
    return "unknown error";
}

const EnumCategory kCategory{"files", describe};

}  // namespace

std::error_code make_error_code(Errc code) {
    return {static_cast<int>(code), kCategory};
}

signaling::AbortReason abort_reason(const std::error_code& code) {
    using enum signaling::AbortReason;
    if (code.category() != kCategory) {
        return failed;
    }
    switch (static_cast<Errc>(code.value())) {
        case Errc::cancelled:
            return cancelled;
        case Errc::protocol:
            return protocol;
        case Errc::changed_while_reading:
            return changed;
        case Errc::not_found:
        case Errc::unreadable:
            return unreadable;
        case Errc::disk_full:
            return disk_full;
        case Errc::no_permission:
            return no_permission;
        case Errc::hash_mismatch:
            return hash_mismatch;
        case Errc::unsafe_name:
            return unsafe_name;
        case Errc::too_many_files:
            return too_many;
        default:
            return failed;
    }
}

Errc from_abort(signaling::AbortReason reason) {
    switch (reason) {
        case signaling::AbortReason::cancelled:
            return Errc::cancelled_by_peer;
        case signaling::AbortReason::failed:
            return Errc::peer_failed;
        case signaling::AbortReason::protocol:
            return Errc::protocol;
        case signaling::AbortReason::changed:
            return Errc::changed_while_reading;
        case signaling::AbortReason::unreadable:
            return Errc::unreadable;
        case signaling::AbortReason::disk_full:
            return Errc::disk_full;
        case signaling::AbortReason::no_permission:
            return Errc::no_permission;
        case signaling::AbortReason::hash_mismatch:
            return Errc::hash_mismatch;
        case signaling::AbortReason::unsafe_name:
            return Errc::unsafe_name;
        case signaling::AbortReason::too_many:
            return Errc::too_many_files;
    }
    return Errc::peer_failed;
}

Error peer_error(const signaling::TransferAbort& abort) {
    if (abort.reason == signaling::AbortReason::cancelled) {
        return {.code = Errc::cancelled_by_peer, .detail = {}};
    }
    return {.code = from_abort(abort.reason),
            .detail = abort.detail.empty() ? "on the other side" : "on the other side, " + abort.detail};
}

Errc from_refusal(signaling::RefuseReason reason) {
    switch (reason) {
        case signaling::RefuseReason::declined:
            return Errc::refused;
        case signaling::RefuseReason::disk_full:
            return Errc::disk_full;
        case signaling::RefuseReason::busy:
            return Errc::busy;
        case signaling::RefuseReason::not_possible:
            return Errc::refused;
    }
    return Errc::refused;
}

}  // namespace pinhole::files
