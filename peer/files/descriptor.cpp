#include "peer/files/descriptor.hpp"

#include "common/base/encoding.hpp"
#include "peer/files/errors.hpp"

#include <cerrno>
#include <system_error>

namespace pinhole::files {

namespace {

std::string with_reason(std::string_view path, int code) {
    return printable(path) + " (" + std::generic_category().message(code) + ")";
}

}  // namespace

std::unexpected<Error> read_failure(std::string_view path, int code) {
    switch (code) {
        case ENOENT:
        case ENOTDIR:
            return fail(Errc::not_found, printable(path));
        case EACCES:
        case EPERM:
            return fail(Errc::no_permission, printable(path));
        default:
            return fail(Errc::unreadable, with_reason(path, code));
    }
}

std::unexpected<Error> write_failure(std::string_view path, int code) {
    switch (code) {
        case ENOSPC:
        case EDQUOT:
        case EFBIG:
            return fail(Errc::disk_full, printable(path));
        case EACCES:
        case EPERM:
        case EROFS:
            return fail(Errc::no_permission, printable(path));
        case ENAMETOOLONG:
        case EILSEQ:
            return fail(Errc::unsafe_name, printable(path));
        default:
            return fail(Errc::write_failed, with_reason(path, code));
    }
}

}  // namespace pinhole::files
