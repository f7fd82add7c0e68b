#include "peer/files/sender.hpp"

#include "peer/files/errors.hpp"
#include "peer/files/limits.hpp"
#include "peer/files/path.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::files {

namespace {

template <class... Ts>
struct Overloaded : Ts... {
    using Ts::operator()...;
};

}  // namespace

Sender::Sender(signaling::TransferOffer offer) : offer_(std::move(offer)) {
    output_.push_stream_kind(signaling::StreamKind::transfer);
    output_.push(offer_);
}

void Sender::handle_bytes(ByteView bytes) {
    while (!bytes.empty() && phase_ != Phase::ended) {
        auto frame = reader_.read(bytes);
        if (!frame) {
            return fail_here({.code = Errc::protocol, .detail = frame.error().message()});
        }
        if (!*frame) {
            return;
        }
        const auto* message = std::get_if<signaling::PeerMessage>(&**frame);
        const auto handled = message == nullptr ? Status{fail(Errc::protocol)} : handle_message(*message);
        if (!handled) {
            fail_here(handled.error());
        }
    }
}

Status Sender::handle_message(const signaling::PeerMessage& message) {
    if (const auto* abort = std::get_if<signaling::TransferAbort>(&message)) {
        end_with(peer_error(*abort));
        return {};
    }
    if (const auto* refuse = std::get_if<signaling::TransferRefuse>(&message); refuse && phase_ == Phase::offered) {
        end_with({.code = from_refusal(refuse->reason), .detail = "the other side"});
        return {};
    }
    if (std::holds_alternative<signaling::TransferAccept>(message) && phase_ == Phase::offered) {
        phase_ = Phase::sending;
        events_.push_back(Accepted{});
        return {};
    }
    if (const auto* stored = std::get_if<signaling::EntryStored>(&message)) {
        return confirm(*stored);
    }
    if (std::holds_alternative<signaling::TransferStored>(message) && phase_ == Phase::storing &&
        unconfirmed_.empty()) {
        events_.push_back(Done{.bytes = bytes_stored_, .files = files_stored_});
        phase_ = Phase::ended;
        return {};
    }
    return fail(Errc::protocol);
}

/// Files are confirmed in the order in which they were sent.
Status Sender::confirm(const signaling::EntryStored& stored) {
    if (unconfirmed_.empty() || !unconfirmed_.front().sent || unconfirmed_.front().index != stored.index) {
        return fail(Errc::protocol);
    }
    auto& file = unconfirmed_.front().file;
    ++files_stored_;
    bytes_stored_ += file.bytes;
    events_.push_back(std::move(file));
    unconfirmed_.pop_front();
    return {};
}

void Sender::handle_closed(const Error& why) {
    output_.clear();
    if (phase_ != Phase::ended) {
        end_with(why);
    }
}

std::size_t Sender::poll_demand() {
    if (phase_ != Phase::sending) {
        return 0;
    }
    const auto chunks = output_.size() < kWindow ? (kWindow - output_.size()) / kChunkSize : 0;
    const auto room = std::min(chunks, kMaxUnconfirmed - std::min(kMaxUnconfirmed, unconfirmed_.size()));
    const auto more = room > demanded_ ? room - demanded_ : 0;
    if (more < kDemandStep) {
        return 0;
    }
    demanded_ += more;
    return more;
}

void Sender::handle_item(Result<SourceItem> item) {
    demanded_ -= demanded_ > 0 ? 1 : 0;
    // Calls that were under way when the end was reached, or when the transfer ended, come back with nothing of use.
    if (phase_ != Phase::sending) {
        return;
    }
    if (!item) {
        return fail_here(std::move(item.error()));
    }
    if (auto sent = send_item(std::move(*item)); !sent) {
        fail_here(std::move(sent.error()));
    }
}

Status Sender::send_item(SourceItem item) {
    return std::visit(
        Overloaded{[&](const signaling::EntryHeader& header) { return send_header(header); },
                   [&](Bytes& bytes) {
                       if (!bytes.empty()) {
                           output_.push_data(std::move(bytes));
                       }
                       return Status{};
                   },
                   [&](const signaling::ZeroRun& run) {
                       zeros_sent_ += run.count;
                       output_.push(run);
                       return Status{};
                   },
                   [&](const signaling::EntryTrailer& trailer) {
                       auto& last = unconfirmed_.back();
                       last.sent = true;
                       last.file.bytes = trailer.size;
                       last.file.hash = trailer.hash;
                       output_.push(trailer);
                       return Status{};
                   },
                   [&](const signaling::EntrySkipped& skipped) {
                       events_.push_back(Skipped{.path = join_path(skipped.path), .reason = skipped.reason});
                       output_.push(skipped);
                       return Status{};
                   },
                   [&](const signaling::TransferEnd& end) {
                       output_.push(end);
                       phase_ = Phase::storing;
                       return Status{};
                   }},
        item);
}

Status Sender::send_header(const signaling::EntryHeader& header) {
    current_ = join_path(header.path);
    bytes_announced_ += header.size;
    const auto entries = std::uint64_t{offer_.files} + offer_.directories;
    if (next_index_ >= with_growth(entries, kEntryGrowth) ||
        (offer_.size_known && bytes_announced_ > with_growth(offer_.bytes, kByteGrowth))) {
        return fail(Errc::changed_while_reading, "the folder");
    }
    if (header.kind == signaling::EntryKind::file) {
        unconfirmed_.push_back({.index = next_index_, .file = {.path = current_}});
    }
    ++next_index_;
    output_.push(header);
    return {};
}

void Sender::cancel() {
    if (phase_ != Phase::ended) {
        fail_here({.code = Errc::cancelled, .detail = {}});
    }
}

void Sender::fail_here(Error error) {
    output_.drop_unsent();
    output_.push(signaling::TransferAbort{.reason = abort_reason(error.code), .detail = error.detail});
    phase_ = Phase::ended;
    events_.push_back(Failed{std::move(error)});
}

void Sender::end_with(Error error) {
    output_.clear();
    phase_ = Phase::ended;
    events_.push_back(Failed{std::move(error)});
}

std::optional<Event> Sender::poll_event() {
    if (events_.empty()) {
        return std::nullopt;
    }
    auto event = std::move(events_.front());
    events_.pop_front();
    return event;
}

Progress Sender::progress() const {
    const auto done = output_.data_sent() + zeros_sent_;
    return {.bytes_done = done,
            .bytes_total = std::max(done, offer_.bytes),
            .total_known = offer_.size_known,
            .files_done = files_stored_,
            .files_total = std::max(files_stored_, offer_.files),
            .current = current_};
}

}  // namespace pinhole::files
