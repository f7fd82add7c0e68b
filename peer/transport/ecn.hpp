// Whether packets are marked ECN-capable (RFC 9000 §13.4): a few are, as a test, and all after the peer has reported
// the marks back. A path that strips or mangles the marks is used without.
#pragma once

#include "common/net/datagram.hpp"
#include "peer/transport/frame.hpp"

#include <cstdint>
#include <optional>

namespace pinhole::transport {

class EcnValidator {
  public:
    /// The mark for the next packet.
    [[nodiscard]] net::Ecn mark() const;
    void on_marked_sent(std::size_t packets);
    /// `newly_marked`: packets sent with a mark that this ACK acknowledged first. True when the path reported
    /// congestion.
    bool on_ack(std::size_t newly_marked, const std::optional<EcnCounts>& counts);
    /// Silence while testing may be the marks' fault.
    void on_probe_timeout();
    /// On another path everything is open again, but the peer's counters go on.
    void restart();

  private:
    enum class State : std::uint8_t { testing, waiting, capable, failed };

    State state_ = State::testing;
    std::size_t marked_ = 0;
    EcnCounts seen_;
};

}  // namespace pinhole::transport
