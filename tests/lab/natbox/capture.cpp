#include "tests/lab/natbox/capture.hpp"

#include <algorithm>
#include <array>
#include <chrono>

namespace pinhole::natbox {

namespace {

/// A scenario that fails is understood from its first minutes; a host's disk is not to be filled by a blast.
constexpr std::size_t kMaxFile = 64U << 20U;
constexpr std::uint32_t kMagic = 0xa1b2c3d4;  // microseconds, in the byte order of this machine
constexpr std::uint32_t kLinkTypeRaw = 101;
constexpr std::uint32_t kVersion = 4U << 16U | 2U;  // 2.4, as two 16-bit numbers

}  // namespace

Result<Capture> Capture::create(const std::filesystem::path& file, std::uint32_t snap_length) {
    auto* stream = std::fopen(file.c_str(), "wbe");
    if (stream == nullptr) {
        return fail_errno(file.string());
    }
    Capture capture{stream, snap_length};
    const std::array<std::uint32_t, 6> header{kMagic, kVersion, 0, 0, snap_length, kLinkTypeRaw};
    capture.write(header.data(), sizeof header);
    capture.flush();
    return capture;
}

void Capture::add(ByteView packet) {
    using namespace std::chrono;
    const auto kept = std::min<std::size_t>(packet.size(), snap_length_);
    std::array<std::uint32_t, 4> header{};
    if (written_ + sizeof header + kept > kMaxFile) {
        return;
    }
    const auto now = duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
    header[0] = static_cast<std::uint32_t>(now / 1'000'000);
    header[1] = static_cast<std::uint32_t>(now % 1'000'000);
    header[2] = static_cast<std::uint32_t>(kept);
    header[3] = static_cast<std::uint32_t>(packet.size());
    write(header.data(), sizeof header);
    write(packet.data(), kept);
}

void Capture::flush() {
    (void)std::fflush(file_.get());
}

void Capture::write(const void* data, std::size_t size) {
    written_ += std::fwrite(data, 1, size, file_.get());
}

}  // namespace pinhole::natbox
