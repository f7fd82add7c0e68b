// Two folders on the real disk and a transfer from one to the other.
#pragma once

#include "peer/files/descriptor.hpp"
#include "tests/support/temp_folder.hpp"
#include "tests/unit/files/loopback.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pinhole::files::test {

using pinhole::test::read_file;
using pinhole::test::TempFolder;

class DiskTest : public testing::Test {
  protected:
    [[nodiscard]] std::unique_ptr<Source> source_of(const std::vector<std::string>& paths) const {
        auto source = open_paths(paths, transfer_id());
        EXPECT_TRUE(source) << source.error().message();
        return std::move(source.value());
    }

    [[nodiscard]] std::unique_ptr<Sink> open_sink() {
        auto sink = open_folder(to.path(), rng);
        EXPECT_TRUE(sink) << sink.error().message();
        return std::move(sink.value());
    }

    /// Sends the paths; the names and hashes that were stored are in `stored`.
    void transfer(const std::vector<std::string>& paths) {
        const auto source = source_of(paths);
        const auto sink = open_sink();
        Loopback loopback{*source, *sink, 1};
        loopback.run();
        ASSERT_TRUE(loopback.done()) << loopback.receiver_error().value_or(std::error_code{}).message();
        for (const auto& event : loopback.receiver_events) {
            if (const auto* file = std::get_if<FileStored>(&event)) {
                stored.push_back(*file);
            }
        }
        sender_events = loopback.sender_events;
    }

    static struct stat status_of(const std::string& path) {
        struct stat info{};
        EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
        return info;
    }

    TempFolder from;
    TempFolder to;
    SeededRng rng{9};
    std::vector<FileStored> stored;
    std::vector<Event> sender_events;
};

}  // namespace pinhole::files::test
