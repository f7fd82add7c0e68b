#include "peer/cli/receive_command.hpp"

#include "common/base/encoding.hpp"
#include "common/base/log.hpp"
#include "common/io/clock.hpp"
#include "peer/files/errors.hpp"
#include "peer/session/errors.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <istream>
#include <set>

#include <boost/asio/post.hpp>
#include <boost/asio/read_until.hpp>
#include <fmt/format.h>
#include <unistd.h>

namespace pinhole::cli {

namespace {

constexpr std::uint8_t kTransferStream = 2;
constexpr std::size_t kMaxTransfersPerSession = 8;
/// Bytes read at a time of what is not file data, as far as is known; the file data among them is copied.
constexpr std::size_t kMessageRead = 4096;

}  // namespace

ReceiveCommand::ReceiveCommand(Environment& environment, ReceiveOptions options)
    : NetworkCommand(environment, static_cast<std::uint8_t>(session::Service::files)),
      options_(std::move(options)),
      input_(io_) {}

Exit ReceiveCommand::execute() {
    if (options_.to_stdout) {
        options_.once = true;
    } else {
        std::error_code error;
        if (!std::filesystem::is_directory(options_.into, error) || ::access(options_.into.c_str(), W_OK | X_OK) != 0) {
            output_.fail({Exit::usage, "no-folder", "cannot write into the folder " + printable(options_.into),
                          "name an existing folder of yours with --into"});
            return Exit::usage;
        }
    }
    return run();
}

void ReceiveCommand::ready() {
    output_.note(
        fmt::format("waiting for offers from your contacts; your ID is {}", environment_.identity().id().text()));
}

shell::CallDecision ReceiveCommand::incoming_call(const crypto::PeerId& from, std::uint8_t services) {
    if (!knows(from)) {
        return shell::CallDecision::refuse;
    }
    return services == 0 || finishing() ? shell::CallDecision::not_here : shell::CallDecision::take;
}

void ReceiveCommand::connected(shell::SessionId id) {
    output_.note(fmt::format("connected to {}", environment_.name_of(peer_of(id))));
}

void ReceiveCommand::stream_event(shell::SessionId id, const transport::Event& event) {
    if (const auto* opened = std::get_if<transport::Opened>(&event)) {
        open_incoming({id, opened->stream});
    } else if (const auto* readable = std::get_if<transport::Readable>(&event)) {
        read_stream({id, readable->stream});
    } else if (const auto* writable = std::get_if<transport::Writable>(&event)) {
        pump({id, writable->stream});
    } else if (const auto* finished = std::get_if<transport::Finished>(&event)) {
        if (concluding() && only_ == Key{id, finished->stream}) {
            finish(*concluding());  // the other side has our last word
        }
    } else if (const auto* reset = std::get_if<transport::Reset>(&event)) {
        if (const auto found = transfers_.find({id, reset->stream}); found != transfers_.end()) {
            found->second->receiver.handle_closed(
                {.code = files::make_error_code(files::Errc::peer_gone), .detail = {}});
            pump(found->first);
        }
    }
}

void ReceiveCommand::open_incoming(const Key& key) {
    const auto& [session, stream] = key;
    const auto open = std::ranges::count_if(
        transfers_, [&](const auto& entry) { return entry.first.first == session && !entry.second->over; });
    if (static_cast<std::size_t>(open) >= kMaxTransfersPerSession) {
        node_->transport(session)->reset(stream, 0);
        node_->transport(session)->stop(stream, 0);
        return;
    }
    auto incoming = std::make_shared<Incoming>();
    incoming->peer_name = environment_.name_of(peer_of(session));
    transfers_.emplace(key, std::move(incoming));
    read_stream(key);
}

void ReceiveCommand::read_stream(const Key& key) {
    const auto found = transfers_.find(key);
    auto* transport = node_->transport(key.first);
    if (found == transfers_.end() || transport == nullptr) {
        return;
    }
    auto& incoming = *found->second;
    if (!incoming.kind_read) {
        const auto kind = read_some(*transport, key.second, 1);
        if (kind.empty()) {
            return;
        }
        if (kind.front() != kTransferStream) {
            transport->reset(key.second, 0);
            transport->stop(key.second, 0);
            transfers_.erase(found);
            return;
        }
        incoming.kind_read = true;
    }
    bool more = true;
    while (more && incoming.receiver.wants_bytes() > 0) {
        more = read_data(*transport, key, incoming.receiver);
    }
    pump(key);
}

/// Once; false when there is nothing now. File data goes to where it stays until it is on the disk.
bool ReceiveCommand::read_data(transport::Connection& transport, const Key& key, files::Receiver& receiver) {
    if (const auto room = receiver.data_room(); !room.empty()) {
        const auto count = transport.read(key.second, room).value_or(0);
        receiver.handle_data_read(count);
        return count > 0;
    }
    std::array<std::uint8_t, kMessageRead> buffer;
    const auto room = ByteSpan{buffer}.first(std::min(buffer.size(), receiver.wants_bytes()));
    const auto count = transport.read(key.second, room).value_or(0);
    receiver.handle_bytes(room.first(count));
    return count > 0;
}

void ReceiveCommand::pump(const Key& key) {
    const auto found = transfers_.find(key);
    if (found == transfers_.end()) {
        return;
    }
    const auto incoming = found->second;
    while (const auto event = incoming->receiver.poll_event()) {
        handle_event(key, *event);
    }
    ask_disk(key, *incoming);
    if (auto* transport = node_->transport(key.first)) {
        while (!incoming->receiver.output().empty()) {
            const auto written = transport->write(key.second, incoming->receiver.output());
            if (!written || *written == 0) {
                break;
            }
            incoming->receiver.consume_output(*written);
        }
        if (incoming->receiver.finished() && !incoming->stream_finished) {
            incoming->stream_finished = true;
            transport->finish(key.second);
        }
    }
    if (incoming->report) {
        incoming->report->progress(incoming->receiver.progress(), io::now());
    }
    node_->kick(key.first);
}

void ReceiveCommand::ask_disk(const Key& key, Incoming& incoming) {
    std::vector<Worker::Job> jobs;
    while (auto command = incoming.receiver.poll_command()) {
        auto job = std::make_shared<files::SinkCommand>(*std::move(command));
        auto owner = transfers_.contains(key) ? transfers_.at(key) : nullptr;
        if (!owner || !owner->sink) {
            break;
        }
        jobs.emplace_back([this, key, owner, job, stored = stored_] {
            auto result = owner->sink->run(*job);
            auto* data = std::get_if<Bytes>(&*job);
            Stored done{.key = key, .incoming = owner, .result = std::move(result), .buffer = {}};
            done.buffer = data != nullptr ? std::move(*data) : Bytes{};
            if (stored->put(std::move(done))) {
                boost::asio::post(io_, [this] { take_stored(); });
            }
        });
    }
    worker_.post(std::move(jobs));
}

void ReceiveCommand::take_stored() {
    std::set<Key> keys;
    for (auto& [key, incoming, result, buffer] : stored_->take()) {
        incoming->receiver.handle_result(std::move(result));
        incoming->receiver.reuse(std::move(buffer));
        keys.insert(key);
    }
    for (const auto& key : keys) {
        read_stream(key);
        pump(key);
    }
}

void ReceiveCommand::handle_event(const Key& key, const files::Event& event) {
    auto& incoming = *transfers_.at(key);
    if (const auto* offered = std::get_if<files::Offered>(&event)) {
        handle_offer(key, incoming, *offered);
    } else if (const auto* stored = std::get_if<files::FileStored>(&event)) {
        incoming.report->stored(*stored);
    } else if (const auto* skipped = std::get_if<files::Skipped>(&event)) {
        incoming.report->skipped(*skipped);
    } else if (const auto* done = std::get_if<files::Done>(&event)) {
        incoming.report->progress(incoming.receiver.progress(), io::now(), true);
        incoming.report->done(
            *done, fmt::format("received {} from {}", describe(incoming.report->offer()), incoming.peer_name));
        end_transfer(key, Exit::done);
    } else if (const auto* failed = std::get_if<files::Failed>(&event)) {
        const auto failure = explain(failed->error, incoming.peer_name);
        if (incoming.report) {
            incoming.report->failed(failure);
        }
        if (failure.exit != Exit::refused) {
            output_.fail(failure);
        }
        end_transfer(key, failure.exit);
    }
}

void ReceiveCommand::handle_offer(const Key& key, Incoming& incoming, const files::Offered& offered) {
    const auto& offer = offered.offer;
    if (concluding() || (options_.once && only_ && *only_ != key)) {
        incoming.receiver.refuse(signaling::RefuseReason::busy);
        boost::asio::post(io_, [this, key] { pump(key); });
        return;
    }
    only_ = key;
    const auto& peer = peer_of(key.first);
    incoming.report.emplace(environment_, peer_store::Direction::incoming, peer, offer);
    output_.event("offer", {{"transfer", offer.id.text()},
                            {"from", peer.text()},
                            {"name", incoming.peer_name},
                            {"files", offer.files},
                            {"bytes", offer.bytes}});
    output_.note(fmt::format("{} offers {}", incoming.peer_name, describe(offer)));
    if (options_.yes) {
        decide(key, true);
    } else if (output_.json() || ::isatty(STDIN_FILENO) != 1) {
        output_.note("refused: nobody is here to agree; start with --yes to accept every offer of a contact");
        decide(key, false);
    } else {
        questions_.push_back(key);
        ask_next_question();
    }
}

void ReceiveCommand::ask_next_question() {
    if (asking_ || questions_.empty()) {
        return;
    }
    asking_ = true;
    if (!input_.open()) {
        asking_ = false;
        const auto key = questions_.front();
        questions_.pop_front();
        decide(key, false);
        return;
    }
    output_.note("accept? [y/n]");
    read_answer();
}

void ReceiveCommand::read_answer() {
    boost::asio::async_read_until(input_.descriptor(), answer_, '\n',
                                  [this](const boost::system::error_code& error, std::size_t) {
                                      std::istream stream{&answer_};
                                      std::string line;
                                      std::getline(stream, line);
                                      const bool yes = line == "y" || line == "Y" || line == "yes";
                                      const bool no = error || line == "n" || line == "N" || line == "no";
                                      if (!yes && !no) {
                                          output_.note("please answer y or n");
                                          read_answer();
                                          return;
                                      }
                                      asking_ = false;
                                      const auto key = questions_.front();
                                      questions_.pop_front();
                                      decide(key, yes);
                                      ask_next_question();
                                  });
}

void ReceiveCommand::decide(const Key& key, bool accept) {
    const auto found = transfers_.find(key);
    if (found == transfers_.end()) {
        return;
    }
    const auto incoming = found->second;
    if (accept && options_.to_stdout) {
        incoming->sink = files::open_output(STDOUT_FILENO);
    } else if (accept) {
        auto sink = files::open_folder(options_.into, rng_);
        if (!sink) {
            output_.fail(explain(sink.error(), {}));
            accept = false;
        } else {
            incoming->sink = *std::move(sink);
        }
    }
    if (accept) {
        incoming->report->started(io::now());
        incoming->receiver.accept();
    } else {
        incoming->receiver.refuse(signaling::RefuseReason::declined);
    }
    boost::asio::post(io_, [this, key] { pump(key); });
}

void ReceiveCommand::end_transfer(const Key& key, Exit exit) {
    auto& incoming = *transfers_.at(key);
    incoming.over = true;
    if (interrupted_) {
        const bool all_over = std::ranges::all_of(transfers_, [](const auto& entry) { return entry.second->over; });
        if (all_over) {
            conclude(Exit::interrupted);
        }
    } else if (options_.once && only_ == key) {
        conclude(exit);
    }
}

void ReceiveCommand::interrupt() {
    bool waiting = false;
    for (const auto& [key, incoming] : std::map{transfers_}) {
        if (!incoming->over) {
            waiting = true;
            incoming->receiver.cancel();
            pump(key);
        }
    }
    if (!waiting) {
        finish(Exit::interrupted);
    }
}

void ReceiveCommand::ended(shell::SessionId id, const Error& error) {
    log::debug("session ended: {}", error.message());
    if (error.code == session::make_error_code(session::Errc::no_path) && !finishing()) {
        output_.fail(explain(error, environment_.name_of(peer_of(id))));  // and goes on: others may call
    }
    for (auto entry = transfers_.begin(); entry != transfers_.end();) {
        if (entry->first.first != id) {
            ++entry;
            continue;
        }
        const auto key = entry->first;
        const auto incoming = entry->second;
        ++entry;
        if (!incoming->over) {
            incoming->receiver.handle_closed(broken_off(error));
            pump(key);
        }
        if (incoming->over) {
            transfers_.erase(key);
        }
    }
    // The end of another session, such as one whose offer was refused, says nothing about our last word.
    if (concluding() && (interrupted_ || (only_ && only_->first == id))) {
        finish(*concluding());
    }
}

}  // namespace pinhole::cli
