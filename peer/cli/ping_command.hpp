// `pinhole ping`: round trips to a contact that is online, and the path they take.
#pragma once

#include "peer/cli/network_command.hpp"

#include <string>

namespace pinhole::cli {

struct PingOptions {
    std::string to;
    unsigned count = 4;
    bool until_direct = false;  ///< end with the first answer over a direct path, and wait for one
};

class PingCommand final : public NetworkCommand {
  public:
    PingCommand(Environment& environment, PingOptions options);

    [[nodiscard]] Exit execute();

  private:
    void ready() override;
    void connected(shell::SessionId id) override;
    void stream_event(shell::SessionId id, const transport::Event& event) override;
    void path_in_use(shell::SessionId id, const session::PathInUse& path) override;
    void ended(shell::SessionId id, const Error& error) override;
    void server_lost(const Error& error) override;
    void try_again(shell::CallOptions options) override;
    shell::CallDecision incoming_call(const crypto::PeerId& from, std::uint8_t services) override;

    void ask();
    void report(Duration rtt);
    /// "relay udp relay 192.0.2.1:50000"
    [[nodiscard]] static std::string describe(const session::PathInUse& path);

    PingOptions options_;
    peer_store::Contact contact_;
    std::optional<shell::SessionId> session_;
    std::optional<session::PathInUse> path_;
    unsigned answered_ = 0;
    boost::asio::steady_timer pause_;
};

}  // namespace pinhole::cli
