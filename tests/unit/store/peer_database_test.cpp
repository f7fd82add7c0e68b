#include "peer/store/peer_database.hpp"

#include "peer/store/errors.hpp"
#include "tests/support/child.hpp"
#include "tests/support/temp_folder.hpp"

#include <gtest/gtest.h>

namespace pinhole::peer_store {
namespace {

PeerId peer(std::uint8_t n) {
    PeerId id;
    id.bytes.fill(n);
    return id;
}

MessageId message_id(std::uint8_t n) {
    MessageId id;
    id.bytes.fill(n);
    return id;
}

class PeerDatabaseTest : public testing::Test {
  protected:
    PeerDatabase database = PeerDatabase::open_file(":memory:").value();
    Contacts contacts = database.contacts();
    Messages messages = database.messages();
    Transfers transfers = database.transfers();
    Settings settings = database.settings();
    const WallTime now{1000};
};

TEST_F(PeerDatabaseTest, FindsContactsByNameAndId) {
    ASSERT_TRUE(contacts.add(peer(1), "Zo\xc3\xab", now));
    ASSERT_TRUE(contacts.add(peer(2), "bob", now));
    ASSERT_TRUE(contacts.add(peer(3), "Alice", now));
    EXPECT_EQ((*contacts.find("BOB"))->id, peer(2));
    EXPECT_EQ((*contacts.find(peer(1).text()))->name, "Zo\xc3\xab");
    EXPECT_EQ((*contacts.find(peer(3)))->added_at, now);
    EXPECT_FALSE(*contacts.find("nobody"));
    EXPECT_FALSE(*contacts.find(peer(9)));
    const auto all = contacts.list();
    ASSERT_EQ(all->size(), 3U);
    EXPECT_EQ(all->at(0).name, "Alice");
    EXPECT_EQ(all->at(1).name, "bob");
}

TEST_F(PeerDatabaseTest, AContactHasOneNameAndANameOneContact) {
    ASSERT_TRUE(contacts.add(peer(1), "bob", now));
    EXPECT_EQ(contacts.add(peer(2), "Bob", now).error().code, Errc::name_taken);
    const auto again = contacts.add(peer(1), "robert", now);
    EXPECT_EQ(again.error().code, Errc::id_taken);
    EXPECT_EQ(again.error().detail, "bob");
    EXPECT_EQ(contacts.list()->size(), 1U);
}

TEST_F(PeerDatabaseTest, ContactsAreRenamedAndRemovedByNameOrId) {
    ASSERT_TRUE(contacts.add(peer(1), "bob", now));
    ASSERT_TRUE(contacts.add(peer(2), "eve", now));
    EXPECT_TRUE(contacts.rename("bob", "Bob"));
    EXPECT_EQ(contacts.rename("bob", "EVE").error().code, Errc::name_taken);
    EXPECT_TRUE(contacts.rename(peer(2).text(), "mallory"));
    EXPECT_EQ(contacts.rename("eve", "x").error().code, Errc::unknown_contact);
    EXPECT_TRUE(contacts.remove("mallory"));
    EXPECT_EQ(contacts.remove("mallory").error().code, Errc::unknown_contact);
    EXPECT_TRUE(contacts.remove(peer(1).text()));
    EXPECT_TRUE(contacts.list()->empty());
}

TEST_F(PeerDatabaseTest, RefusesNamesThatWouldConfuse) {
    const auto refused = [&](std::string_view name) { return contacts.add(peer(1), name, now).error().code; };
    EXPECT_EQ(refused(""), Errc::bad_name);
    EXPECT_EQ(refused(" bob"), Errc::bad_name);
    EXPECT_EQ(refused("bob "), Errc::bad_name);
    EXPECT_EQ(refused("-v"), Errc::bad_name);
    EXPECT_EQ(refused("a\nb"), Errc::bad_name);
    EXPECT_EQ(refused("\x1b[31m"), Errc::bad_name);
    EXPECT_EQ(refused("\xff"), Errc::bad_name);
    EXPECT_EQ(refused(std::string(65, 'a')), Errc::bad_name);
    EXPECT_EQ(refused(peer(5).text()), Errc::bad_name);
    std::string long_name;
    for (int i = 0; i < 64; ++i) {
        long_name += "\xc3\xa4";
    }
    EXPECT_TRUE(contacts.add(peer(1), long_name, now));
}

TEST_F(PeerDatabaseTest, AMessageIsKeptOnce) {
    const Message message{
        .id = message_id(1), .peer = peer(1), .direction = Direction::incoming, .sent_at = now, .text = "hello"};
    EXPECT_EQ(messages.add(message), true);
    EXPECT_EQ(messages.add(message), false);
    auto other = message;
    other.peer = peer(2);  // somebody else may draw, or copy, the same id
    EXPECT_EQ(messages.add(other), true);
    const auto all = messages.list(peer(1), 10);
    ASSERT_EQ(all->size(), 1U);
    EXPECT_EQ(all->at(0).text, "hello");
    EXPECT_EQ(all->at(0).state, MessageState::delivered);
    EXPECT_EQ(all->at(0).sent_at, now);
}

TEST_F(PeerDatabaseTest, OutgoingMessagesArePendingUntilDelivered) {
    for (std::uint8_t n = 1; n <= 3; ++n) {
        ASSERT_TRUE(messages.add({.id = message_id(n), .peer = peer(1), .sent_at = now, .text = std::to_string(n)}));
    }
    ASSERT_TRUE(messages.mark_delivered(peer(1), message_id(2)));
    ASSERT_TRUE(messages.mark_delivered(peer(2), message_id(1)));
    const auto pending = messages.pending(peer(1));
    ASSERT_EQ(pending->size(), 2U);
    EXPECT_EQ(pending->at(0).text, "1");
    EXPECT_EQ(pending->at(1).text, "3");
}

TEST_F(PeerDatabaseTest, HistoryShowsTheLatestInOrder) {
    for (std::uint8_t n = 1; n <= 5; ++n) {
        const auto id = message_id(n);
        ASSERT_TRUE(messages.add({.id = id, .peer = peer(n % 2), .sent_at = now, .text = std::to_string(n)}));
    }
    const auto all = messages.list(std::nullopt, 2);
    ASSERT_EQ(all->size(), 2U);
    EXPECT_EQ(all->at(0).text, "4");
    EXPECT_EQ(all->at(1).text, "5");
    EXPECT_EQ(messages.list(peer(1), 10)->size(), 3U);
}

TEST_F(PeerDatabaseTest, ATransferIsRecordedFromStartToEnd) {
    SeededRng rng{1};
    Transfer transfer{.id = TransferId::generate(rng),
                      .peer = peer(1),
                      .direction = Direction::incoming,
                      .name = "a\xff.bin",
                      .bytes = 1ULL << 40,
                      .started_at = now};
    ASSERT_TRUE(transfers.start(transfer));
    EXPECT_FALSE(transfers.list(std::nullopt, 10)->at(0).ended_at);
    transfer.state = TransferState::failed;
    transfer.bytes = 12;
    transfer.ended_at = WallTime{2000};
    transfer.error = "the disk is full";
    ASSERT_TRUE(transfers.end(transfer));
    const auto all = transfers.list(peer(1), 10);
    ASSERT_EQ(all->size(), 1U);
    EXPECT_EQ(all->at(0).id, transfer.id);
    EXPECT_EQ(all->at(0).name, "a\xff.bin");
    EXPECT_EQ(all->at(0).state, TransferState::failed);
    EXPECT_EQ(all->at(0).bytes, 12U);
    EXPECT_EQ(all->at(0).ended_at, WallTime{2000});
    EXPECT_EQ(all->at(0).error, "the disk is full");
    ASSERT_TRUE(transfers.start(transfer));
    EXPECT_EQ(transfers.list(peer(1), 10)->size(), 1U);
}

TEST_F(PeerDatabaseTest, ServersAreRememberedWithTheirKeys) {
    EXPECT_FALSE(*settings.server());
    ASSERT_TRUE(settings.set_server("a.example:3478"));
    ASSERT_TRUE(settings.set_server("b.example:3478"));
    EXPECT_EQ(**settings.server(), "b.example:3478");
    EXPECT_FALSE(*settings.server_pin("a.example:3478"));
    ASSERT_TRUE(settings.set_server_pin("a.example:3478", peer(7).bytes));
    EXPECT_EQ(**settings.server_pin("a.example:3478"), peer(7).bytes);
    EXPECT_FALSE(*settings.server_pin("b.example:3478"));
}

TEST_F(PeerDatabaseTest, ADamagedPinIsNotTheAbsenceOfOne) {
    ASSERT_TRUE(settings.set("server_pin/a:1", "nonsense"));
    EXPECT_FALSE(settings.server_pin("a:1"));
}

net::NetReport report_with(std::uint16_t port) {
    net::NetReport report;
    report.udp.open = true;
    report.udp.mapping = net::NatBehavior::endpoint_independent;
    report.udp.reflexive = net::Endpoint{.address = *net::Address::parse("203.0.113.9"), .port = port};
    report.local = {*net::Address::parse("10.0.0.2")};
    return report;
}

WallTime after(WallTime time, std::chrono::milliseconds duration) {
    return {time.unix_ms + duration.count()};
}

TEST_F(PeerDatabaseTest, ReportsAreFoundForTheirPlaceWhileTheyAreValid) {
    const Place home{.server = "a:3478", .network = "10.0.0.1%eth0", .public_address = "203.0.113.9"};
    auto reports = database.net_reports();
    EXPECT_FALSE(*reports.find(home, now));
    ASSERT_TRUE(reports.set(home, report_with(1), now));
    ASSERT_TRUE(reports.set(home, report_with(2), now));
    EXPECT_EQ(*reports.find(home, now), report_with(2));
    EXPECT_EQ(*reports.find(home, after(now, NetReports::kValid - 1ms)), report_with(2));
    EXPECT_FALSE(*reports.find(home, after(now, NetReports::kValid)));
    for (auto other :
         {Place{"b:3478", home.network, home.public_address}, Place{home.server, "10.0.0.1%wlan0", home.public_address},
          Place{home.server, home.network, "203.0.113.10"}}) {
        EXPECT_FALSE(*reports.find(other, now)) << other.server << ' ' << other.network << ' ' << other.public_address;
    }
}

TEST_F(PeerDatabaseTest, ReportsOfTheFutureAndOldOnesGo) {
    const Place first{"a", "x", "1"};
    const Place second{"a", "y", "1"};
    auto reports = database.net_reports();
    ASSERT_TRUE(reports.set(first, report_with(1), after(now, 1h)));
    EXPECT_FALSE(*reports.find(first, now)) << "the clock was set back";
    ASSERT_TRUE(reports.set(second, report_with(2), now));
    EXPECT_FALSE(*reports.find(first, after(now, 1h))) << "removed when the next one was stored";
    EXPECT_EQ(*reports.find(second, now), report_with(2));
}

TEST(PeerDatabaseFile, OfTheFirstVersionIsBroughtUpToDate) {
    const test::TempFolder folder;
    {
        auto database = PeerDatabase::open_file(folder / "pinhole.db");
        ASSERT_TRUE(database && database->contacts().add(peer(1), "bob", {}));
        auto raw = store::Database::open(folder / "pinhole.db");
        ASSERT_TRUE(raw && raw->execute("DROP TABLE net_reports; PRAGMA user_version = 1"));
    }
    auto database = PeerDatabase::open_file(folder / "pinhole.db");
    ASSERT_TRUE(database) << database.error().message();
    EXPECT_TRUE(*database->contacts().find("bob"));
    EXPECT_TRUE(database->net_reports().set({"a", "b", "c"}, report_with(1), {}));
}

TEST(PeerDatabaseFile, IsSharedBySeveralProcesses) {
    const test::TempFolder folder;
    const auto home = Home::open(folder.path()).value();
    EXPECT_TRUE(test::race(8, [&](int n) {
        auto database = PeerDatabase::open(home);
        const auto id = static_cast<std::uint8_t>(n);
        return database && database->contacts().add(peer(id), "peer " + std::to_string(n), {}) ? 0 : 1;
    }));
    auto database = PeerDatabase::open(home);
    ASSERT_TRUE(database);
    EXPECT_EQ(database->contacts().list()->size(), 8U);
}

TEST(PeerDatabaseFile, FromANewerProgramIsRefusedByName) {
    const test::TempFolder folder;
    {
        auto database = store::Database::open(folder / "pinhole.db");
        ASSERT_TRUE(database && database->execute("PRAGMA user_version = 99"));
    }
    const auto error = PeerDatabase::open_file(folder / "pinhole.db").error();
    EXPECT_EQ(error.code, store::Errc::newer_schema);
    EXPECT_NE(error.message().find("pinhole.db"), std::string::npos);
}

}  // namespace
}  // namespace pinhole::peer_store
