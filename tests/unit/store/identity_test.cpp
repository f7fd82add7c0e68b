#include "common/base/encoding.hpp"
#include "peer/store/errors.hpp"
#include "peer/store/home.hpp"
#include "tests/support/child.hpp"
#include "tests/support/temp_folder.hpp"

#include <cstdlib>

#include <gtest/gtest.h>
#include <sys/stat.h>

namespace pinhole::peer_store {
namespace {

class IdentityTest : public testing::Test {
  protected:
    void SetUp() override { ASSERT_TRUE(crypto::initialize()); }

    [[nodiscard]] Home home() const { return Home::open(folder / "home").value(); }

    static mode_t mode_of(const std::string& path) {
        struct stat info{};
        EXPECT_EQ(::stat(path.c_str(), &info), 0);
        return info.st_mode & 0777U;
    }

    std::error_code load_error() {
        const auto identity = load_or_create_identity(home(), rng);
        return identity ? std::error_code{} : identity.error().code;
    }

    test::TempFolder folder;
    crypto::SystemRng rng;
};

TEST_F(IdentityTest, IsMadeOnFirstUseAndStays) {
    const auto first = load_or_create_identity(home(), rng);
    ASSERT_TRUE(first);
    const auto second = load_or_create_identity(home(), rng);
    ASSERT_TRUE(second);
    EXPECT_EQ(first->id(), second->id());
    EXPECT_EQ(folder.list("home"), std::vector<std::string>{"identity"});
    EXPECT_EQ(mode_of(folder / "home/identity"), 0600U);
    EXPECT_EQ(mode_of(folder / "home"), 0700U);
}

TEST_F(IdentityTest, IsOneForAllProcessesThatStartAtOnce) {
    const auto home = this->home();
    folder.make_folder("seen");
    ASSERT_TRUE(test::race(8, [&](int n) {
        crypto::SystemRng own;
        const auto identity = load_or_create_identity(home, own);
        if (!identity) {
            return 1;
        }
        folder.write("seen/" + std::to_string(n), identity->id().text());
        return 0;
    }));
    const auto expected = load_or_create_identity(home, rng)->id().text();
    for (int n = 0; n < 8; ++n) {
        EXPECT_EQ(test::read_file(folder / ("seen/" + std::to_string(n))), expected);
    }
    EXPECT_EQ(folder.list("home"), std::vector<std::string>{"identity"});
}

TEST_F(IdentityTest, IsRefusedWhenOthersCanReadIt) {
    ASSERT_TRUE(load_or_create_identity(home(), rng));
    for (const mode_t mode : {0640U, 0604U, 0620U}) {
        ::chmod((folder / "home/identity").c_str(), mode);
        EXPECT_EQ(load_error(), Errc::identity_exposed);
    }
    ::chmod((folder / "home/identity").c_str(), 0600);
    EXPECT_EQ(load_error(), std::error_code{});
}

TEST_F(IdentityTest, IsRefusedWhenItIsDamagedAndNeverReplaced) {
    ASSERT_TRUE(load_or_create_identity(home(), rng));
    const auto good = test::read_file(folder / "home/identity");
    for (const auto& bad : {std::string{}, good.substr(1), good + "x", good.substr(0, 52), "1" + good.substr(1),
                            std::string(10'000, 'a')}) {
        folder.write("home/identity", bad);
        EXPECT_EQ(load_error(), Errc::identity_damaged);
        EXPECT_EQ(test::read_file(folder / "home/identity"), bad);
    }
}

TEST_F(IdentityTest, IsNotReadThroughALinkOrFromAPipe) {
    ASSERT_TRUE(load_or_create_identity(home(), rng));
    std::filesystem::rename(folder / "home/identity", folder / "elsewhere");
    std::filesystem::create_symlink(folder / "elsewhere", folder / "home/identity");
    EXPECT_EQ(load_error(), Errc::identity_unusable);
    std::filesystem::remove(folder / "home/identity");
    ASSERT_EQ(::mkfifo((folder / "home/identity").c_str(), 0600), 0);
    EXPECT_EQ(load_error(), Errc::identity_exposed);
}

TEST_F(IdentityTest, ErrorsNameTheFileAndWhatToDo) {
    ASSERT_TRUE(load_or_create_identity(home(), rng));
    ::chmod((folder / "home/identity").c_str(), 0644);
    const auto message = load_or_create_identity(home(), rng).error().message();
    EXPECT_NE(message.find("home/identity"), std::string::npos);
    EXPECT_NE(message.find("chmod 600"), std::string::npos);
}

class HomeTest : public IdentityTest {
  protected:
    void TearDown() override {
        restore("XDG_DATA_HOME", data_);
        restore("HOME", home_);
    }

    static std::optional<std::string> value_of(const char* name) {
        const char* value = std::getenv(name);
        return value != nullptr ? std::optional<std::string>{value} : std::nullopt;
    }

    static void restore(const char* name, const std::optional<std::string>& value) {
        value ? ::setenv(name, value->c_str(), 1) : ::unsetenv(name);
    }

    std::optional<std::string> data_ = value_of("XDG_DATA_HOME");
    std::optional<std::string> home_ = value_of("HOME");
};

TEST_F(HomeTest, FollowsTheOptionThenXdgThenHome) {
    ::setenv("XDG_DATA_HOME", (folder / "xdg").c_str(), 1);
    ::setenv("HOME", (folder / "user").c_str(), 1);
    EXPECT_EQ(Home::open(folder / "a/b/")->path(), folder / "a/b");
    EXPECT_EQ(Home::open(std::nullopt)->path(), folder / "xdg/pinhole");
    ::setenv("XDG_DATA_HOME", "relative", 1);
    EXPECT_EQ(Home::open(std::nullopt)->path(), folder / "user/.local/share/pinhole");
    ::unsetenv("XDG_DATA_HOME");
    ::unsetenv("HOME");
    EXPECT_EQ(Home::open(std::nullopt).error().code, Errc::no_home);
}

TEST_F(HomeTest, RefusesWhatIsNotAFolder) {
    const auto file = folder.write("file", "");
    EXPECT_EQ(Home::open(file).error().code, Errc::home_unusable);
    EXPECT_EQ(Home::open(file + "/below").error().code, Errc::home_unusable);
}

}  // namespace
}  // namespace pinhole::peer_store
