#include "peer/transport/delivery_rate.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace pinhole::transport {
namespace {

constexpr std::size_t kPacket = 1000;

struct Sent {
    DeliveryStamp stamp;
    TimePoint at;
};

class DeliveryRateTest : public testing::Test {
  protected:
    Sent send() {
        const Sent sent{.stamp = rate.on_sent(in_flight, kPacket, now), .at = now};
        in_flight += kPacket;
        return sent;
    }

    void ack(const Sent& sent) {
        in_flight -= kPacket;
        rate.on_acked(sent.stamp, sent.at, kPacket, now);
    }

    DeliveryRate rate;
    TimePoint now = TimePoint{} + 1s;
    std::uint64_t in_flight = 0;
};

TEST_F(DeliveryRateTest, PacketsAMillisecondApartAreAThousandASecond) {
    std::vector<Sent> sent;
    RateSample sample;
    for (std::size_t i = 0; i < 200; ++i, now += 1ms) {
        sent.push_back(send());
        if (i >= 20) {
            ack(sent[i - 20]);
            sample = rate.take_sample(20ms);
        }
    }
    EXPECT_NEAR(sample.rate, 1000.0 * kPacket, 0.06 * 1000 * kPacket);
    EXPECT_FALSE(sample.app_limited);
}

TEST_F(DeliveryRateTest, AcknowledgementsInOneLumpDoNotLookFasterThanSending) {
    std::vector<Sent> sent;
    for (int i = 0; i < 100; ++i) {
        sent.push_back(send());
        now += 1ms;
    }
    now += 50ms;
    for (const auto& packet : sent) {
        ack(packet);
    }
    // One sample for the lump; the newest packet was sent 99 ms after the first, and nothing had been delivered then.
    const auto sample = rate.take_sample(20ms);
    EXPECT_LE(sample.rate, 1020.0 * kPacket);
    EXPECT_EQ(sample.delivered, 100 * kPacket);
}

TEST_F(DeliveryRateTest, IntervalsBelowTheRoundTripSayNothing) {
    const auto one = send();
    now += 1ms;
    ack(one);
    EXPECT_EQ(rate.take_sample(20ms).rate, 0);
    EXPECT_EQ(rate.take_sample(0ms).rate, 0) << "and without an acknowledgement there is no sample";
}

TEST_F(DeliveryRateTest, WhatWasSentWithoutPressureIsMarkedUntilItIsDelivered) {
    const auto first = send();
    rate.mark_app_limited(in_flight);
    const auto second = send();
    now += 30ms;
    ack(first);
    EXPECT_FALSE(rate.take_sample(20ms).app_limited);
    const auto third = send();
    ack(second);
    EXPECT_TRUE(rate.take_sample(0ms).app_limited);
    now += 30ms;
    ack(third);
    EXPECT_FALSE(rate.take_sample(20ms).app_limited);
}

TEST_F(DeliveryRateTest, LossesOfTheFlightAreCountedAndTakenBack) {
    const auto first = send();
    const auto second = send();
    rate.on_lost(kPacket);
    in_flight -= kPacket;
    now += 30ms;
    ack(second);
    EXPECT_EQ(rate.take_sample(20ms).lost, kPacket);
    rate.on_found(kPacket);
    EXPECT_EQ(rate.lost(), 0U);
    EXPECT_EQ(rate.delivered(), 2 * kPacket);
    (void)first;
}

TEST_F(DeliveryRateTest, IdleTimeIsNotPartOfTheInterval) {
    const auto first = send();
    now += 20ms;
    ack(first);
    (void)rate.take_sample(20ms);
    now += 10s;
    const auto second = send();
    now += 20ms;
    ack(second);
    EXPECT_NEAR(rate.take_sample(20ms).rate, 50.0 * kPacket, 1);
}

}  // namespace
}  // namespace pinhole::transport
