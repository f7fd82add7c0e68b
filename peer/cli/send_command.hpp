// `pinhole send`: offers paths to a contact and ends when everything is in place there.
#pragma once

#include "peer/cli/network_command.hpp"
#include "peer/cli/transfer_report.hpp"
#include "peer/cli/worker.hpp"
#include "peer/files/source.hpp"

#include <memory>
#include <string>
#include <vector>

namespace pinhole::cli {

struct SendOptions {
    std::vector<std::string> paths;  ///< "-" alone is standard input
    std::string to;
};

class SendCommand final : public NetworkCommand {
  public:
    SendCommand(Environment& environment, SendOptions options);

    /// Opens what is to be sent, then runs.
    [[nodiscard]] Exit execute();

  private:
    void ready() override;
    void interrupt() override;
    void connected(shell::SessionId id) override;
    void stream_event(shell::SessionId id, const transport::Event& event) override;
    void ended(shell::SessionId id, const Error& error) override;
    void server_lost(const Error& error) override;
    shell::CallDecision incoming_call(const crypto::PeerId& from, std::uint8_t services) override;

    [[nodiscard]] Result<std::shared_ptr<files::Source>> open_source() const;
    void pump();
    void write_output(transport::Connection& transport);
    void ask_disk();
    void take_items();
    void handle_event(const files::Event& event);

    SendOptions options_;
    peer_store::Contact contact_;
    std::shared_ptr<files::Source> source_;
    std::optional<files::Sender> sender_;
    std::optional<TransferReport> report_;
    std::optional<shell::SessionId> session_;
    std::optional<transport::StreamId> stream_;
    bool finished_stream_ = false;
    std::shared_ptr<Mailbox<Result<files::SourceItem>>> items_ = std::make_shared<Mailbox<Result<files::SourceItem>>>();
    Worker worker_;  // last: it goes first, and its jobs use the rest
};

}  // namespace pinhole::cli
