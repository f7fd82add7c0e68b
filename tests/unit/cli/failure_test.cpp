#include "peer/cli/failure.hpp"

#include "peer/files/errors.hpp"
#include "peer/session/errors.hpp"
#include "peer/store/errors.hpp"

#include <gtest/gtest.h>

namespace pinhole::cli {
namespace {

struct Case {
    std::error_code code;
    Exit exit;
};

TEST(Failure, MapsErrorsToTheContractsExitCodes) {
    const Case cases[] = {
        {session::make_error_code(session::Errc::server_unreachable), Exit::server_unreachable},
        {session::make_error_code(session::Errc::server_key_changed), Exit::identity_mismatch},
        {session::make_error_code(session::Errc::peer_offline), Exit::peer_unknown},
        {session::make_error_code(session::Errc::peer_refused), Exit::refused},
        {session::make_error_code(session::Errc::peer_identity), Exit::identity_mismatch},
        {session::make_error_code(session::Errc::no_path), Exit::no_path},
        {files::make_error_code(files::Errc::refused), Exit::refused},
        {files::make_error_code(files::Errc::cancelled), Exit::interrupted},
        {files::make_error_code(files::Errc::cancelled_by_peer), Exit::transfer_failed},
        {files::make_error_code(files::Errc::disk_full), Exit::transfer_failed},
        {files::make_error_code(files::Errc::hash_mismatch), Exit::transfer_failed},
        {peer_store::make_error_code(peer_store::Errc::unknown_contact), Exit::peer_unknown},
        {std::make_error_code(std::errc::io_error), Exit::failure},
    };
    for (const auto& [code, exit] : cases) {
        const auto failure = explain({.code = code, .detail = "detail"}, "bob");
        EXPECT_EQ(failure.exit, exit) << code.message();
        EXPECT_FALSE(failure.message.empty());
        EXPECT_FALSE(failure.code.empty());
    }
}

TEST(Failure, NamesThePeerAndSaysWhatToTry) {
    const auto failure = explain({.code = session::make_error_code(session::Errc::no_path), .detail = "why"}, "bob");
    EXPECT_NE(failure.message.find("bob"), std::string::npos);
    EXPECT_NE(failure.message.find("why"), std::string::npos);
    EXPECT_FALSE(failure.hint.empty());
}

}  // namespace
}  // namespace pinhole::cli
