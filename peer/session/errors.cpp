#include "peer/session/errors.hpp"

namespace pinhole::session {

namespace {

const char* describe(int value) {
    switch (static_cast<Errc>(value)) {
        case Errc::server_unreachable:
            return "the rendezvous server cannot be reached";
        case Errc::server_key_changed:
            return "the rendezvous server's key is not the one that is pinned";
        case Errc::server_refused:
            return "the rendezvous server ended the connection";
        case Errc::peer_offline:
            return "the peer is not online";
        case Errc::peer_refused:
            return "the peer refused the call";
        case Errc::peer_unwanting:
            return "the peer is online, but is not waiting for this";
        case Errc::peer_identity:
            return "the answer does not come from the peer that was called";
        case Errc::no_answer:
            return "the peer did not answer";
        case Errc::no_path:
            return "no path to the peer";
        case Errc::peer_lost:
            return "the connection to the peer went silent";
        case Errc::peer_closed:
            return "the peer ended the connection";
        case Errc::peer_cancelled:
            return "the peer cancelled";
        case Errc::clock_wrong:
            return "the peer says that this machine's clock is wrong";
    }
    return "unknown session error";
}

const EnumCategory kCategory{"session", describe};

}  // namespace

std::error_code make_error_code(Errc code) {
    return {static_cast<int>(code), kCategory};
}

Errc from_reason(signaling::EndReason reason) {
    using enum signaling::EndReason;
    switch (reason) {
        case offline:
        case asleep:
        case lost:
            return Errc::peer_offline;
        case refused:
            return Errc::peer_refused;
        case unwanted:
        case limit:
            return Errc::peer_unwanting;
        case stale:
            return Errc::clock_wrong;
        case bad:
            return Errc::peer_identity;
        case hangup:
        case elsewhere:
            return Errc::peer_closed;
        case timeout:
            return Errc::no_answer;
    }
    return Errc::no_answer;
}

}  // namespace pinhole::session
