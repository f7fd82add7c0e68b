#include "common/base/encoding.hpp"
#include "peer/store/errors.hpp"
#include "peer/store/home.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pinhole::peer_store {

namespace {

/// Base32 of 32 bytes, and a newline.
constexpr std::size_t kFileSize = 53;

/// Bytes on the stack that do not outlive their use.
class SecretText {
  public:
    SecretText() = default;
    SecretText(const SecretText&) = delete;
    SecretText& operator=(const SecretText&) = delete;

    ~SecretText() { crypto::wipe(bytes_); }

    // One more than a good file has, so that a longer one is noticed.
    [[nodiscard]] std::array<std::uint8_t, kFileSize + 1>& bytes() { return bytes_; }

  private:
    std::array<std::uint8_t, kFileSize + 1> bytes_{};
};

class File {
  public:
    explicit File(int descriptor) : descriptor_(descriptor) {}

    File(const File&) = delete;
    File& operator=(const File&) = delete;

    ~File() {
        if (descriptor_ >= 0) {
            ::close(descriptor_);
        }
    }

    [[nodiscard]] int descriptor() const { return descriptor_; }

    [[nodiscard]] bool is_open() const { return descriptor_ >= 0; }

  private:
    int descriptor_;
};

std::unexpected<Error> unusable(const std::string& path) {
    return fail(Errc::identity_unusable, path + " (" + errno_code().message() + ")");
}

Result<crypto::Identity> parse(ByteView text, const std::string& path) {
    std::optional<Bytes> seed;
    if (text.size() == kFileSize && text.back() == '\n') {
        seed = from_base32(as_text(text.first(kFileSize - 1)));
    }
    crypto::SecretKey key;
    if (!seed || seed->size() != key.view().size()) {
        return fail(Errc::identity_damaged, path);
    }
    std::ranges::copy(*seed, key.mutable_view().begin());
    crypto::wipe(*seed);
    return crypto::Identity::from_seed(std::move(key));
}

Result<crypto::Identity> load(const File& file, const std::string& path) {
    struct stat info{};
    if (::fstat(file.descriptor(), &info) != 0) {
        return unusable(path);
    }
    if (!S_ISREG(info.st_mode) || info.st_uid != ::geteuid() || (info.st_mode & 0077U) != 0) {
        return fail(Errc::identity_exposed, path);
    }
    SecretText text;
    std::size_t size = 0;
    for (;;) {
        const auto count = ::read(file.descriptor(), text.bytes().data() + size, text.bytes().size() - size);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return unusable(path);
        }
        size += static_cast<std::size_t>(count);
        if (count == 0 || size == text.bytes().size()) {
            return parse(ByteView{text.bytes()}.first(size), path);
        }
    }
}

bool write_all(int descriptor, ByteView bytes) {
    while (!bytes.empty()) {
        const auto count = ::write(descriptor, bytes.data(), bytes.size());
        if (count < 0 && errno != EINTR) {
            return false;
        }
        bytes = bytes.subspan(count > 0 ? static_cast<std::size_t>(count) : 0);
    }
    return true;
}

bool write_seed(int descriptor, const crypto::Identity& identity) {
    auto encoded = to_base32(identity.seed().view()) + '\n';
    const bool written = write_all(descriptor, as_bytes(encoded)) && ::fsync(descriptor) == 0;
    crypto::wipe(ByteSpan{reinterpret_cast<std::uint8_t*>(encoded.data()), encoded.size()});
    return written;
}

/// Writes a new identity aside and links it to its name. A link never replaces, so of several processes that do this at
/// once the first wins, and the others read its file afterwards.
Status create(const Home& home, const std::string& path, Rng& rng) {
    std::array<std::uint8_t, 8> random{};
    rng.fill(random);
    const auto aside = home.file(".identity-" + to_hex(random));
    const File file{::open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
    if (!file.is_open()) {
        return unusable(aside);
    }
    Status result;
    if (!write_seed(file.descriptor(), crypto::Identity::generate(rng)) ||
        (::link(aside.c_str(), path.c_str()) != 0 && errno != EEXIST)) {
        result = unusable(path);
    }
    ::unlink(aside.c_str());
    const File folder{::open(home.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (folder.is_open()) {
        ::fsync(folder.descriptor());
    }
    return result;
}

}  // namespace

Result<crypto::Identity> load_or_create_identity(const Home& home, Rng& rng) {
    const auto path = home.file("identity");
    constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    if (const File file{::open(path.c_str(), kFlags)}; file.is_open()) {
        return load(file, path);
    }
    if (errno != ENOENT) {
        return unusable(path);
    }
    if (auto created = create(home, path, rng); !created) {
        return std::unexpected(std::move(created.error()));
    }
    const File file{::open(path.c_str(), kFlags)};
    return file.is_open() ? load(file, path) : unusable(path);
}

}  // namespace pinhole::peer_store
