#include "common/store/database.hpp"

#include "tests/support/child.hpp"
#include "tests/support/temp_folder.hpp"

#include <array>

#include <gtest/gtest.h>
#include <sys/stat.h>

namespace pinhole::store {
namespace {

using test::TempFolder;

constexpr std::array<std::string_view, 1> kFirst{"CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT NOT NULL)"};
constexpr std::array<std::string_view, 2> kSecond{kFirst[0], "ALTER TABLE t ADD COLUMN c BLOB"};

std::int64_t count_rows(Database& database) {
    auto statement = database.prepare("SELECT count(*) FROM t");
    EXPECT_TRUE(statement && *statement->step());
    return statement->integer(0);
}

Status insert(Database& database, std::string_view text) {
    auto statement = database.prepare("INSERT INTO t (b) VALUES (?)");
    statement->bind(text);
    return statement->run();
}

class DatabaseTest : public testing::Test {
  protected:
    [[nodiscard]] Database open() const {
        auto database = Database::open(folder / "test.db");
        EXPECT_TRUE(database) << database.error().message();
        return std::move(database.value());
    }

    TempFolder folder;
};

TEST_F(DatabaseTest, BindsAndReadsEveryType) {
    auto database = open();
    auto statement = database.prepare("SELECT ?, ?, ?, ?, ?");
    ASSERT_TRUE(statement);
    const Bytes blob{0, 1, 255};
    statement->bind(std::int64_t{-7}).bind("t\xc3\xa4xt").bind(ByteView{blob}).bind_null().bind(std::string_view{});
    ASSERT_TRUE(*statement->step());
    EXPECT_EQ(statement->integer(0), -7);
    EXPECT_EQ(statement->text(1), "t\xc3\xa4xt");
    EXPECT_EQ(statement->blob(2), blob);
    EXPECT_TRUE(statement->is_null(3));
    EXPECT_FALSE(statement->is_null(4));
    EXPECT_FALSE(*statement->step());
}

TEST_F(DatabaseTest, AStatementRunsAgainAfterReset) {
    auto database = open();
    ASSERT_TRUE(database.migrate(kFirst));
    auto statement = database.prepare("INSERT INTO t (b) VALUES (?)");
    for (int i = 0; i < 3; ++i) {
        statement->bind(std::to_string(i));
        ASSERT_TRUE(statement->run());
        EXPECT_EQ(database.changes(), 1);
        statement->reset();
    }
    EXPECT_EQ(count_rows(database), 3);
}

TEST_F(DatabaseTest, ReportsMistakesAsErrors) {
    auto database = open();
    ASSERT_TRUE(database.migrate(kFirst));
    EXPECT_EQ(database.prepare("SELEKT").error().code, Errc::failed);
    auto excess = database.prepare("SELECT 1");
    excess->bind(std::int64_t{1});
    EXPECT_EQ(excess->step().error().code, Errc::failed);
    auto null = database.prepare("INSERT INTO t (b) VALUES (?)");
    null->bind_null();
    EXPECT_EQ(null->run().error().code, Errc::constraint);
}

TEST_F(DatabaseTest, KeepsItsFilesPrivate) {
    auto database = open();
    ASSERT_TRUE(database.migrate(kFirst));
    ASSERT_TRUE(insert(database, "x"));
    EXPECT_GT(folder.list().size(), 1U);
    for (const auto& name : folder.list()) {
        struct stat info{};
        ASSERT_EQ(::stat((folder / name).c_str(), &info), 0);
        EXPECT_EQ(info.st_mode & 0777U, 0600U) << name;
    }
}

TEST_F(DatabaseTest, MigratesFromEveryVersion) {
    {
        auto database = open();
        ASSERT_TRUE(database.migrate(kFirst));
        ASSERT_TRUE(insert(database, "kept"));
    }
    auto database = open();
    ASSERT_TRUE(database.migrate(kSecond));
    ASSERT_TRUE(database.migrate(kSecond));
    auto statement = database.prepare("SELECT b, c FROM t");
    ASSERT_TRUE(statement && *statement->step());
    EXPECT_EQ(statement->text(0), "kept");
    EXPECT_TRUE(statement->is_null(1));
}

TEST_F(DatabaseTest, AMigrationThatFailsChangesNothing) {
    constexpr std::array<std::string_view, 2> kBroken{kFirst[0], "ALTER TABLE missing ADD COLUMN c"};
    auto database = open();
    EXPECT_FALSE(database.migrate(kBroken));
    EXPECT_FALSE(database.prepare("SELECT * FROM t"));
    EXPECT_TRUE(database.migrate(kFirst));
}

TEST_F(DatabaseTest, RefusesASchemaFromTheFuture) {
    {
        auto database = open();
        ASSERT_TRUE(database.migrate(kSecond));
    }
    auto database = open();
    const auto status = database.migrate(kFirst);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Errc::newer_schema);
    EXPECT_NE(status.error().message().find("newer version"), std::string::npos);
}

TEST_F(DatabaseTest, SeveralProcessesMigrateAndWriteAtOnce) {
    EXPECT_TRUE(test::race(8, [&](int) {
        auto database = Database::open(folder / "test.db");
        return database && database->migrate(kSecond) && insert(*database, "x") ? 0 : 1;
    }));
    auto database = open();
    EXPECT_EQ(count_rows(database), 8);
}

TEST_F(DatabaseTest, ATransactionThatIsNotCommittedIsRolledBack) {
    auto database = open();
    ASSERT_TRUE(database.migrate(kFirst));
    {
        auto transaction = Transaction::begin(database);
        ASSERT_TRUE(transaction);
        ASSERT_TRUE(insert(database, "gone"));
    }
    EXPECT_EQ(count_rows(database), 0);
    {
        auto transaction = Transaction::begin(database);
        ASSERT_TRUE(insert(database, "kept"));
        ASSERT_TRUE(transaction->commit());
    }
    EXPECT_EQ(count_rows(database), 1);
}

TEST_F(DatabaseTest, SaysWhatIsWrongWithAFileThatIsNoDatabase) {
    folder.write("test.db", std::string(4096, 'x'));
    EXPECT_EQ(Database::open(folder / "test.db").error().code, Errc::damaged);
    EXPECT_EQ(Database::open(folder / "missing/test.db").error().code, Errc::cannot_open);
    EXPECT_EQ(Database::open(folder.path()).error().code, Errc::cannot_open);
}

}  // namespace
}  // namespace pinhole::store
