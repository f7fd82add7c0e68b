#include "rendezvous/shell/key_file.hpp"

#include "common/base/encoding.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <string>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pinhole::rendezvous {

namespace {

namespace fs = std::filesystem;

/// A seed is 52 characters and a newline; more is no key of ours.
constexpr std::size_t kMaxFile = 128;
constexpr mode_t kOthers = 077;

class Descriptor {
  public:
    explicit Descriptor(int value) : value_(value) {}

    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    ~Descriptor() {
        if (value_ >= 0) {
            ::close(value_);
        }
    }

    [[nodiscard]] int value() const { return value_; }

  private:
    int value_;
};

/// Text that does not stay in memory.
struct SecretText {
    std::string text;

    explicit SecretText(std::string given) : text(std::move(given)) {}

    SecretText(const SecretText&) = delete;
    SecretText& operator=(const SecretText&) = delete;

    ~SecretText() { crypto::wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()}); }
};

std::unexpected<Error> cannot(const char* what, const fs::path& path) {
    return fail({}, fmt::format("cannot {} {}: {}", what, path.native(), errno_code().message()));
}

Result<crypto::Identity> parse(std::string_view text, const fs::path& path) {
    while (text.ends_with('\n') || text.ends_with('\r')) {
        text.remove_suffix(1);
    }
    crypto::Key32 seed{};
    auto bytes = from_base32(text);
    if (!bytes || bytes->size() != seed.size()) {
        return fail({}, fmt::format("{} is not a server key; move it away to get a new one", path.native()));
    }
    std::ranges::copy(*bytes, seed.begin());
    crypto::wipe(*bytes);
    auto identity = crypto::Identity::from_seed(crypto::SecretKey{seed});
    crypto::wipe(seed);
    return identity;
}

/// nullopt if there is no such file.
Result<std::optional<crypto::Identity>> load(const fs::path& path) {
    const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
    if (file.value() < 0) {
        if (errno == ENOENT) {
            return std::nullopt;
        }
        return cannot("open", path);
    }
    struct stat status{};
    if (::fstat(file.value(), &status) != 0) {
        return cannot("read", path);
    }
    if (!S_ISREG(status.st_mode)) {
        return fail({}, fmt::format("{} is not a file", path.native()));
    }
    if (status.st_uid != ::geteuid()) {
        return fail({}, fmt::format("the server key {} belongs to another user; use a --data folder of your own",
                                    path.native()));
    }
    if ((status.st_mode & kOthers) != 0) {
        return fail({}, fmt::format("others than its owner may read the server key {}; if nobody has, keep it with: "
                                    "chmod 600 {}",
                                    path.native(), path.native()));
    }
    SecretText content{std::string(kMaxFile, '\0')};
    const auto size = ::read(file.value(), content.text.data(), content.text.size());
    if (size < 0) {
        return cannot("read", path);
    }
    auto identity = parse(std::string_view{content.text}.substr(0, static_cast<std::size_t>(size)), path);
    if (!identity) {
        return std::unexpected(identity.error());
    }
    return std::optional{*std::move(identity)};
}

bool write_whole(int file, std::string_view text) {
    while (!text.empty()) {
        const auto written = ::write(file, text.data(), text.size());
        if (written < 0 && errno != EINTR) {
            return false;
        }
        text.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(0, written)));
    }
    return true;
}

/// Under the final name only when it is complete and on disk.
Status store(const crypto::Identity& identity, const fs::path& path) {
    const fs::path aside{fmt::format("{}.{}", path.native(), ::getpid())};
    ::unlink(aside.c_str());
    const SecretText content{to_base32(identity.seed().view()) + '\n'};
    {
        const Descriptor file{::open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)};
        if (file.value() < 0 || !write_whole(file.value(), content.text) || ::fsync(file.value()) != 0) {
            auto error = cannot("write", aside);
            ::unlink(aside.c_str());
            return error;
        }
    }
    // Another server that starts at this moment may have been first: its key stays.
    int renamed = ::renameat2(AT_FDCWD, aside.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE);
    if (renamed != 0 && (errno == EINVAL || errno == ENOSYS)) {
        renamed = ::rename(aside.c_str(), path.c_str());
    }
    if (renamed != 0) {
        const bool exists = errno == EEXIST;
        auto error = cannot("write", path);
        ::unlink(aside.c_str());
        return exists ? Status{} : error;
    }
    const Descriptor folder{::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    // EINVAL: a file system without fsync of folders.
    if (folder.value() < 0 || (::fsync(folder.value()) != 0 && errno != EINVAL)) {
        return cannot("write", path.parent_path());
    }
    return {};
}

Status make_folder(const fs::path& folder) {
    std::error_code ec;
    fs::create_directories(folder.parent_path(), ec);
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
        return cannot("create", folder);
    }
    return {};
}

}  // namespace

Result<crypto::Identity> load_or_create_key(const std::filesystem::path& folder, Rng& rng) {
    const auto absolute = fs::absolute(folder / ".").lexically_normal().parent_path();
    if (auto status = make_folder(absolute); !status) {
        return std::unexpected(status.error());
    }
    const auto path = absolute / "server.key";
    for (int attempt = 0; attempt < 2; ++attempt) {
        auto loaded = load(path);
        if (!loaded) {
            return std::unexpected(loaded.error());
        }
        if (*loaded) {
            return *std::move(*loaded);
        }
        if (auto status = store(crypto::Identity::generate(rng), path); !status) {
            return std::unexpected(status.error());
        }
    }
    return fail({}, fmt::format("cannot keep a key in {}", path.native()));
}

}  // namespace pinhole::rendezvous
