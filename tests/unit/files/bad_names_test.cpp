// Names from a peer that means harm: nothing outside of the target folder is ever touched.
#include "common/crypto/blake3.hpp"
#include "common/signaling/peer_frames.hpp"
#include "tests/unit/files/disk_fixture.hpp"

namespace pinhole::files {
namespace {

using test::DiskTest;
using test::read_file;

using Path = std::vector<std::string>;

const std::vector<Path> kEvil{{"../../etc/x"},
                              {"..", "..", "etc", "x"},
                              {"/etc/x"},
                              {"", "etc", "x"},
                              {".."},
                              {"."},
                              {""},
                              {std::string("a\0/b", 4)},
                              {"a/b"},
                              {"d", "..", "x"},
                              {"d", "."},
                              {std::string(256, 'a')}};

class BadNames : public DiskTest {
  protected:
    void SetUp() override {
        // The target is a folder inside `to`, so that one step up would be seen.
        target = to.make_folder("target");
        auto opened = open_folder(target, rng);
        ASSERT_TRUE(opened);
        sink = std::move(*opened);
    }

    Result<SinkResult> header(Path path, signaling::EntryKind kind = signaling::EntryKind::file) {
        return sink->run(signaling::EntryHeader{.path = std::move(path), .kind = kind, .size = 1, .mode = 0700});
    }

    /// A file of one byte.
    Result<SinkResult> file(Path path) {
        if (auto opened = header(std::move(path)); !opened) {
            return opened;
        }
        if (auto written = sink->run(Bytes{'x'}); !written) {
            return written;
        }
        return sink->run(signaling::EntryTrailer{.size = 1, .hash = crypto::blake3(as_bytes("x"))});
    }

    std::string target;
    std::unique_ptr<Sink> sink;
};

TEST_F(BadNames, TheReceiverAbortsBeforeTheDiskHearsOfIt) {
    for (const auto& path : kEvil) {
        SCOPED_TRACE(testing::PrintToString(path));
        Receiver receiver;
        receiver.handle_bytes(
            signaling::frame(signaling::TransferOffer{.id = test::transfer_id(), .name = "x", .files = 1, .bytes = 1}));
        ASSERT_TRUE(receiver.poll_event());
        receiver.accept();
        ASSERT_TRUE(receiver.poll_command());
        receiver.handle_result(SinkResult{});
        receiver.handle_bytes(signaling::frame(signaling::EntryHeader{.path = path, .size = 1}));
        EXPECT_EQ(std::get<Failed>(*receiver.poll_event()).error.code, Errc::unsafe_name);
        EXPECT_TRUE(std::holds_alternative<Discard>(*receiver.poll_command()));
    }
}

TEST_F(BadNames, TheSinkRefusesThemByItself) {
    for (const auto& path : kEvil) {
        SCOPED_TRACE(testing::PrintToString(path));
        sink = std::move(open_folder(target, rng).value());
        ASSERT_TRUE(header({"d"}, signaling::EntryKind::directory));
        EXPECT_EQ(header(path).error().code, Errc::unsafe_name);
        EXPECT_EQ(header(path, signaling::EntryKind::directory).error().code, Errc::unsafe_name);
    }
    EXPECT_EQ(to.list(), std::vector<std::string>{"target"});
}

TEST_F(BadNames, ALinkInTheTargetFolderIsNotFollowed) {
    const auto outside = to.make_folder("outside");
    std::filesystem::create_symlink(outside, target + "/photos");
    std::filesystem::create_symlink(outside + "/created", target + "/a");
    ASSERT_TRUE(header({"photos"}, signaling::EntryKind::directory));
    ASSERT_TRUE(file({"photos", "x"}));
    ASSERT_TRUE(file({"a"}));
    ASSERT_TRUE(sink->run(Complete{}));
    EXPECT_TRUE(to.list("outside").empty());
    EXPECT_EQ(read_file(target + "/photos (1)/x"), "x");
    EXPECT_EQ(read_file(target + "/a (1)"), "x");
}

TEST_F(BadNames, ALinkPutInThePlaceOfAFolderUnderWayIsNotFollowed) {
    const auto outside = to.make_folder("outside");
    ASSERT_TRUE(header({"d"}, signaling::EntryKind::directory));
    std::filesystem::rename(target + "/d", target + "/moved");
    std::filesystem::create_symlink(outside, target + "/d");
    ASSERT_TRUE(file({"d", "x"}));
    EXPECT_TRUE(to.list("outside").empty());
    EXPECT_EQ(read_file(target + "/moved/x"), "x");
}

TEST_F(BadNames, AnEntryInAFolderThatWasNotAnnouncedIsRefused) {
    to.make_folder("target/existing");
    EXPECT_EQ(header({"existing", "x"}).error().code, Errc::protocol);
    EXPECT_TRUE(to.list("target/existing").empty());
}

TEST_F(BadNames, AFolderThatWasLeftCannotBeEnteredAgain) {
    ASSERT_TRUE(header({"a"}, signaling::EntryKind::directory));
    ASSERT_TRUE(header({"b"}, signaling::EntryKind::directory));
    EXPECT_EQ(header({"a", "x"}).error().code, Errc::protocol);
}

}  // namespace
}  // namespace pinhole::files
