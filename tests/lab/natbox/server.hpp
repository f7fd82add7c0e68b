// The loop of natbox: devices, commands on stdin, signals and the clock around an Engine. One thread. Decides nothing.
#pragma once

#include "common/base/error.hpp"
#include "tests/lab/natbox/capture.hpp"
#include "tests/lab/natbox/device.hpp"
#include "tests/lab/natbox/engine.hpp"

#include <optional>
#include <string>
#include <vector>

namespace pinhole::natbox {

class Server {
  public:
    /// `captures`: one for each device, or none at all.
    Server(Engine& engine, std::vector<Device>& devices, std::vector<Capture> captures = {})
        : engine_(&engine), devices_(&devices), captures_(std::move(captures)) {}

    /// Blocks SIGINT and SIGTERM so that the loop receives them; before anything is announced.
    [[nodiscard]] Status prepare();
    /// Until stdin ends, SIGINT or SIGTERM.
    [[nodiscard]] Status run();

  private:
    [[nodiscard]] Status watch(int fd, std::uint64_t tag);
    [[nodiscard]] Status wait();
    void read_device(std::size_t device);
    void write_packets();
    void read_commands();
    void execute(std::string_view line);
    void flush_captures();

    Engine* engine_;
    std::vector<Device>* devices_;
    std::vector<Capture> captures_;
    Fd epoll_;
    Fd signals_;
    std::string unfinished_line_;
    Bytes buffer_;
    TimePoint flush_at_{};
    bool stop_ = false;
};

}  // namespace pinhole::natbox
