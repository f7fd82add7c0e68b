// A NetReport as a signaling message, and its bounds (proto/README.md, 2.3). What a peer measured out of these bounds
// it leaves out; what arrives out of them is refused. Part of codec.hpp's work, in a file of its own for its size.
#pragma once

#include "common/base/error.hpp"
#include "common/signaling/messages.hpp"

namespace pinhole::rendezvous::v1 {
class Report;
}

namespace pinhole::signaling {

void put_report(const net::NetReport& from, rendezvous::v1::Report& to);
[[nodiscard]] Result<net::NetReport> to_report(const rendezvous::v1::Report& from);

}  // namespace pinhole::signaling
