// What the server learns about strategies survives it, and a disk that says no does not stop it.
#include "rendezvous/shell/history_store.hpp"

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pinhole::rendezvous {
namespace {

namespace fs = std::filesystem;

class HistoryStoreTest : public testing::Test {
  protected:
    HistoryStoreTest() {
        auto pattern = (fs::temp_directory_path() / "history-XXXXXX").string();
        folder_ = ::mkdtemp(pattern.data());
    }

    ~HistoryStoreTest() override {
        std::error_code ignored;
        fs::remove_all(folder_, ignored);
    }

    HistoryStoreTest(const HistoryStoreTest&) = delete;
    HistoryStoreTest& operator=(const HistoryStoreTest&) = delete;

    fs::path folder_;
    PunchHistory::Key key_ =
        PunchHistory::key(net::NatClass::easy, net::NatClass::hard_random, net::Strategy::birthday);
};

TEST_F(HistoryStoreTest, WhatWasLearntIsThereAfterARestart) {
    {
        HistoryStore store{folder_};
        PunchHistory history;
        store.load(history);
        history.record(key_, true);
        store.save(history, {});
        history.record(key_, false);
        store.flush(history);
    }
    HistoryStore store{folder_};
    PunchHistory history;
    store.load(history);
    const auto entry = history.find(key_);
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->tries, 2U);
    EXPECT_EQ(entry->successes, 1U);
}

TEST_F(HistoryStoreTest, TheFileIsForTheServersUserOnly) {
    const HistoryStore store{folder_};
    struct stat info{};
    ASSERT_EQ(::stat((folder_ / "punch.db").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST_F(HistoryStoreTest, ADamagedFileIsSaidOnceAndDoneWithout) {
    std::ofstream{folder_ / "punch.db"} << std::string(8192, 'x');
    testing::internal::CaptureStderr();
    HistoryStore store{folder_};
    PunchHistory history;
    store.load(history);
    for (int i = 0; i < 3; ++i) {
        history.record(key_, true);
        store.flush(history);
    }
    const auto said = testing::internal::GetCapturedStderr();
    EXPECT_FALSE(store.usable());
    const std::string sentence = "is not kept";
    EXPECT_NE(said.find(sentence), std::string::npos);
    EXPECT_EQ(said.find(sentence), said.rfind(sentence)) << said;
    EXPECT_FALSE(history.poll_changed()) << "what cannot be kept does not pile up";
    EXPECT_TRUE(history.find(key_)) << "it is known while the server runs";
}

TEST_F(HistoryStoreTest, ADatabaseThatBecomesReadOnlyIsSaidOnce) {
    HistoryStore store{folder_};
    PunchHistory history;
    // Another program changes the schema under it: every write fails, as on a full disk.
    auto other = store::Database::open((folder_ / "punch.db").string());
    ASSERT_TRUE(other);
    ASSERT_TRUE(
        other->execute("CREATE TRIGGER full BEFORE INSERT ON punches BEGIN SELECT RAISE(FAIL, 'disk full'); END"));
    testing::internal::CaptureStderr();
    for (int i = 0; i < 3; ++i) {
        history.record(key_, true);
        store.flush(history);
    }
    const auto said = testing::internal::GetCapturedStderr();
    EXPECT_NE(said.find("is not kept"), std::string::npos);
    EXPECT_EQ(said.find("is not kept"), said.rfind("is not kept")) << said;
    EXPECT_EQ(history.find(key_)->tries, 3U);
}

TEST_F(HistoryStoreTest, WritesOnceInAWhileWhatManyCallsHaveChanged) {
    HistoryStore store{folder_};
    PunchHistory history;
    const auto kept = [&] {
        HistoryStore other{folder_};
        PunchHistory read;
        other.load(read);
        return read.find(key_) ? read.find(key_)->tries : 0U;
    };
    TimePoint now{1h};
    history.record(key_, true);
    store.save(history, now);
    EXPECT_EQ(kept(), 1U);
    for (int i = 0; i < 100; ++i) {
        history.record(key_, true);
        store.save(history, now += 50ms);
    }
    EXPECT_EQ(kept(), 1U);
    store.save(history, now + HistoryStore::kInterval);
    EXPECT_EQ(kept(), 101U);
}

TEST_F(HistoryStoreTest, WhoHoldsTheFileLockedHoldsUpNobody) {
    HistoryStore store{folder_};
    PunchHistory history;
    auto other = store::Database::open((folder_ / "punch.db").string());
    ASSERT_TRUE(other);
    testing::internal::CaptureStderr();
    {
        auto lock = store::Transaction::begin(*other);
        ASSERT_TRUE(lock);
        history.record(key_, true);
        store.flush(history);
        EXPECT_FALSE(history.changed());
    }
    EXPECT_NE(testing::internal::GetCapturedStderr().find("is not kept"), std::string::npos);
    history.record(key_, true);
    store.flush(history);
    PunchHistory read;
    store.load(read);
    ASSERT_TRUE(read.find(key_));
    EXPECT_EQ(read.find(key_)->tries, 2U) << "nothing is lost in the end";
}

TEST_F(HistoryStoreTest, ALinkToAnotherFileIsNotFollowed) {
    fs::create_symlink(folder_ / "elsewhere", folder_ / "punch.db");
    testing::internal::CaptureStderr();
    const HistoryStore store{folder_};
    EXPECT_NE(testing::internal::GetCapturedStderr(), "");
    EXPECT_FALSE(store.usable());
    EXPECT_FALSE(fs::exists(folder_ / "elsewhere"));
}

TEST_F(HistoryStoreTest, AMissingFolderIsNoReasonNotToServe) {
    testing::internal::CaptureStderr();
    HistoryStore store{folder_ / "nowhere"};
    PunchHistory history;
    store.load(history);
    EXPECT_NE(testing::internal::GetCapturedStderr(), "");
    EXPECT_FALSE(store.usable());
}

}  // namespace
}  // namespace pinhole::rendezvous
