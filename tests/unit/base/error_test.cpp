#include "common/base/error.hpp"

#include <cerrno>

#include <gtest/gtest.h>

namespace pinhole {
namespace {

Status refuse() {
    return fail(Errc::too_large, "the file");
}

TEST(Error, SaysWhatHappenedToWhat) {
    EXPECT_EQ(refuse().error().message(), "the file: too large");
    EXPECT_EQ((Error{.code = Errc::malformed, .detail = {}}).message(), "malformed");
    EXPECT_EQ((Error{.code = {}, .detail = "only a sentence"}).message(), "only a sentence");
}

TEST(Error, ComparesWithItsEnum) {
    EXPECT_EQ(refuse().error().code, Errc::too_large);
    EXPECT_NE(refuse().error().code, Errc::malformed);
}

TEST(Error, TakesErrnoOfASystemCall) {
    errno = ENOENT;
    const Status status = fail_errno("notes.txt");
    EXPECT_EQ(status.error().code, std::errc::no_such_file_or_directory);
    EXPECT_TRUE(status.error().message().starts_with("notes.txt: "));
}

TEST(Error, EveryCodeHasASentenceOfItsOwn) {
    for (const auto code : {Errc::malformed, Errc::too_large, Errc::not_supported, Errc::invalid_argument}) {
        EXPECT_NE(make_error_code(code).message(), "unknown error");
    }
    EXPECT_EQ(std::error_code(99, make_error_code(Errc::malformed).category()).message(), "unknown error");
}

}  // namespace
}  // namespace pinhole
