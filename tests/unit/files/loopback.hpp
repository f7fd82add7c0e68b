// A whole transfer in one process: a Sender with its Source, a Receiver with its Sink, and two streams of bytes between
// them, moved on in an order and in pieces that a seed decides.
#pragma once

#include "common/base/rng.hpp"
#include "peer/files/errors.hpp"
#include "peer/files/limits.hpp"
#include "peer/files/receiver.hpp"
#include "peer/files/sender.hpp"
#include "peer/files/sink.hpp"
#include "peer/files/source.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

namespace pinhole::files::test {

inline signaling::TransferId transfer_id() {
    SeededRng rng{5};
    return signaling::TransferId::generate(rng);
}

template <class T>
const T* find(const std::vector<Event>& events) {
    const auto found =
        std::ranges::find_if(events, [](const Event& event) { return std::holds_alternative<T>(event); });
    return found == events.end() ? nullptr : &std::get<T>(*found);
}

template <class T>
std::size_t count(const std::vector<Event>& events) {
    return static_cast<std::size_t>(
        std::ranges::count_if(events, [](const Event& event) { return std::holds_alternative<T>(event); }));
}

class Loopback {
  public:
    Loopback(Source& source, Sink& sink, std::uint64_t seed)
        : source_(source), sink_(sink), rng_(seed), sender(source.offer()) {}

    /// Until nothing moves any more.
    void run() {
        while (step()) {}
    }

    /// At most so many steps; true if it is not at rest.
    bool run_steps(std::uint64_t steps) {
        for (; steps > 0; --steps) {
            if (!step()) {
                return false;
            }
        }
        return true;
    }

    /// One thing of what could happen next. False when nothing can.
    bool step() {
        const auto first = rng_.below(4);
        for (std::uint64_t i = 0; i < 4; ++i) {
            if (try_step((first + i) % 4)) {
                drain();
                return true;
            }
        }
        return false;
    }

    [[nodiscard]] std::optional<std::error_code> sender_error() const { return error_of(sender_events); }

    [[nodiscard]] std::optional<std::error_code> receiver_error() const { return error_of(receiver_events); }

    [[nodiscard]] bool done() const {
        return find<Done>(sender_events) != nullptr && find<Done>(receiver_events) != nullptr && sender.finished() &&
               receiver.finished();
    }

  private:
    Source& source_;
    Sink& sink_;
    SeededRng rng_;
    std::size_t owed_items_ = 0;
    bool kind_read_ = false;

  public:
    Sender sender;
    Receiver receiver;
    std::vector<Event> sender_events;
    std::vector<Event> receiver_events;
    std::optional<signaling::RefuseReason> refusal;

  private:
    static std::optional<std::error_code> error_of(const std::vector<Event>& events) {
        const auto* failed = find<Failed>(events);
        return failed != nullptr ? std::optional{failed->error.code} : std::nullopt;
    }

    bool try_step(std::uint64_t choice) {
        switch (choice) {
            case 0:
                return to_receiver();
            case 1:
                return to_sender();
            case 2:
                return read_disk();
            default:
                return write_disk();
        }
    }

    ByteView piece(ByteView bytes, std::size_t limit) {
        const auto most = std::min(bytes.size(), limit);
        return most == 0 ? ByteView{} : bytes.first(static_cast<std::size_t>(1 + rng_.below(most)));
    }

    bool to_receiver() {
        // The other side of a finished transfer throws away what still comes.
        const auto limit = receiver.finished() ? kWindow : receiver.wants_bytes();
        auto bytes = piece(sender.output(), limit);
        if (bytes.empty()) {
            return false;
        }
        const auto size = bytes.size();
        const auto payload = bytes.subspan(kind_read_ ? 0 : 1);
        kind_read_ = true;
        auto room = rng_.below(2) == 0 ? receiver.data_room() : ByteSpan{};
        if (!payload.empty() && room.size() >= payload.size()) {
            std::ranges::copy(payload, room.begin());
            receiver.handle_data_read(payload.size());
        } else {
            receiver.handle_bytes(payload);
        }
        sender.consume_output(size);
        return true;
    }

    bool to_sender() {
        const auto bytes = piece(receiver.output(), kWindow);
        if (bytes.empty()) {
            return false;
        }
        sender.handle_bytes(bytes);
        receiver.consume_output(bytes.size());
        return true;
    }

    bool read_disk() {
        owed_items_ += sender.poll_demand();
        if (owed_items_ == 0) {
            return false;
        }
        --owed_items_;
        sender.handle_item(source_.next(sender.take_buffer()));
        return true;
    }

    bool write_disk() {
        auto command = receiver.poll_command();
        if (!command) {
            return false;
        }
        receiver.handle_result(sink_.run(*command));
        if (auto* data = std::get_if<Bytes>(&*command)) {
            receiver.reuse(std::move(*data));
        }
        return true;
    }

    void drain() {
        while (auto event = sender.poll_event()) {
            sender_events.push_back(std::move(*event));
        }
        while (auto event = receiver.poll_event()) {
            if (std::holds_alternative<Offered>(*event)) {
                refusal ? receiver.refuse(*refusal) : receiver.accept();
            }
            receiver_events.push_back(std::move(*event));
        }
    }
};

}  // namespace pinhole::files::test
