#include "peer/cli/progress.hpp"

#include "peer/cli/output.hpp"

#include <gtest/gtest.h>

namespace pinhole::cli {
namespace {

TEST(Progress, MeasuresTheRateOverTheLastSeconds) {
    Progress progress{1000, TimePoint{}};
    progress.update(100, TimePoint{1s});
    EXPECT_DOUBLE_EQ(progress.rate(), 100);
    for (int second = 2; second <= 20; ++second) {
        progress.update(100, TimePoint{std::chrono::seconds{second}});
    }
    EXPECT_DOUBLE_EQ(progress.rate(), 0);
    EXPECT_EQ(progress.eta_seconds(), std::nullopt);
}

TEST(Progress, EstimatesTheTimeLeft) {
    Progress progress{1000, TimePoint{}};
    progress.update(250, TimePoint{1s});
    ASSERT_TRUE(progress.eta_seconds());
    EXPECT_DOUBLE_EQ(*progress.eta_seconds(), 3);
}

TEST(Progress, LineFitsTheTerminal) {
    Progress progress{3'000'000'000, TimePoint{}};
    progress.update(1'200'000'000, TimePoint{10s});
    for (const std::size_t columns : {10U, 40U, 79U, 200U}) {
        EXPECT_LE(progress.line("a very long name of a film that nobody wants to see.mkv", columns).size(), columns);
    }
    const auto line = progress.line("film.mkv", 100);
    EXPECT_NE(line.find(" 40%"), std::string::npos) << line;
    EXPECT_NE(line.find("1.2 GB of 3.0 GB"), std::string::npos) << line;
    EXPECT_NE(line.find("120 MB/s  0:15"), std::string::npos) << line;
}

TEST(Progress, AnEmptyFileIsComplete) {
    const Progress progress{0, TimePoint{}};
    EXPECT_NE(progress.line("empty", 80).find("100%"), std::string::npos);
}

TEST(Progress, NeverPrintsControlCharactersOfAName) {
    const Progress progress{10, TimePoint{}};
    EXPECT_EQ(progress.line("\x1b[2Jname", 80).find('\x1b'), std::string::npos);
}

TEST(HumanBytes, UsesPowersOfAThousand) {
    EXPECT_EQ(human_bytes(0), "0 B");
    EXPECT_EQ(human_bytes(999), "999 B");
    EXPECT_EQ(human_bytes(1000), "1.0 kB");
    EXPECT_EQ(human_bytes(1'440'000), "1.4 MB");
    EXPECT_EQ(human_bytes(312'000'000), "312 MB");
    EXPECT_EQ(human_bytes(999'999), "1.0 MB");
}

TEST(HumanDuration, ShowsHoursOnlyWhenThereAreAny) {
    EXPECT_EQ(human_duration(7), "0:07");
    EXPECT_EQ(human_duration(754), "12:34");
    EXPECT_EQ(human_duration(3723), "1:02:03");
}

}  // namespace
}  // namespace pinhole::cli
