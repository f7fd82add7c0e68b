#include "peer/files/path.hpp"

#include "common/base/encoding.hpp"
#include "peer/files/errors.hpp"
#include "peer/files/file_hash.hpp"
#include "peer/files/limits.hpp"

#include <gtest/gtest.h>

namespace pinhole::files {
namespace {

bool safe(std::vector<std::string> path) {
    return check_path(path).has_value();
}

TEST(Path, RefusesWhatCouldLeadOutOfTheFolder) {
    EXPECT_FALSE(safe({}));
    EXPECT_FALSE(safe({""}));
    EXPECT_FALSE(safe({"."}));
    EXPECT_FALSE(safe({".."}));
    EXPECT_FALSE(safe({"..", "..", "etc", "x"}));
    EXPECT_FALSE(safe({"../../etc/x"}));
    EXPECT_FALSE(safe({"/etc/passwd"}));
    EXPECT_FALSE(safe({"a", "..", "b"}));
    EXPECT_FALSE(safe({"a", "", "b"}));
    EXPECT_FALSE(safe({"a/b"}));
    EXPECT_FALSE(safe({std::string("a\0b", 3)}));
    EXPECT_FALSE(safe({std::string(256, 'a')}));
    EXPECT_FALSE(safe(std::vector<std::string>(kMaxDepth + 1, "a")));
    EXPECT_FALSE(safe(std::vector<std::string>(20, std::string(255, 'a'))));
}

TEST(Path, TakesEveryOtherName) {
    EXPECT_TRUE(safe({"a"}));
    EXPECT_TRUE(safe({"...", "..a", " ", "a\\b", "\xff\xfe", "C:", "-rf"}));
    EXPECT_TRUE(safe({std::string(255, 'a')}));
    EXPECT_TRUE(safe(std::vector<std::string>(kMaxDepth, "a")));
}

TEST(NumberedName, PutsTheNumberBeforeTheExtension) {
    EXPECT_EQ(numbered_name("a.txt", 0), "a.txt");
    EXPECT_EQ(numbered_name("a.txt", 1), "a (1).txt");
    EXPECT_EQ(numbered_name("a.tar.gz", 2), "a.tar (2).gz");
    EXPECT_EQ(numbered_name(".profile", 1), ".profile (1)");
    EXPECT_EQ(numbered_name("folder", 12), "folder (12)");
    EXPECT_EQ(numbered_name("about. this and that", 1), "about. this and that (1)");
}

TEST(NumberedName, StaysWithinTheLimitWithoutCuttingACharacter) {
    const auto ascii = numbered_name(std::string(251, 'a') + ".txt", 10);
    EXPECT_EQ(ascii.size(), kMaxName);
    EXPECT_TRUE(ascii.ends_with("a (10).txt"));

    std::string umlauts;
    while (umlauts.size() < 254) {
        umlauts += "\xc3\xa4";
    }
    const auto cut = numbered_name(umlauts, 1);
    EXPECT_LE(cut.size(), kMaxName);
    EXPECT_TRUE(is_utf8(cut));

    const auto bytes = numbered_name(std::string(255, '\xff'), 1);
    EXPECT_EQ(bytes.size(), kMaxName);
}

TEST(FileHash, IsPlainBlake3OfAFileWithoutRuns) {
    FileHash hash;
    hash.data(as_bytes("pin"));
    hash.data(as_bytes("hole"));
    EXPECT_EQ(hash.size(), 7U);
    EXPECT_EQ(hash.finish(), crypto::blake3(as_bytes("pinhole")));
}

TEST(FileHash, DependsOnWhereTheZerosAreButNotOnHowTheyWereCut) {
    const auto hashed = [](std::vector<std::uint64_t> before, std::vector<std::uint64_t> after) {
        FileHash hash;
        for (const auto count : before) {
            hash.zeros(count);
        }
        hash.data(as_bytes("x"));
        for (const auto count : after) {
            hash.zeros(count);
        }
        return hash.finish();
    };
    EXPECT_EQ(hashed({10, 20}, {5}), hashed({30}, {5}));
    EXPECT_NE(hashed({30}, {5}), hashed({5}, {30}));
    EXPECT_NE(hashed({30}, {5}), hashed({30}, {}));
    EXPECT_NE(hashed({}, {}), hashed({1}, {}));
}

}  // namespace
}  // namespace pinhole::files
