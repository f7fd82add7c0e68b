#include "common/base/encoding.hpp"
#include "peer/files/descriptor.hpp"
#include "peer/files/errors.hpp"
#include "peer/files/file_hash.hpp"
#include "peer/files/limits.hpp"
#include "peer/files/path.hpp"
#include "peer/files/sink.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <utility>

#include <poll.h>
#include <unistd.h>

namespace pinhole::files {

namespace {

class StreamSink final : public Sink {
  public:
    explicit StreamSink(int descriptor) : descriptor_(descriptor) {}

    [[nodiscard]] Result<SinkResult> run(const SinkCommand& command) override {
        if (std::holds_alternative<Discard>(command)) {
            return std::nullopt;
        }
        if (failed_) {
            return std::unexpected(*failed_);
        }
        auto result = std::visit([&](const auto& body) { return handle(body); }, command);
        if (!result) {
            failed_ = result.error();
        }
        return result;
    }

  private:
    Result<SinkResult> handle(const Prepare& prepare) {
        if (prepare.offer.files != 1 || prepare.offer.directories != 0) {
            return fail(Errc::single_file_only, printable(prepare.offer.name));
        }
        return std::nullopt;
    }

    Result<SinkResult> handle(const signaling::EntryHeader& header) {
        if (started_ || header.kind != signaling::EntryKind::file) {
            return fail(Errc::single_file_only, printable(join_path(header.path)));
        }
        started_ = true;
        path_ = join_path(header.path);
        return std::nullopt;
    }

    Result<SinkResult> handle(const Bytes& bytes) {
        hash_.data(bytes);
        return write(bytes);
    }

    Result<SinkResult> handle(const signaling::ZeroRun& run) {
        static constexpr std::array<std::uint8_t, 64 * 1024> kZeros{};
        hash_.zeros(run.count);
        for (auto rest = run.count; rest > 0;) {
            const auto step = std::min<std::uint64_t>(rest, kZeros.size());
            if (auto written = write(ByteView{kZeros}.first(static_cast<std::size_t>(step))); !written) {
                return written;
            }
            rest -= step;
        }
        return std::nullopt;
    }

    Result<SinkResult> handle(const signaling::EntryTrailer& trailer) {
        if (hash_.size() != trailer.size || hash_.finish() != trailer.hash) {
            return fail(Errc::hash_mismatch, printable(path_));
        }
        return FileStored{.path = path_, .bytes = trailer.size, .hash = trailer.hash};
    }

    static Result<SinkResult> handle(const Complete&) { return std::nullopt; }

    static Result<SinkResult> handle(const Discard&) { return std::nullopt; }

    Result<SinkResult> write(ByteView bytes) {
        while (!bytes.empty()) {
            const auto count = ::write(descriptor_, bytes.data(), bytes.size());
            if (count < 0 && errno == EAGAIN) {
                pollfd writable{.fd = descriptor_, .events = POLLOUT, .revents = 0};
                ::poll(&writable, 1, -1);
            } else if (count < 0 && errno != EINTR) {
                return write_failure("standard output", errno);
            }
            bytes = bytes.subspan(count > 0 ? static_cast<std::size_t>(count) : 0);
        }
        return std::nullopt;
    }

    int descriptor_;
    bool started_ = false;
    std::string path_;
    FileHash hash_;
    std::optional<Error> failed_;
};

}  // namespace

std::unique_ptr<Sink> open_output(int descriptor) {
    return std::make_unique<StreamSink>(descriptor);
}

}  // namespace pinhole::files
