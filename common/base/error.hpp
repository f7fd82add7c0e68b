// Errors as values. One shape for ours and the system's: a std::error_code (Asio's convert to it) plus the
// sentence a person needs: what happened, to what. Each folder owns one enum of codes with an EnumCategory.
#pragma once

#include <expected>
#include <string>
#include <system_error>
#include <utility>

namespace pinhole {

struct Error {
    std::error_code code;
    /// What it happened to, or more than the code says; may be empty.
    std::string detail;

    /// "detail: message of the code", or either alone.
    [[nodiscard]] std::string message() const;
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

[[nodiscard]] std::unexpected<Error> fail(std::error_code code, std::string detail = {});
/// The error of a failed system call, from errno.
[[nodiscard]] std::unexpected<Error> fail_errno(std::string detail);
[[nodiscard]] std::error_code errno_code();

/// What can go wrong in any room.
enum class Errc {
    malformed = 1,    ///< bytes that no correct sender produces
    too_large,        ///< a bound of limits.hpp was passed
    not_supported,    ///< a version or feature that this build does not speak
    invalid_argument  ///< a value that the caller gave cannot be used
};

std::error_code make_error_code(Errc code);

/// A category whose messages come from one function; `describe` returns a static sentence.
class EnumCategory final : public std::error_category {
  public:
    using Describe = const char* (*)(int);

    EnumCategory(const char* name, Describe describe) : name_(name), describe_(describe) {}

    [[nodiscard]] const char* name() const noexcept override { return name_; }

    [[nodiscard]] std::string message(int value) const override { return describe_(value); }

  private:
    const char* name_;
    Describe describe_;
};

}  // namespace pinhole

template <>
struct std::is_error_code_enum<pinhole::Errc> : std::true_type {};
