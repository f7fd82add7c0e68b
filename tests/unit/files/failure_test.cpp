// What goes wrong in the middle, and what is left on the disk then: nothing under a final name that is not complete.
#include "common/crypto/blake3.hpp"
#include "tests/unit/files/disk_fixture.hpp"

#include <tuple>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

namespace pinhole::files {
namespace {

using test::DiskTest;
using test::Loopback;
using test::TempFolder;

/// Runs `body` in a child process, which may change its limits or die; returns the status of waitpid.
template <class Body>
int in_child(Body body) {
    const auto child = ::fork();
    if (child == 0) {
        ::_exit(body());
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    return status;
}

bool is_part(const std::string& name) {
    return name.starts_with(".pinhole-") && name.ends_with(".part");
}

TEST_F(DiskTest, AWrongHashLeavesNothing) {
    const auto sink = open_sink();
    ASSERT_TRUE(sink->run(signaling::EntryHeader{.path = {"a"}, .size = 3}));
    ASSERT_TRUE(sink->run(to_bytes(as_bytes("abc"))));
    const auto result = sink->run(signaling::EntryTrailer{.size = 3, .hash = crypto::blake3(as_bytes("abd"))});
    EXPECT_EQ(result.error().code, Errc::hash_mismatch);
    EXPECT_TRUE(to.list().empty());
    EXPECT_EQ(sink->run(Complete{}).error().code, Errc::hash_mismatch);
    EXPECT_TRUE(sink->run(Discard{}));
}

TEST_F(DiskTest, AHalfFileHasAHiddenNameAndGoesAwayWithItsSink) {
    {
        const auto sink = open_sink();
        ASSERT_TRUE(sink->run(signaling::EntryHeader{.path = {std::string(255, 'a')}, .size = 3}));
        ASSERT_TRUE(sink->run(to_bytes(as_bytes("ab"))));
        ASSERT_EQ(to.list().size(), 1U);
        EXPECT_TRUE(is_part(to.list()[0]));
        EXPECT_EQ(status_of(to / to.list()[0]).st_mode & 0777U, 0600U);
    }
    EXPECT_TRUE(to.list().empty());
}

TEST_F(DiskTest, ADiscardRemovesTheHalfFile) {
    const auto sink = open_sink();
    ASSERT_TRUE(
        sink->run(signaling::EntryHeader{.path = {"d"}, .kind = signaling::EntryKind::directory, .mode = 0700}));
    ASSERT_TRUE(sink->run(signaling::EntryHeader{.path = {"d", "a"}, .size = 3}));
    ASSERT_TRUE(sink->run(Discard{}));
    EXPECT_TRUE(to.list("d").empty());
}

TEST_F(DiskTest, AKilledReceiverLeavesNothingUnderTheFinalName) {
    const int status = in_child([&] {
        const auto sink = open_sink();
        std::ignore = sink->run(signaling::EntryHeader{.path = {"a"}, .size = 2 * kChunkSize});
        std::ignore = sink->run(Bytes(kChunkSize, 'x'));
        return ::kill(::getpid(), SIGKILL);
    });
    ASSERT_TRUE(WIFSIGNALED(status));
    ASSERT_EQ(to.list().size(), 1U);
    EXPECT_TRUE(is_part(to.list()[0]));
}

TEST_F(DiskTest, OldPartsAreRemovedAndYoungOnesKept) {
    to.write(".pinhole-0011223344556677.part", "old");
    to.write(".pinhole-8899aabbccddeeff.part", "young");
    to.write("pinhole-old.part", "somebody's");
    const std::array<timespec, 2> times{timespec{1, 0}, timespec{1'000'000'000, 0}};
    for (const auto* name : {".pinhole-0011223344556677.part", "pinhole-old.part"}) {
        ASSERT_EQ(::utimensat(AT_FDCWD, (to / name).c_str(), times.data(), 0), 0);
    }
    ASSERT_TRUE(open_sink());
    EXPECT_EQ(to.list(), (std::vector<std::string>{".pinhole-8899aabbccddeeff.part", "pinhole-old.part"}));
}

TEST_F(DiskTest, AFullDiskIsAnErrorOnBothSidesAndLeavesNothing) {
    const auto path = from.write("big", std::string(2 * kChunkSize, 'x'));
    // A limit on file sizes fails like a full disk (EFBIG in the place of ENOSPC) and needs no mount.
    const int status = in_child([&] {
        ::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{.rlim_cur = kChunkSize + 1000, .rlim_max = kChunkSize + 1000};
        ::setrlimit(RLIMIT_FSIZE, &limit);
        const auto source = source_of({path});
        const auto sink = open_sink();
        Loopback loopback{*source, *sink, 1};
        loopback.run();
        const bool told = loopback.receiver_error() == Errc::disk_full && loopback.sender_error() == Errc::disk_full;
        return told && loopback.receiver.finished() && loopback.sender.finished() ? 0 : 1;
    });
    EXPECT_EQ(status, 0);
    EXPECT_TRUE(to.list().empty());
}

TEST_F(DiskTest, AnOfferLargerThanTheDiskIsRefused) {
    const auto sink = open_sink();
    signaling::TransferOffer offer{.id = test::transfer_id(), .name = "huge", .files = 1};
    offer.bytes = 1ULL << 60;
    EXPECT_TRUE(sink->run(Prepare{offer}));  // all of it holes
    offer.disk_bytes = 1ULL << 60;
    EXPECT_EQ(sink->run(Prepare{offer}).error().code, Errc::disk_full);
}

TEST_F(DiskTest, AFileThatChangesWhileItIsReadIsAnError) {
    const auto path = from.write("log", std::string(3 * kChunkSize, 'x'));
    const auto fails_after = [&](auto change) {
        const auto source = source_of({path});
        Result<SourceItem> item = source->next();  // the header
        item = source->next();
        change();
        for (int i = 0; i < 5 && item; ++i) {
            item = source->next();
        }
        return item ? std::error_code{} : item.error().code;
    };
    EXPECT_EQ(fails_after([] {}), std::error_code{});
    EXPECT_EQ(fails_after([&] { std::ofstream{path, std::ios::app} << "more"; }), Errc::changed_while_reading);
    EXPECT_EQ(fails_after([&] { std::filesystem::resize_file(path, kChunkSize); }), Errc::changed_while_reading);
}

TEST_F(DiskTest, AFileThatVanishesBeforeItsTurnIsSkippedWithANote) {
    from.make_folder("tree");
    from.write("tree/a", "a");
    from.write("tree/b", "b");
    const auto source = source_of({from / "tree"});
    ASSERT_EQ(source->offer().files, 2U);
    ASSERT_TRUE(std::holds_alternative<signaling::EntryHeader>(*source->next()));
    const auto first = std::get<signaling::EntryHeader>(*source->next()).path.back();
    std::filesystem::remove(from / (first == "a" ? "tree/b" : "tree/a"));
    ASSERT_TRUE(source->next());  // data
    ASSERT_TRUE(source->next());  // trailer
    const auto item = source->next();
    ASSERT_TRUE(item);
    EXPECT_EQ(std::get<signaling::EntrySkipped>(*item).reason, signaling::SkipReason::vanished);
}

TEST_F(DiskTest, PathsThatCannotBeSentAreNamed) {
    const auto code_of = [&](const std::string& path) {
        return open_paths(std::vector{path}, test::transfer_id()).error().code;
    };
    EXPECT_EQ(code_of(from / "nothing"), Errc::not_found);
    EXPECT_EQ(code_of("/dev/null"), Errc::not_a_file);
    EXPECT_EQ(code_of("/"), Errc::not_a_file);
    const auto error = open_paths(std::vector{from / "nothing\x1b[2J"}, test::transfer_id()).error();
    EXPECT_NE(error.message().find("nothing?[2J"), std::string::npos);
}

TEST_F(DiskTest, FilesAndFoldersWithoutPermissionAreNoticedBeforeAnythingIsSent) {
    constexpr uid_t kNobody = 65534;
    from.make_folder("tree");
    ::chmod(from.write("tree/secret", "x").c_str(), 0);
    ::chmod(from.path().c_str(), 0755);
    ::chmod(to.path().c_str(), 0555);
    const int status = in_child([&] {
        if (::geteuid() == 0 && ::setuid(kNobody) != 0) {  // root may do everything
            return 2;
        }
        const auto source = open_paths(std::vector{from / "tree"}, test::transfer_id());
        const auto sink = open_sink();
        const auto created = sink->run(signaling::EntryHeader{.path = {"a"}, .size = 1});
        return !source && source.error().code == Errc::no_permission && !created &&
                       created.error().code == Errc::no_permission
                   ? 0
                   : 1;
    });
    EXPECT_EQ(status, 0);
    ::chmod(to.path().c_str(), 0700);
}

TEST_F(DiskTest, ATargetFolderThatIsNotThereIsAnError) {
    EXPECT_EQ(open_folder(to / "missing", rng).error().code, Errc::not_found);
    EXPECT_FALSE(open_folder(to.write("file", ""), rng));
}

TEST_F(DiskTest, CancellingAtAnyMomentLeavesNoHalfFile) {
    const auto path = from.write("a", std::string(kChunkSize + 5, 'x'));
    for (std::uint64_t steps = 0; steps < 60; ++steps) {
        SCOPED_TRACE(testing::Message() << "seed and steps " << steps);
        const TempFolder target;
        const auto source = source_of({path});
        auto sink = open_folder(target.path(), rng);
        ASSERT_TRUE(sink);
        Loopback loopback{*source, **sink, steps};
        const bool moving = loopback.run_steps(steps);
        steps % 2 == 0 ? loopback.sender.cancel() : loopback.receiver.cancel();
        loopback.run();
        EXPECT_TRUE(loopback.sender.finished() && loopback.receiver.finished());
        for (const auto& name : target.list()) {
            EXPECT_EQ(name, "a");
            EXPECT_EQ(std::filesystem::file_size(target / name), kChunkSize + 5);
        }
        if (!moving) {
            break;
        }
    }
}

}  // namespace
}  // namespace pinhole::files
