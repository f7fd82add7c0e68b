// `pinhole receive`: waits for contacts' offers and stores what is accepted.
#pragma once

#include "peer/cli/network_command.hpp"
#include "peer/cli/standard_input.hpp"
#include "peer/cli/transfer_report.hpp"
#include "peer/cli/worker.hpp"
#include "peer/files/sink.hpp"

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/streambuf.hpp>

namespace pinhole::cli {

struct ReceiveOptions {
    std::string into = ".";
    bool yes = false;
    bool once = false;
    bool to_stdout = false;
};

class ReceiveCommand final : public NetworkCommand {
  public:
    ReceiveCommand(Environment& environment, ReceiveOptions options);

    /// Checks the folder, then runs.
    [[nodiscard]] Exit execute();

  private:
    using Key = std::pair<shell::SessionId, transport::StreamId>;

    /// One transfer under way.
    struct Incoming {
        files::Receiver receiver;
        std::shared_ptr<files::Sink> sink;
        std::optional<TransferReport> report;
        std::string peer_name;
        bool kind_read = false;
        bool stream_finished = false;
        bool over = false;
    };

    /// What the disk made of a command, and the buffer that came with it.
    struct Stored {
        Key key;
        std::shared_ptr<Incoming> incoming;
        Result<files::SinkResult> result;
        Bytes buffer;
    };

    void ready() override;
    void interrupt() override;
    void connected(shell::SessionId id) override;
    void stream_event(shell::SessionId id, const transport::Event& event) override;
    void ended(shell::SessionId id, const Error& error) override;
    shell::CallDecision incoming_call(const crypto::PeerId& from, std::uint8_t services) override;

    bool answers_pings() const override { return true; }

    void open_incoming(const Key& key);
    void read_stream(const Key& key);
    bool read_data(transport::Connection& transport, const Key& key, files::Receiver& receiver);
    void pump(const Key& key);
    void ask_disk(const Key& key, Incoming& incoming);
    void take_stored();
    void handle_event(const Key& key, const files::Event& event);
    void handle_offer(const Key& key, Incoming& incoming, const files::Offered& offered);
    void end_transfer(const Key& key, Exit exit);
    void ask_next_question();
    void read_answer();
    void decide(const Key& key, bool accept);

    ReceiveOptions options_;
    crypto::SystemRng rng_;
    std::map<Key, std::shared_ptr<Incoming>> transfers_;
    std::deque<Key> questions_;
    bool asking_ = false;
    std::optional<Key> only_;  ///< the transfer that --once is about: the last one offered
    StandardInput input_;
    boost::asio::streambuf answer_{256};
    std::shared_ptr<Mailbox<Stored>> stored_ = std::make_shared<Mailbox<Stored>>();
    Worker worker_;  // last: it goes first, and its jobs use the rest
};

}  // namespace pinhole::cli
