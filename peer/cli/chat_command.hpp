// `pinhole chat`: messages with one contact, typed or piped in, until all are delivered or the user leaves.
#pragma once

#include "peer/chat/channel.hpp"
#include "peer/cli/network_command.hpp"
#include "peer/cli/standard_input.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace pinhole::cli {

struct ChatOptions {
    std::optional<std::string> with;
    bool wait = false;
};

class ChatCommand final : public NetworkCommand {
  public:
    ChatCommand(Environment& environment, ChatOptions options);
    [[nodiscard]] Exit execute();

  private:
    void ready() override;
    void interrupt() override;
    void connected(shell::SessionId id) override;
    void stream_event(shell::SessionId id, const transport::Event& event) override;
    void ended(shell::SessionId id, const Error& reason) override;
    void server_lost(const Error& error) override;
    void try_again(shell::CallOptions options) override;
    shell::CallDecision incoming_call(const crypto::PeerId& from, std::uint8_t services) override;

    bool answers_pings() const override { return true; }

    void open_channel(shell::SessionId id, transport::StreamId stream, chat::Side side);
    void send_pending();
    void take_output();
    void read_stream();
    void pump();
    void handle_event(const chat::Event& event);

    /// Somebody waits for the conversation, not for the end of a pipe.
    [[nodiscard]] bool stays() const { return options_.wait || terminal_; }

    void start_input();
    void read_input();
    void take_input(std::string_view text);
    void handle_line(std::string line);
    void end_of_input();
    void leave_when_delivered();

    ChatOptions options_;
    bool terminal_;
    std::optional<peer_store::Contact> contact_;
    std::optional<shell::SessionId> session_;  ///< the one that carries the chat, or is being called
    bool outgoing_ = false;                    ///< session_ was called by us
    std::optional<transport::StreamId> stream_;
    std::optional<chat::Channel> channel_;
    bool kind_read_ = false;
    Bytes unwritten_;
    bool leaving_ = false;
    StandardInput input_;
    Bytes input_buffer_;
    std::string partial_line_;
    bool input_started_ = false;
    bool input_ended_ = false;
    crypto::SystemRng rng_;
};

}  // namespace pinhole::cli
