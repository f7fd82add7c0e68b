#include "common/base/error.hpp"

#include <cerrno>

namespace pinhole {

std::string Error::message() const {
    if (!code) {
        return detail;
    }
    return detail.empty() ? code.message() : detail + ": " + code.message();
}

std::unexpected<Error> fail(std::error_code code, std::string detail) {
    return std::unexpected(Error{.code = code, .detail = std::move(detail)});
}

std::unexpected<Error> fail_errno(std::string detail) {
    return fail(errno_code(), std::move(detail));
}

std::error_code errno_code() {
    return {errno, std::generic_category()};
}

namespace {

const char* describe(int value) {
    switch (static_cast<Errc>(value)) {
        case Errc::malformed:
            return "malformed";
        case Errc::too_large:
            return "too large";
        case Errc::not_supported:
            return "not supported";
        case Errc::invalid_argument:
            return "invalid";
    }
    return "unknown error";
}

const EnumCategory kCategory{"pinhole", describe};

}  // namespace

std::error_code make_error_code(Errc code) {
    return {static_cast<int>(code), kCategory};
}

}  // namespace pinhole
