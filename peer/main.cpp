// pinhole, the peer's program.
#include "peer/cli/command_line.hpp"

int main(int argc, char** argv) {
    return pinhole::cli::run_command_line(argc, argv);
}
