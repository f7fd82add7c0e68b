// How long small messages take beside a file that fills the line, which loses packets: each has to arrive soon although
// any packet may be the one that is lost. What speed.py measures as row d, in virtual time.
#include "tests/sim/bottleneck.hpp"

#include <deque>

#include <gtest/gtest.h>

namespace pinhole::sim {
namespace {

constexpr std::uint64_t kMessage = 200;
constexpr Duration kEvery = 50ms;
constexpr Duration kOneWay = 25ms;
constexpr double kMegabit = 125'000;

struct Outcome {
    std::vector<Duration> latencies;
    double file_megabits = 0;

    [[nodiscard]] Duration percentile(double share) const {
        return latencies[static_cast<std::size_t>(share * static_cast<double>(latencies.size() - 1))];
    }
};

/// So many messages; the file flows from two seconds before them to the end.
Outcome talk(double loss, std::size_t messages, std::uint64_t file, std::uint64_t seed) {
    const lab::LinkConfig link{
        .delay = kOneWay, .loss = loss, .bytes_per_second = 50 * kMegabit, .queue_bytes = 312'000};
    Bottleneck world{{.forward = link, .back = link, .seed = seed}};
    auto& flow = world.start(transport::CongestionAlgorithm::bbr, file);
    const auto chat = flow.sender->send(0, transport::Priority::chat);
    flow.sender->outgoing[chat].finish = false;
    world.run_for(2s);

    Outcome outcome;
    std::deque<TimePoint> sent;
    flow.receiver->on_read = [&](StreamId stream, std::uint64_t received, TimePoint now) {
        while (stream == chat && received / kMessage > outcome.latencies.size()) {
            outcome.latencies.push_back(now - sent[outcome.latencies.size()]);
        }
    };
    const auto before = flow.received();
    const auto began = world.now();
    for (std::size_t i = 0; i < messages; ++i) {
        flow.sender->send_more(chat, kMessage);
        sent.push_back(world.now());
        world.wake(flow);
        world.run_for(kEvery);
    }
    outcome.file_megabits = static_cast<double>(flow.received() - before) / seconds(world.now() - began) / kMegabit;
    world.run_for(2s);
    EXPECT_EQ(outcome.latencies.size(), messages);
    std::ranges::sort(outcome.latencies);
    return outcome;
}

class Messages : public testing::TestWithParam<std::uint64_t> {};

TEST_P(Messages, BesideAFileALossCostsThemLittle) {
    const auto outcome = talk(0.02, 600, 1'000'000'000, GetParam());
    RecordProperty("p50_us", static_cast<int>(outcome.percentile(0.5) / 1us));
    RecordProperty("p99_us", static_cast<int>(outcome.percentile(0.99) / 1us));
    RecordProperty("file_kbit", static_cast<int>(1000 * outcome.file_megabits));
    EXPECT_LE(outcome.percentile(0.5), 25'600us) << "short batches and the room beside messages, both";
    EXPECT_LE(outcome.percentile(0.99), 42ms);
    EXPECT_GE(outcome.file_megabits, 43);
}

TEST_P(Messages, AloneALossCostsThemLittle) {
    const auto outcome = talk(0.05, 600, 0, GetParam());
    EXPECT_LE(outcome.percentile(0.5), 26ms);
    EXPECT_LE(outcome.percentile(0.99), 33ms);
}

INSTANTIATE_TEST_SUITE_P(TransportMessages, Messages, testing::Range<std::uint64_t>(1, 6));

}  // namespace
}  // namespace pinhole::sim
