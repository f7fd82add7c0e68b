#include "peer/cli/standard_input.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace pinhole::cli {

StandardInput::~StandardInput() {
    close();
}

bool StandardInput::open() {
    if (descriptor_.is_open()) {
        return true;
    }
    const int flags = ::fcntl(STDIN_FILENO, F_GETFL);
    const int copy = flags < 0 ? -1 : ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
        return false;
    }
    flags_ = flags;
    boost::system::error_code error;
    descriptor_.assign(copy, error);
    if (error) {
        ::close(copy);
    }
    return !error;
}

void StandardInput::close() {
    boost::system::error_code ignored;
    descriptor_.close(ignored);
    if (flags_) {
        ::fcntl(STDIN_FILENO, F_SETFL, *flags_);
        flags_.reset();
    }
}

}  // namespace pinhole::cli
