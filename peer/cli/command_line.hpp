// The command line of `pinhole`: parses, picks the command, returns the exit code.
#pragma once

namespace pinhole::cli {

[[nodiscard]] int run_command_line(int argc, char** argv);

}  // namespace pinhole::cli
