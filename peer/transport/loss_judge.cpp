#include "peer/transport/loss_judge.hpp"

#include <algorithm>
#include <cmath>

namespace pinhole::transport {

namespace {

// More than this is congestion or a policer, whatever the delay.
constexpr double kMaxLoss = 0.15;
// Above what the line loses, with three standard deviations for chance: the threshold of BBRv3, and two packets where
// that is less.
constexpr double kExcess = 0.02;
constexpr double kDeviations = 3;
constexpr double kFewestPackets = 2;
// Part of the largest queue from which on a queue counts as one.
constexpr double kQueued = 0.25;
// The largest queue is forgotten by so much a round trip.
constexpr double kForget = 0.01;
// Packets over which the line's own loss is averaged, and what it is taken for before anything is known: one in fifty,
// which weighs as much as fifty packets.
constexpr double kMemory = 4000;
constexpr double kPriorPackets = 50;
constexpr double kPriorLost = 1;
// A line that loses more than that is not indulged.
constexpr double kMaxAmbient = 0.10;

}  // namespace

void LossJudge::on_queueing(Duration queueing) {
    largest_queueing_ = std::max(largest_queueing_, queueing);
}

bool LossJudge::queued(Duration queueing) const {
    return static_cast<double>(queueing.count()) > kQueued * static_cast<double>(largest_queueing_.count());
}

void LossJudge::learn(const Flight& flight) {
    largest_queueing_ -= Duration{static_cast<Duration::rep>(static_cast<double>(largest_queueing_.count()) * kForget)};
    if (flight.lost > 0 && (queued(flight.queueing) || flight.lost > kMaxLoss * flight.packets)) {
        return;
    }
    packets_ += flight.packets;
    lost_ += flight.lost;
    if (packets_ > kMemory) {
        lost_ *= kMemory / packets_;
        packets_ = kMemory;
    }
}

double LossJudge::ambient() const {
    return std::min((lost_ + kPriorLost) / (packets_ + kPriorPackets), kMaxAmbient);
}

bool LossJudge::congested(const Flight& flight) const {
    if (flight.lost < kFewestPackets) {
        return false;
    }
    if (flight.lost > kMaxLoss * flight.packets + kFewestPackets) {
        return true;
    }
    if (!queued(flight.queueing)) {
        return false;
    }
    const auto expected = ambient() * flight.packets;
    const auto excess = std::max(kExcess * flight.packets, kFewestPackets);
    return flight.run || flight.lost > expected + kDeviations * std::sqrt(expected) + excess;
}

}  // namespace pinhole::transport
