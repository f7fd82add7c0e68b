// What arrives on the disk: contents, names, times, holes, folders.
#include "common/crypto/blake3.hpp"
#include "tests/unit/files/disk_fixture.hpp"

#include <array>
#include <thread>

namespace pinhole::files {
namespace {

using test::DiskTest;
using test::Loopback;
using test::read_file;

std::string random_content(std::size_t size) {
    SeededRng rng{size};
    std::string content(size, '\0');
    rng.fill(ByteSpan{reinterpret_cast<std::uint8_t*>(content.data()), content.size()});
    return content;
}

TEST_F(DiskTest, AFileArrivesWithContentModeAndTime) {
    const auto content = random_content(3 * kChunkSize + 17);
    const auto path = from.write("a.bin", content);
    ::chmod(path.c_str(), 0751);
    const std::array<timespec, 2> times{timespec{1, 2}, timespec{1'500'000'000, 123'456'789}};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times.data(), 0), 0);

    transfer({path});
    EXPECT_EQ(to.list(), std::vector<std::string>{"a.bin"});
    EXPECT_EQ(read_file(to / "a.bin"), content);
    const auto info = status_of(to / "a.bin");
    EXPECT_EQ(info.st_mode & 07777U, 0751U);
    EXPECT_EQ(info.st_mtim.tv_sec, 1'500'000'000);
    EXPECT_EQ(info.st_mtim.tv_nsec, 123'456'789);
    ASSERT_EQ(stored.size(), 1U);
    EXPECT_EQ(stored[0].hash, crypto::blake3(as_bytes(content)));
}

TEST_F(DiskTest, SpecialPermissionBitsDoNotTravel) {
    const auto path = from.write("tool", "#!");
    ::chmod(path.c_str(), 06755);
    transfer({path});
    EXPECT_EQ(status_of(to / "tool").st_mode & 07777U, 0755U);
}

TEST_F(DiskTest, AnEmptyFileArrives) {
    transfer({from.write("empty", "")});
    EXPECT_EQ(status_of(to / "empty").st_size, 0);
    EXPECT_EQ(stored.at(0).hash, crypto::blake3({}));
}

TEST_F(DiskTest, AFolderArrivesWithEverythingInIt) {
    from.make_folder("tree/a/b");
    from.make_folder("tree/empty");
    from.write("tree/one", "1");
    from.write("tree/a/two", "22");
    from.write("tree/a/b/three", "333");
    ::chmod((from / "tree/a").c_str(), 0500);
    const std::array<timespec, 2> times{timespec{1, 0}, timespec{1'400'000'000, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (from / "tree/a").c_str(), times.data(), 0), 0);

    transfer({from / "tree"});
    EXPECT_EQ(read_file(to / "tree/one"), "1");
    EXPECT_EQ(read_file(to / "tree/a/two"), "22");
    EXPECT_EQ(read_file(to / "tree/a/b/three"), "333");
    EXPECT_TRUE(to.list("tree/empty").empty());
    EXPECT_EQ(status_of(to / "tree/a").st_mode & 07777U, 0500U);
    EXPECT_EQ(status_of(to / "tree/a").st_mtim.tv_sec, 1'400'000'000);
    ::chmod((from / "tree/a").c_str(), 0700);
    ::chmod((to / "tree/a").c_str(), 0700);
}

TEST_F(DiskTest, AFolderIsNamedWhateverWayItIsGiven) {
    from.make_folder("tree/a");
    from.write("tree/a/x", "x");
    transfer({from / "tree/a/", from / "tree/a/../../tree/."});
    EXPECT_EQ(read_file(to / "a/x"), "x");
    EXPECT_EQ(read_file(to / "tree/a/x"), "x");
}

TEST_F(DiskTest, TheDeepestTreeThatIsAllowedArrives) {
    std::string path = "d";
    for (std::size_t depth = 1; depth + 1 < kMaxDepth; ++depth) {
        path += "/d";
    }
    from.make_folder(path);
    from.write(path + "/leaf", "x");
    transfer({from / "d"});
    EXPECT_EQ(read_file(to / (path + "/leaf")), "x");

    from.make_folder(path + "/d/d");
    EXPECT_EQ(open_paths(std::vector{from / "d"}, test::transfer_id()).error().code, Errc::too_deep);
}

TEST_F(DiskTest, LinksAreFollowedWhenNamedAndSkippedInsideFolders) {
    from.make_folder("tree");
    from.write("target", "content");
    std::filesystem::create_symlink(from / "target", from / "link");
    std::filesystem::create_symlink(from / "target", from / "tree/inner");
    ASSERT_EQ(::mkfifo((from / "tree/pipe").c_str(), 0600), 0);
    transfer({from / "link", from / "tree"});
    EXPECT_EQ(read_file(to / "link"), "content");
    EXPECT_TRUE(S_ISREG(status_of(to / "link").st_mode));
    EXPECT_TRUE(to.list("tree").empty());
    EXPECT_EQ(test::count<Skipped>(sender_events), 2U);
}

TEST_F(DiskTest, AnExistingNameIsNeverOverwritten) {
    const auto path = from.write("a.txt", "new");
    to.write("a.txt", "old");
    std::filesystem::create_symlink("nowhere", to / "a (1).txt");
    transfer({path});
    EXPECT_EQ(read_file(to / "a.txt"), "old");
    EXPECT_EQ(read_file(to / "a (2).txt"), "new");
    EXPECT_EQ(stored.at(0).path, "a (2).txt");
}

TEST_F(DiskTest, AnExistingFolderIsNotMixedWithTheNewOne) {
    from.make_folder("tree");
    from.write("tree/a", "new");
    to.make_folder("tree");
    transfer({from / "tree"});
    EXPECT_TRUE(to.list("tree").empty());
    EXPECT_EQ(read_file(to / "tree (1)/a"), "new");
    EXPECT_EQ(stored.at(0).path, "tree (1)/a");
}

TEST_F(DiskTest, TwoPathsOfTheSameNameBothArrive) {
    from.make_folder("x");
    from.make_folder("y");
    transfer({from.write("x/a", "1"), from.write("y/a", "2")});
    EXPECT_EQ(read_file(to / "a"), "1");
    EXPECT_EQ(read_file(to / "a (1)"), "2");
}

TEST_F(DiskTest, ANameOf255BytesArrivesEvenWhenItIsTaken) {
    const std::string name = std::string(251, 'n') + ".txt";
    const auto path = from.write(name, "new");
    to.write(name, "old");
    transfer({path});
    EXPECT_EQ(read_file(to / name), "old");
    EXPECT_EQ(read_file(to / (std::string(247, 'n') + " (1).txt")), "new");
}

TEST_F(DiskTest, ANameThatIsNotUtf8KeepsItsBytes) {
    const std::string name = "caf\xe9 \xff\\x";
    transfer({from.write(name, "x")});
    EXPECT_EQ(to.list(), std::vector<std::string>{name});
    EXPECT_EQ(stored.at(0).path, name);
}

TEST_F(DiskTest, ASparseFileStaysSparse) {
    constexpr off_t kSize = 3LL << 30;
    const auto path = from / "sparse";
    const Descriptor file{::open(path.c_str(), O_RDWR | O_CREAT, 0600)};
    ASSERT_EQ(::ftruncate(file.value(), kSize), 0);
    ASSERT_EQ(::pwrite(file.value(), "middle", 6, 1'000'000'001), 6);
    ASSERT_EQ(::pwrite(file.value(), "end", 3, kSize - 3), 3);

    transfer({path});
    const auto info = status_of(to / "sparse");
    EXPECT_EQ(info.st_size, kSize);
    EXPECT_LT(info.st_blocks * 512, 4 << 20);
    const Descriptor copy{::open((to / "sparse").c_str(), O_RDONLY)};
    std::array<char, 6> text{};
    ASSERT_EQ(::pread(copy.value(), text.data(), 6, 1'000'000'001), 6);
    EXPECT_EQ(std::string_view(text.data(), 6), "middle");
    ASSERT_EQ(::pread(copy.value(), text.data(), 3, kSize - 3), 3);
    EXPECT_EQ(std::string_view(text.data(), 3), "end");
}

TEST_F(DiskTest, AFileOfNothingButAHoleArrives) {
    const auto path = from / "hole";
    const Descriptor file{::open(path.c_str(), O_RDWR | O_CREAT, 0600)};
    ASSERT_EQ(::ftruncate(file.value(), 3LL << 30), 0);
    const auto source = source_of({path});
    EXPECT_EQ(source->offer().disk_bytes, 0U);
    transfer({path});
    EXPECT_EQ(status_of(to / "hole").st_size, 3LL << 30);
    EXPECT_EQ(status_of(to / "hole").st_blocks, 0);
}

TEST_F(DiskTest, WrittenZerosAreNotStoredEither) {
    const auto content = random_content(kChunkSize) + std::string(4 * kChunkSize, '\0') + "tail";
    transfer({from.write("zeros", content)});
    EXPECT_EQ(read_file(to / "zeros"), content);
    EXPECT_LT(status_of(to / "zeros").st_blocks * 512, static_cast<blkcnt_t>(3 * kChunkSize));
}

TEST_F(DiskTest, StandardInputArrivesAndGoesToStandardOutput) {
    const auto content = random_content(700'000);
    std::array<int, 2> in{};
    std::array<int, 2> out{};
    ASSERT_EQ(::pipe(in.data()), 0);
    ASSERT_EQ(::pipe(out.data()), 0);
    std::thread writer{[&] {
        for (ByteView rest = as_bytes(content); !rest.empty();) {
            const auto count = ::write(in[1], rest.data(), rest.size());
            rest = rest.subspan(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
        }
        ::close(in[1]);
    }};
    std::string read;
    std::thread reader{[&] {
        std::array<char, 65536> buffer{};
        for (ssize_t count = 0; (count = ::read(out[0], buffer.data(), buffer.size())) > 0;) {
            read.append(buffer.data(), static_cast<std::size_t>(count));
        }
    }};
    const auto source = open_stream(in[0], "stdin", test::transfer_id());
    EXPECT_FALSE(source->offer().size_known);
    const auto sink = open_output(out[1]);
    Loopback loopback{*source, *sink, 4};
    loopback.run();
    ::close(out[1]);
    writer.join();
    reader.join();
    ::close(in[0]);
    ::close(out[0]);
    EXPECT_TRUE(loopback.done());
    EXPECT_EQ(read, content);
}

TEST_F(DiskTest, AFolderDoesNotGoToStandardOutput) {
    from.make_folder("tree");
    const auto source = source_of({from / "tree"});
    const auto sink = open_output(-1);
    Loopback loopback{*source, *sink, 1};
    loopback.run();
    EXPECT_EQ(loopback.receiver_error(), Errc::single_file_only);
    EXPECT_EQ(loopback.sender_error(), Errc::refused);
}

}  // namespace
}  // namespace pinhole::files
