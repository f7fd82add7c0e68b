#include "peer/transport/ecn.hpp"

namespace pinhole::transport {

namespace {

// RFC 9000 §13.4.2 and §A.4.
constexpr std::size_t kTestPackets = 10;

}  // namespace

net::Ecn EcnValidator::mark() const {
    return state_ == State::testing || state_ == State::capable ? net::Ecn::ect0 : net::Ecn::not_ect;
}

void EcnValidator::on_marked_sent(std::size_t packets) {
    marked_ += packets;
    if (state_ == State::testing && marked_ >= kTestPackets) {
        state_ = State::waiting;
    }
}

bool EcnValidator::on_ack(std::size_t newly_marked, const std::optional<EcnCounts>& counts) {
    if (!counts) {
        if (newly_marked > 0) {
            state_ = State::failed;
        }
        return false;
    }
    const auto before = seen_;
    if (counts->ect0 < before.ect0 || counts->ect1 < before.ect1 || counts->ce < before.ce) {
        return false;  // an older ACK that was overtaken
    }
    seen_ = *counts;
    const auto more_ce = counts->ce - before.ce;
    // RFC 9000 §13.4.2.1: every marked packet comes back as marked, and ECT(1) was never sent.
    if (counts->ect0 - before.ect0 + more_ce < newly_marked || counts->ect1 > 0) {
        state_ = State::failed;
        return false;
    }
    if (newly_marked > 0 && state_ != State::failed) {
        state_ = State::capable;
    }
    return more_ce > 0 && state_ == State::capable;
}

void EcnValidator::on_probe_timeout() {
    if (state_ == State::testing || state_ == State::waiting) {
        state_ = State::failed;
    }
}

void EcnValidator::restart() {
    state_ = State::testing;
    marked_ = 0;
}

}  // namespace pinhole::transport
