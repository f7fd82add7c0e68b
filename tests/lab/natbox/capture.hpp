// A packet capture of one device as a pcap file of raw IP packets. Bounded: after so many bytes it takes no more.
#pragma once

#include "common/base/bytes.hpp"
#include "common/base/error.hpp"

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>

namespace pinhole::natbox {

class Capture {
  public:
    /// `snap_length`: bytes kept of each packet.
    [[nodiscard]] static Result<Capture> create(const std::filesystem::path& file, std::uint32_t snap_length);

    /// Stamped with the real time of the call.
    void add(ByteView packet);
    /// What was added is in the file.
    void flush();

  private:
    struct Close {
        void operator()(std::FILE* file) const { (void)std::fclose(file); }
    };

    Capture(std::FILE* file, std::uint32_t snap_length) : file_(file), snap_length_(snap_length) {}

    void write(const void* data, std::size_t size);

    std::unique_ptr<std::FILE, Close> file_;
    std::uint32_t snap_length_;
    std::size_t written_ = 0;
};

}  // namespace pinhole::natbox
