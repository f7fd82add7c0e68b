#include "peer/cli/failure.hpp"

#include "common/store/database.hpp"
#include "peer/files/errors.hpp"
#include "peer/session/errors.hpp"
#include "peer/store/errors.hpp"

namespace pinhole::cli {

namespace {

Failure explain_session(session::Errc code, const Error& error, const std::string& peer) {
    using enum session::Errc;
    const auto who = peer.empty() ? std::string{"the peer"} : peer;
    switch (code) {
        case server_unreachable:
            return {Exit::server_unreachable, "server-unreachable",
                    "cannot reach the rendezvous server " + error.detail,
                    "check the address given with --server and that pinhole-rendezvous runs there"};
        case server_refused:
            return {Exit::server_unreachable, "server-refused", "the rendezvous server ended the connection",
                    "is it a pinhole-rendezvous of this version?"};
        case server_key_changed:
            return {Exit::identity_mismatch, "server-key-changed",
                    "the rendezvous server has another key than the one remembered: " + error.detail,
                    "if its operator says that this key is right, accept it with --server HOST:PORT/" + error.detail};
        case peer_offline:
            return {Exit::peer_unknown, "peer-offline", who + " is not online",
                    "start pinhole receive or pinhole chat there, with the same --server"};
        case peer_refused:
            return {Exit::refused, "peer-refused", who + " does not take calls from you",
                    "your ID (pinhole id) must be in the contacts there: pinhole contacts add NAME ID"};
        case peer_unwanting:
            return {Exit::peer_unknown, "peer-not-waiting", who + " is online, but nothing there waits for this",
                    "run pinhole receive there for files, pinhole chat for messages"};
        case peer_identity:
            return {Exit::identity_mismatch, "identity-mismatch",
                    "whoever answered for " + who + " does not have the key of that ID",
                    "compare the IDs with pinhole id"};
        case no_answer:
            return {Exit::peer_unknown, "no-answer", who + " did not answer in time", "try again"};
        case no_path:
            return {Exit::no_path, "no-path", "no path to " + who + ": " + error.detail,
                    "try another network on one side, or let UDP through its firewall"};
        case peer_lost:
            return {Exit::failure, "peer-lost", "the connection to " + who + " went silent", "try again"};
        case peer_closed:
            return {Exit::failure, "peer-closed", who + " ended the connection", ""};
        case peer_cancelled:
            return {Exit::transfer_failed, "cancelled-by-peer", who + " cancelled", ""};
        case clock_wrong:
            return {Exit::failure, "clock-wrong", "the clocks of this machine and of " + who + " differ too much",
                    "set the clock"};
    }
    return {};
}

Failure explain_files(files::Errc code, const Error& error, const std::string& peer) {
    const auto who = peer.empty() ? std::string{"the other side"} : peer;
    switch (code) {
        case files::Errc::refused:
            return {Exit::refused, "refused", who + " refused the transfer", ""};
        case files::Errc::busy:
            return {Exit::refused, "busy", who + " takes no more transfers at the moment", "try again later"};
        case files::Errc::cancelled:
            return {Exit::interrupted, "interrupted", "the transfer was interrupted here", ""};
        case files::Errc::cancelled_by_peer:
            return {Exit::transfer_failed, "cancelled-by-peer", who + " cancelled the transfer", ""};
        case files::Errc::peer_gone:
            return {Exit::transfer_failed, "peer-lost", "the connection to " + who + " broke during the transfer",
                    "send it again"};
        case files::Errc::disk_full:
            return {Exit::transfer_failed, "disk-full", error.message(), "make room on the receiving disk"};
        case files::Errc::hash_mismatch:
            return {Exit::transfer_failed, "damaged", error.message(), "send it again"};
        case files::Errc::not_found:
        case files::Errc::not_a_file:
        case files::Errc::no_permission:
            return {Exit::transfer_failed, "file-error", error.message(), "check the path and its permissions"};
        default:
            return {Exit::transfer_failed, "transfer-failed", error.message(), ""};
    }
}

}  // namespace

Failure explain(const Error& error, const std::string& peer) {
    const auto& category = error.code.category();
    if (category == session::make_error_code(session::Errc::no_path).category()) {
        return explain_session(static_cast<session::Errc>(error.code.value()), error, peer);
    }
    if (category == files::make_error_code(files::Errc::refused).category()) {
        return explain_files(static_cast<files::Errc>(error.code.value()), error, peer);
    }
    if (error.code == peer_store::make_error_code(peer_store::Errc::unknown_contact)) {
        return {Exit::peer_unknown, "unknown-contact", error.message(), "add it with pinhole contacts add NAME ID"};
    }
    return {Exit::failure, "failed", error.message(), ""};
}

}  // namespace pinhole::cli
