#include "peer/store/home.hpp"

#include "peer/store/errors.hpp"

#include <cerrno>
#include <cstdlib>

#include <sys/stat.h>

namespace pinhole::peer_store {

namespace {

/// An environment variable that is set, not empty and an absolute path, as the XDG base directory specification asks.
std::optional<std::string> absolute_from(const char* variable) {
    const char* value = std::getenv(variable);
    return value != nullptr && *value == '/' ? std::optional<std::string>{value} : std::nullopt;
}

Result<std::string> choose(const std::optional<std::string>& directory) {
    if (directory && !directory->empty()) {
        return *directory;
    }
    if (const auto data = absolute_from("XDG_DATA_HOME")) {
        return *data + "/pinhole";
    }
    if (const auto home = absolute_from("HOME")) {
        return *home + "/.local/share/pinhole";
    }
    return fail(Errc::no_home);
}

/// mkdir -p, private all the way (0700 as the XDG base directory specification asks).
Status make_with_parents(const std::string& path) {
    for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
        const auto part = path.substr(0, end);
        if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) {
            // A parent that is there may refuse mkdir for other reasons than EEXIST (a read-only mount).
            const auto code = errno_code();
            struct stat info{};
            if (::stat(part.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
                return fail(Errc::home_unusable, path + " (" + code.message() + ")");
            }
        }
        if (end == std::string::npos) {
            return {};
        }
    }
}

}  // namespace

Result<Home> Home::open(const std::optional<std::string>& directory) {
    auto path = choose(directory);
    if (!path) {
        return std::unexpected(std::move(path.error()));
    }
    while (path->size() > 1 && path->ends_with('/')) {
        path->pop_back();
    }
    if (auto made = make_with_parents(*path); !made) {
        return std::unexpected(std::move(made.error()));
    }
    struct stat info{};
    if (::stat(path->c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
        return fail(Errc::home_unusable, *path);
    }
    return Home{std::move(*path)};
}

std::string Home::file(std::string_view name) const {
    return path_ + "/" + std::string{name};
}

}  // namespace pinhole::peer_store
