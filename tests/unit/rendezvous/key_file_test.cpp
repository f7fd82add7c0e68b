#include "rendezvous/shell/key_file.hpp"

#include <cstdlib>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace pinhole::rendezvous {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class KeyFile : public testing::Test {
  protected:
    KeyFile() {
        EXPECT_TRUE(crypto::initialize());
        std::string name = (fs::temp_directory_path() / "pinhole-key-XXXXXX").string();
        EXPECT_NE(::mkdtemp(name.data()), nullptr);
        root_ = name;
    }

    ~KeyFile() override {
        std::error_code ignored;
        fs::remove_all(root_, ignored);
    }

    void write_key(std::string_view text, fs::perms mode = fs::perms::owner_read | fs::perms::owner_write) {
        fs::create_directories(folder());
        std::ofstream{file()} << text;
        fs::permissions(file(), mode);
    }

    [[nodiscard]] fs::path folder() const { return root_ / "state" / "server"; }

    [[nodiscard]] fs::path file() const { return folder() / "server.key"; }

    fs::path root_;
    SeededRng rng_{1};
};

TEST_F(KeyFile, FirstUseCreatesAKeyThatOnlyItsOwnerReads) {
    const auto created = load_or_create_key(folder(), rng_);
    ASSERT_TRUE(created) << created.error().message();
    EXPECT_EQ(fs::status(file()).permissions(), fs::perms::owner_read | fs::perms::owner_write);
    EXPECT_EQ(fs::status(folder()).permissions(), fs::perms::owner_all);
    EXPECT_EQ(std::distance(fs::directory_iterator{folder()}, fs::directory_iterator{}), 1);
}

TEST_F(KeyFile, LaterUseFindsTheSameKey) {
    const auto created = load_or_create_key(folder(), rng_);
    const auto loaded = load_or_create_key(folder().string() + "/", rng_);
    ASSERT_TRUE(created && loaded);
    EXPECT_EQ(created->id(), loaded->id());
}

TEST_F(KeyFile, KeyThatOthersMayReadIsRefusedWithWhatToDo) {
    write_key(std::string(52, 'a') + "\n", fs::perms::owner_read | fs::perms::group_read);
    const auto loaded = load_or_create_key(folder(), rng_);
    ASSERT_FALSE(loaded);
    EXPECT_THAT(loaded.error().message(), HasSubstr("chmod 600 " + file().string()));
}

TEST_F(KeyFile, KeyOfAnotherUserIsRefused) {
    write_key(std::string(52, 'a') + "\n");
    constexpr uid_t kNobody = 65534;
    if (::chown(file().c_str(), kNobody, static_cast<gid_t>(-1)) != 0) {
        GTEST_SKIP() << "only root can give files away";
    }
    const auto loaded = load_or_create_key(folder(), rng_);
    ASSERT_FALSE(loaded);
    EXPECT_THAT(loaded.error().message(), HasSubstr("belongs to another user"));
}

TEST_F(KeyFile, DamagedKeyIsNeverReplaced) {
    for (const auto* text : {"", "hello\n", "aaaa"}) {
        write_key(text);
        const auto loaded = load_or_create_key(folder(), rng_);
        ASSERT_FALSE(loaded);
        EXPECT_THAT(loaded.error().message(), HasSubstr("is not a server key"));
    }
    write_key(std::string(1000, 'a'));
    EXPECT_FALSE(load_or_create_key(folder(), rng_));
    EXPECT_EQ(fs::file_size(file()), 1000U);
}

TEST_F(KeyFile, SymbolicLinkIsNotFollowed) {
    write_key(std::string(52, 'a') + "\n");
    fs::rename(file(), root_ / "elsewhere");
    fs::create_symlink(root_ / "elsewhere", file());
    EXPECT_FALSE(load_or_create_key(folder(), rng_));
}

TEST_F(KeyFile, FolderThatCannotBeIsAnErrorThatNamesIt) {
    std::ofstream{root_ / "file"} << "x";
    const auto loaded = load_or_create_key(root_ / "file" / "below", rng_);
    ASSERT_FALSE(loaded);
    EXPECT_THAT(loaded.error().message(), HasSubstr((root_ / "file" / "below").string()));
}

}  // namespace
}  // namespace pinhole::rendezvous
