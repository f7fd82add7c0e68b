// The messages of punching as Protobuf, and their bounds (proto/README.md, 2.3 and net/punch_plan.hpp). Whatever a
// server says, what comes out asks no more of a peer than those bounds. Part of codec.hpp's work, in a file of its own
// for its size.
#pragma once

#include "common/base/error.hpp"
#include "common/signaling/messages.hpp"

namespace pinhole::rendezvous::v1 {
class Go;
class PunchOutcome;
class PunchSamples;
class PunchScan;
}  // namespace pinhole::rendezvous::v1

namespace pinhole::signaling {

void put_go(const Go& from, rendezvous::v1::Go& to);
void put_samples(const PunchSamples& from, rendezvous::v1::PunchSamples& to);
void put_outcome(const PunchOutcome& from, rendezvous::v1::PunchOutcome& to);
void put_scan(const PunchScan& from, rendezvous::v1::PunchScan& to);

[[nodiscard]] Result<Go> to_go(const rendezvous::v1::Go& from);
[[nodiscard]] Result<PunchSamples> to_samples(const rendezvous::v1::PunchSamples& from);
[[nodiscard]] Result<PunchOutcome> to_outcome(const rendezvous::v1::PunchOutcome& from);
[[nodiscard]] Result<PunchScan> to_scan(const rendezvous::v1::PunchScan& from);

}  // namespace pinhole::signaling
