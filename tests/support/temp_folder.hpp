// A folder of its own for a test, removed with everything in it, and the few file calls that tests need.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <stdlib.h>

namespace pinhole::test {

class TempFolder {
  public:
    TempFolder() {
        auto pattern = (std::filesystem::temp_directory_path() / "pinhole-test-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) {
            std::abort();
        }
        path_ = pattern;
    }

    TempFolder(const TempFolder&) = delete;
    TempFolder& operator=(const TempFolder&) = delete;

    ~TempFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    [[nodiscard]] std::string path() const { return path_.string(); }

    [[nodiscard]] std::string operator/(const std::string& name) const { return (path_ / name).string(); }

    /// Makes a folder below, with its parents.
    std::string make_folder(const std::string& name) const {
        std::filesystem::create_directories(path_ / name);
        return *this / name;
    }

    std::string write(const std::string& name, const std::string& content) const {
        std::ofstream{path_ / name, std::ios::binary} << content;
        return *this / name;
    }

    /// Names directly below, sorted; of the folder itself without `name`.
    [[nodiscard]] std::vector<std::string> list(const std::string& name = {}) const {
        std::vector<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator(name.empty() ? path_ : path_ / name)) {
            names.push_back(entry.path().filename().string());
        }
        std::ranges::sort(names);
        return names;
    }

  private:
    std::filesystem::path path_;
};

inline std::string read_file(const std::string& path) {
    std::ifstream stream{path, std::ios::binary};
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

}  // namespace pinhole::test
