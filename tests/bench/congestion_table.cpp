// What the congestion controllers do on home links, in virtual time, as Markdown: rate alone, round-trip times beside
// it, and what a CUBIC flow keeps that joins. `congestion-table [--seeds N] [--late US]`; --late: the
// hosts are busy and look after everything up to so many microseconds late.
#include "tests/sim/bottleneck.hpp"

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <vector>

#include <fmt/core.h>

namespace {

using namespace pinhole;
using namespace pinhole::sim;
using transport::CongestionAlgorithm;

constexpr CongestionAlgorithm kAlgorithms[] = {CongestionAlgorithm::bbr, CongestionAlgorithm::cubic,
                                               CongestionAlgorithm::ledbat};
constexpr double kMegabit = 125'000;

struct Line {
    const char* name;
    double megabits;
    Duration round_trip;
    double loss;
    std::size_t queue;
    std::uint64_t bytes;
};

constexpr Line kLines[] = {
    {"100 Mbit/s, 100 ms, no loss", 100, 100ms, 0, 1'250'000, 200'000'000},
    {"100 Mbit/s, 100 ms, 1 %", 100, 100ms, 0.01, 1'250'000, 200'000'000},
    {"100 Mbit/s, 100 ms, 2 %", 100, 100ms, 0.02, 1'250'000, 64'000'000},
    {"100 Mbit/s, 100 ms, 5 %", 100, 100ms, 0.05, 1'250'000, 64'000'000},
    {"1 Gbit/s, 20 ms, no loss", 1000, 20ms, 0, 2'500'000, 256'000'000},
    {"1 Gbit/s, 20 ms, 0.1 %", 1000, 20ms, 0.001, 2'500'000, 256'000'000},
    {"20 Mbit/s, 40 ms, queue 1 BDP", 20, 40ms, 0, 100'000, 50'000'000},
    {"10 Mbit/s, 30 ms, queue 0.2 BDP", 10, 30ms, 0, 8'000, 20'000'000},
    {"2 Mbit/s, 200 ms, queue 2 s", 2, 200ms, 0, 500'000, 5'000'000},
};

/// How late the hosts are for everything, at most.
Duration lateness{};

BottleneckConfig config_of(const Line& line, std::uint64_t seed) {
    const lab::LinkConfig link{.delay = line.round_trip / 2,
                               .loss = line.loss,
                               .bytes_per_second = line.megabits * kMegabit,
                               .queue_bytes = line.queue};
    return {.forward = link, .back = link, .seed = seed, .lateness = lateness};
}

double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
}

double milliseconds(Duration time) {
    return seconds(time) * 1000;
}

const char* name_of(CongestionAlgorithm algorithm) {
    switch (algorithm) {
        case CongestionAlgorithm::bbr:
            return "bbr";
        case CongestionAlgorithm::cubic:
            return "cubic";
        case CongestionAlgorithm::ledbat:
            break;
    }
    return "ledbat++";
}

void rates(std::uint64_t seeds) {
    fmt::print("| line | controller | Mbit/s of file | lost at the queue | sent in vain |\n|---|---|---|---|---|\n");
    for (const auto& line : kLines) {
        for (const auto algorithm : kAlgorithms) {
            std::vector<double> rate;
            std::vector<double> waste;
            std::uint64_t dropped = 0;
            for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
                Bottleneck world{config_of(line, seed)};
                auto& flow = world.start(algorithm, line.bytes);
                // What a controller does not bring through in ten minutes is measured all the same.
                world.run(flow, 600s);
                rate.push_back(static_cast<double>(flow.received()) / seconds(world.now() - TimePoint{}) / kMegabit);
                const auto& stats = flow.sender->connection.stats();
                waste.push_back(static_cast<double>(stats.packets_lost) / static_cast<double>(stats.packets_sent));
                dropped += world.forward.dropped();
            }
            fmt::print("| {} | {} | {:.1f} | {} | {:.2f} % |\n", line.name, name_of(algorithm), median(rate),
                       dropped / seeds, 100 * median(waste));
        }
    }
}

void fairness(std::uint64_t seeds) {
    fmt::print(
        "\n20 Mbit/s, 40 ms. A CUBIC flow joins after 10 s and stays for 60.\n\n"
        "| controller | queue | alone: RTT p50 | p99 | used | CUBIC keeps (Mbit/s) | both use |\n"
        "|---|---|---|---|---|---|---|\n");
    for (const auto algorithm : kAlgorithms) {
        for (const std::size_t queue : {100'000U, 400'000U}) {
            std::vector<double> p50;
            std::vector<double> p99;
            std::vector<double> used;
            std::vector<double> kept;
            std::vector<double> both;
            for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
                const Line line{"", 20, 40ms, 0, queue, 1'000'000'000};
                Bottleneck alone{config_of(line, seed)};
                auto& flow = alone.start(algorithm, line.bytes);
                alone.run_for(5s);
                (void)alone.take_round_trips();
                const auto before = flow.received();
                alone.run_for(30s);
                const auto trips = alone.take_round_trips();
                p50.push_back(milliseconds(trips[trips.size() / 2]));
                p99.push_back(milliseconds(trips[trips.size() * 99 / 100]));
                used.push_back(static_cast<double>(flow.received() - before) / 30 / kMegabit / 20 * 1500 / 1444);
                Bottleneck shared{config_of(line, seed + 1000)};
                auto& first = shared.start(algorithm, line.bytes);
                shared.run_for(10s);
                auto& cubic = shared.start(CongestionAlgorithm::cubic, line.bytes);
                const auto ours = first.received();
                shared.run_for(60s);
                kept.push_back(static_cast<double>(cubic.received()) / 60 / kMegabit);
                both.push_back(static_cast<double>(cubic.received() + first.received() - ours) / 60 / kMegabit);
            }
            fmt::print("| {} | {} kB | {:.1f} ms | {:.1f} ms | {:.1f} % | {:.1f} ({:.1f} to {:.1f}) | {:.1f} |\n",
                       name_of(algorithm), queue / 1000, median(p50), median(p99), 100 * median(used), median(kept),
                       *std::ranges::min_element(kept), *std::ranges::max_element(kept), median(both));
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t seeds = 3;
    for (int i = 1; i + 1 < argc; i += 2) {
        const auto value = std::strtoul(argv[i + 1], nullptr, 10);
        if (std::string_view{argv[i]} == "--seeds") {
            seeds = std::max<std::uint64_t>(value, 1);
        } else if (std::string_view{argv[i]} == "--late") {
            lateness = value * 1us;
        }
    }
    rates(seeds);
    fairness(seeds);
}
