// Standard input for Asio: a duplicate that reads without blocking, and the terminal put back as it was in the end.
// O_NONBLOCK belongs to the open file, which the shell and our own standard output share.
#pragma once

#include <optional>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

namespace pinhole::cli {

class StandardInput {
  public:
    explicit StandardInput(boost::asio::io_context& io) : descriptor_(io) {}

    StandardInput(const StandardInput&) = delete;
    StandardInput& operator=(const StandardInput&) = delete;
    ~StandardInput();

    /// False if there is no standard input.
    [[nodiscard]] bool open();
    void close();

    [[nodiscard]] boost::asio::posix::stream_descriptor& descriptor() { return descriptor_; }

  private:
    boost::asio::posix::stream_descriptor descriptor_;
    std::optional<int> flags_;
};

}  // namespace pinhole::cli
