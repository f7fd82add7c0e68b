// A file descriptor that closes itself, and what system errors mean for a transfer. Disk side only.
#pragma once

#include "common/base/error.hpp"

#include <string>
#include <utility>

#include <unistd.h>

namespace pinhole::files {

class Descriptor {
  public:
    Descriptor() = default;

    explicit Descriptor(int value) : value_(value) {}

    Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}

    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(value_, other.value_);
        return *this;
    }

    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    ~Descriptor() {
        if (value_ >= 0) {
            ::close(value_);
        }
    }

    [[nodiscard]] int value() const { return value_; }

    [[nodiscard]] bool is_open() const { return value_ >= 0; }

    [[nodiscard]] int release() { return std::exchange(value_, -1); }

  private:
    int value_ = -1;
};

/// errno of a failed read or write of `path` (bytes, made printable here) as an error of errors.hpp.
[[nodiscard]] std::unexpected<Error> read_failure(std::string_view path, int code);
[[nodiscard]] std::unexpected<Error> write_failure(std::string_view path, int code);

}  // namespace pinhole::files
