// A file over lines that are bad in one way each, with many seeds and each controller that a file may have: the bytes
// are whole, it takes no longer than it may, no packet number is used twice, and nothing stays in flight or in memory.
// PINHOLE_SEED=n runs just that one.
#include "tests/sim/pair.hpp"

#include <cstdlib>
#include <ostream>

#include <gtest/gtest.h>

namespace pinhole::sim {
namespace {

using transport::CongestionAlgorithm;

constexpr double kMegabit = 125'000;
constexpr std::uint64_t kSeeds = 10;

struct BadLine {
    const char* name;
    LinkConfig there;
    LinkConfig back;
    std::uint64_t bytes;
    /// For the whole file; CUBIC may need ten times as long where packets get lost.
    Duration limit;
    std::uint64_t key_update_packets = std::uint64_t{1} << 22;
    /// Happens every so often for as long as the file is under way.
    Duration every{};
    void (*happens)(Pair& pair, int count) = nullptr;

    friend std::ostream& operator<<(std::ostream& out, const BadLine& line) { return out << line.name; }
};

LinkConfig good(Duration delay, double megabits, std::size_t queue = 100'000) {
    return {.delay = delay, .bytes_per_second = megabits * kMegabit, .queue_bytes = queue};
}

LinkConfig with(LinkConfig link, void (*change)(LinkConfig&)) {
    change(link);
    return link;
}

std::vector<BadLine> bad_lines() {
    const auto home = good(20ms, 20);
    const auto both = [](const char* name, const LinkConfig& link, std::uint64_t bytes, Duration limit) {
        return BadLine{.name = name, .there = link, .back = link, .bytes = bytes, .limit = limit};
    };
    auto lines = std::vector{
        both("FewLosses", with(home, [](auto& link) { link.loss = 0.01; }), 5'000'000, 4s),
        both("ManyLosses", with(home, [](auto& link) { link.loss = 0.1; }), 2'000'000, 8s),
        both("BurstsOfLosses",
             with(home,
                  [](auto& link) {
                      link.burst_loss = 0.002;
                      link.burst_length = 20;
                  }),
             3'000'000, 6s),
        both("Reordering",
             with(home,
                  [](auto& link) {
                      link.reorder = 0.1;
                      link.reorder_delay = 30ms;
                  }),
             5'000'000, 4s),
        both("Duplicates", with(home, [](auto& link) { link.duplicate = 0.2; }), 5'000'000, 4s),
        both("Corruption", with(home, [](auto& link) { link.corrupt = 0.02; }), 4'000'000, 4s),
        both("Jitter", with(good(40ms, 20), [](auto& link) { link.jitter = 40ms; }), 5'000'000, 6s),
        both("RoundTripOf600Milliseconds", good(300ms, 10, 750'000), 5'000'000, 15s),
        both("RoundTripOf10Seconds", good(5s, 10, 4'000'000), 200'000, 60s),
        both("ShortQueue", good(20ms, 20, 10'000), 5'000'000, 4s),
        both("LongQueue", good(20ms, 5, 1'000'000), 3'000'000, 7s),
    };
    lines.push_back({.name = "ThinWayBack",
                     .there = good(20ms, 50),
                     .back = good(20ms, 0.2, 20'000),
                     .bytes = 10'000'000,
                     .limit = 6s});
    lines.push_back({.name = "KeysThatChangeUnderReordering",
                     .there = with(home, [](auto& link) { link.reorder = 0.1; }),
                     .back = with(home, [](auto& link) { link.reorder = 0.1; }),
                     .bytes = 3'000'000,
                     .limit = 4s,
                     .key_update_packets = 100});
    lines.push_back({.name = "RateThatChanges",
                     .there = home,
                     .back = home,
                     .bytes = 5'000'000,
                     .limit = 12s,
                     .every = 700ms,
                     .happens = [](Pair& pair, int count) {
                         pair.to_b.config().bytes_per_second = (count % 2 == 0 ? 2 : 20) * kMegabit;
                     }});
    lines.push_back(
        {.name = "BlackoutsOfTwoSeconds",
         .there = home,
         .back = home,
         .bytes = 5'000'000,
         .limit = 14s,
         .every = 2s,
         .happens = [](Pair& pair, int count) { pair.to_b.config().up = pair.to_a.config().up = count % 2 != 0; }});
    lines.push_back({.name = "PathMtuThatFalls",
                     .there = home,
                     .back = home,
                     .bytes = 5'000'000,
                     .limit = 6s,
                     .every = 1s,
                     .happens = [](Pair& pair, int) { pair.to_b.config().mtu = 1300; }});
    lines.push_back({.name = "PortThatChanges",
                     .there = home,
                     .back = home,
                     .bytes = 5'000'000,
                     .limit = 6s,
                     .every = 400ms,
                     .happens = [](Pair& pair, int count) {
                         auto external = Pair::address_a();
                         external.port = static_cast<std::uint16_t>(10'000 + count);
                         pair.rebind(external);
                     }});
    return lines;
}

class BadLines : public testing::TestWithParam<std::tuple<BadLine, CongestionAlgorithm>> {};

void check_seed(const BadLine& line, CongestionAlgorithm algorithm, std::uint64_t seed) {
    SCOPED_TRACE(testing::Message() << "PINHOLE_SEED=" << seed);
    PairConfig config{.to_b = line.there, .to_a = line.back, .a = {}, .b = {}, .seed = seed};
    for (auto* end : {&config.a, &config.b}) {
        end->congestion = algorithm;
        end->key_update_packets = line.key_update_packets;
        end->idle_timeout = 300s;
    }
    Pair pair{config};
    pair.a.send(line.bytes);
    const auto limit = TimePoint{} + line.limit * (algorithm == CongestionAlgorithm::cubic ? 10 : 1);
    for (int count = 0; !pair.a.all_sent() && pair.now() < limit; ++count) {
        const auto step =
            line.happens != nullptr ? std::min<Duration>(line.every, limit - pair.now()) : limit - pair.now();
        pair.run([&] { return pair.a.all_sent(); }, step);
        if (line.happens != nullptr && !pair.a.all_sent()) {
            line.happens(pair, count);
        }
    }
    EXPECT_TRUE(pair.a.all_sent()) << "not within " << seconds(limit - TimePoint{}) << " s";
    EXPECT_TRUE(pair.b.received(1, line.bytes));
    EXPECT_FALSE(pair.number_reused());
    pair.to_a.config().up = pair.to_b.config().up = true;
    const auto quiet = [&] {
        return pair.a.connection.path_stats().bytes_in_flight == 0 &&
               pair.b.connection.path_stats().bytes_in_flight == 0;
    };
    EXPECT_TRUE(pair.run(quiet, 60s)) << "something stays in flight";
    EXPECT_EQ(pair.a.connection.stats().buffered, 0U);
    EXPECT_EQ(pair.b.connection.stats().buffered, 0U);
    EXPECT_EQ(pair.a.count<transport::Closed>() + pair.b.count<transport::Closed>(), 0U);
}

TEST_P(BadLines, CarryAFile) {
    const auto& [line, algorithm] = GetParam();
    if (const char* one = std::getenv("PINHOLE_SEED")) {  // NOLINT(concurrency-mt-unsafe): one thread
        check_seed(line, algorithm, std::strtoull(one, nullptr, 10));
        return;
    }
    for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
        check_seed(line, algorithm, seed);
    }
}

INSTANTIATE_TEST_SUITE_P(Transport, BadLines,
                         testing::Combine(testing::ValuesIn(bad_lines()),
                                          testing::Values(CongestionAlgorithm::bbr, CongestionAlgorithm::cubic)),
                         [](const auto& test) {
                             const bool bbr = std::get<1>(test.param) == CongestionAlgorithm::bbr;
                             return std::string{std::get<0>(test.param).name} + (bbr ? "ByBbr" : "ByCubic");
                         });

}  // namespace
}  // namespace pinhole::sim
