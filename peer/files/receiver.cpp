#include "peer/files/receiver.hpp"

#include "peer/files/errors.hpp"
#include "peer/files/limits.hpp"
#include "peer/files/path.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::files {

namespace {

/// What an entry's path takes in memory.
std::size_t cost_of(std::span<const std::string> path) {
    std::size_t cost = kEntryCost;
    for (const auto& component : path) {
        cost += component.size();
    }
    return cost;
}

}  // namespace

void Receiver::handle_bytes(ByteView bytes) {
    while (!bytes.empty() && phase_ != Phase::ended) {
        auto frame = reader_.read(bytes);
        if (!frame) {
            return fail_here({.code = Errc::protocol, .detail = frame.error().message()});
        }
        if (!*frame) {
            return;
        }
        if (auto handled = handle_frame(std::move(**frame)); !handled) {
            return fail_here(std::move(handled.error()));
        }
    }
}

ByteSpan Receiver::data_room() {
    const auto room = phase_ == Phase::receiving ? reader_.room() : ByteSpan{};
    return room.first(std::min(room.size(), wants_bytes()));
}

void Receiver::handle_data_read(std::size_t count) {
    auto frame = reader_.filled(count);
    if (!frame) {
        return;
    }
    if (auto handled = handle_frame(*std::move(frame)); !handled) {
        fail_here(std::move(handled.error()));
    }
}

Status Receiver::handle_frame(signaling::Frame frame) {
    if (auto* data = std::get_if<Bytes>(&frame)) {
        return phase_ == Phase::receiving ? handle_data(std::move(*data)) : Status{fail(Errc::protocol)};
    }
    return handle_message(std::move(std::get<signaling::PeerMessage>(frame)));
}

Status Receiver::handle_message(signaling::PeerMessage message) {
    if (const auto* abort = std::get_if<signaling::TransferAbort>(&message)) {
        end_with(peer_error(*abort));
        return {};
    }
    if (phase_ == Phase::waiting) {
        auto* offer = std::get_if<signaling::TransferOffer>(&message);
        return offer != nullptr ? handle_offer(std::move(*offer)) : Status{fail(Errc::protocol)};
    }
    if (phase_ != Phase::receiving) {
        return fail(Errc::protocol);
    }
    if (auto* header = std::get_if<signaling::EntryHeader>(&message)) {
        return handle_header(std::move(*header));
    }
    if (const auto* run = std::get_if<signaling::ZeroRun>(&message)) {
        return handle_zeros(*run);
    }
    if (const auto* trailer = std::get_if<signaling::EntryTrailer>(&message)) {
        return handle_trailer(*trailer);
    }
    if (const auto* skipped = std::get_if<signaling::EntrySkipped>(&message)) {
        return handle_skip(*skipped);
    }
    return std::holds_alternative<signaling::TransferEnd>(message) ? handle_end() : Status{fail(Errc::protocol)};
}

Status Receiver::handle_offer(signaling::TransferOffer offer) {
    if (std::uint64_t{offer.files} + offer.directories > kMaxEntries) {
        return fail(Errc::too_many_files);
    }
    offer_ = std::move(offer);
    phase_ = Phase::offered;
    events_.push_back(Offered{offer_});
    return {};
}

Status Receiver::handle_header(signaling::EntryHeader header) {
    if (file_) {
        return fail(Errc::protocol);
    }
    if (auto safe = check_path(header.path); !safe) {
        return safe;
    }
    if (entries_ >= with_growth(std::uint64_t{offer_.files} + offer_.directories, kEntryGrowth)) {
        return fail(Errc::too_many_files);
    }
    ++entries_;
    current_ = join_path(header.path);
    if (header.kind == signaling::EntryKind::file) {
        if (header.size_known != offer_.size_known) {
            return fail(Errc::protocol);
        }
        file_ = OpenFile{.size = header.size, .size_known = header.size_known, .received = 0};
    }
    const auto cost = cost_of(header.path);
    command(std::move(header), cost);
    return {};
}

Status Receiver::handle_data(Bytes bytes) {
    if (auto counted = count_bytes(bytes.size()); !counted) {
        return counted;
    }
    const auto cost = bytes.size();
    command(std::move(bytes), cost);
    return {};
}

Status Receiver::handle_zeros(const signaling::ZeroRun& run) {
    if (file_ && !file_->size_known) {
        return fail(Errc::protocol);
    }
    if (auto counted = count_bytes(run.count); !counted) {
        return counted;
    }
    command(run, kEntryCost);
    return {};
}

Status Receiver::count_bytes(std::uint64_t count) {
    if (!file_ || (file_->size_known && count > file_->size - file_->received)) {
        return fail(Errc::protocol);
    }
    file_->received += count;
    bytes_ += count;
    if (offer_.size_known && bytes_ > with_growth(offer_.bytes, kByteGrowth)) {
        return fail(Errc::protocol, "more than was offered");
    }
    return {};
}

Status Receiver::handle_trailer(const signaling::EntryTrailer& trailer) {
    if (!file_ || trailer.size != file_->received || (file_->size_known && trailer.size != file_->size)) {
        return fail(Errc::protocol);
    }
    file_.reset();
    command(trailer, kEntryCost);
    return {};
}

Status Receiver::handle_skip(const signaling::EntrySkipped& skip) {
    if (file_) {
        return fail(Errc::protocol);
    }
    if (++skips_ > kMaxEntries) {
        return fail(Errc::too_many_files);
    }
    events_.push_back(Skipped{.path = join_path(skip.path), .reason = skip.reason});
    return {};
}

Status Receiver::handle_end() {
    if (file_) {
        return fail(Errc::protocol);
    }
    phase_ = Phase::completing;
    command(Complete{}, kEntryCost);
    return {};
}

void Receiver::handle_closed(const Error& why) {
    output_.clear();
    if (phase_ != Phase::ended) {
        end_with(why);
    }
}

std::size_t Receiver::wants_bytes() const {
    return phase_ == Phase::ended || window_used_ >= kWindow ? 0 : kWindow - window_used_;
}

void Receiver::accept() {
    if (phase_ == Phase::offered) {
        phase_ = Phase::preparing;
        command(Prepare{offer_}, kEntryCost);
    }
}

void Receiver::refuse(signaling::RefuseReason reason) {
    if (phase_ == Phase::offered) {
        end_with({.code = from_refusal(reason), .detail = {}});
        output_.push(signaling::TransferRefuse{reason});
    }
}

void Receiver::command(SinkCommand command, std::size_t cost) {
    owed_.push_back({.cost = cost, .index = entries_ - (entries_ > 0 ? 1 : 0)});
    window_used_ += cost;
    commands_.push_back(std::move(command));
}

std::optional<SinkCommand> Receiver::poll_command() {
    if (commands_.empty()) {
        return std::nullopt;
    }
    auto command = std::move(commands_.front());
    commands_.pop_front();
    return command;
}

void Receiver::handle_result(Result<SinkResult> result) {
    if (owed_.empty()) {
        return;
    }
    const auto owed = owed_.front();
    owed_.pop_front();
    window_used_ -= owed.cost;
    if (phase_ == Phase::ended) {
        return;
    }
    if (!result) {
        return phase_ == Phase::preparing ? refuse_unprepared(std::move(result.error()))
                                          : fail_here(std::move(result.error()));
    }
    if (phase_ == Phase::preparing) {
        phase_ = Phase::receiving;
        output_.push(signaling::TransferAccept{});
    } else if (*result) {
        ++files_stored_;
        output_.push(signaling::EntryStored{owed.index});
        events_.push_back(std::move(**result));
    } else if (phase_ == Phase::completing && owed_.empty()) {
        phase_ = Phase::ended;
        output_.push(signaling::TransferStored{});
        events_.push_back(Done{.bytes = bytes_, .files = files_stored_});
    }
}

void Receiver::refuse_unprepared(Error error) {
    const bool full = error.code == Errc::disk_full;
    end_with(std::move(error));
    output_.push(
        signaling::TransferRefuse{full ? signaling::RefuseReason::disk_full : signaling::RefuseReason::not_possible});
}

void Receiver::cancel() {
    if (phase_ != Phase::ended) {
        fail_here({.code = Errc::cancelled, .detail = {}});
    }
}

void Receiver::fail_here(Error error) {
    const signaling::TransferAbort abort{.reason = abort_reason(error.code), .detail = error.detail};
    end_with(std::move(error));
    output_.push(abort);
}

/// Replaces the commands that have not gone to the Sink by one that cleans up.
void Receiver::discard() {
    for (; !commands_.empty(); commands_.pop_back()) {
        window_used_ -= owed_.back().cost;
        owed_.pop_back();
    }
    command(Discard{}, 0);
}

void Receiver::end_with(Error error) {
    output_.drop_unsent();
    if (phase_ >= Phase::preparing) {
        discard();
    }
    phase_ = Phase::ended;
    events_.push_back(Failed{std::move(error)});
}

std::optional<Event> Receiver::poll_event() {
    if (events_.empty()) {
        return std::nullopt;
    }
    auto event = std::move(events_.front());
    events_.pop_front();
    return event;
}

Progress Receiver::progress() const {
    return {.bytes_done = bytes_,
            .bytes_total = std::max(bytes_, offer_.bytes),
            .total_known = offer_.size_known,
            .files_done = files_stored_,
            .files_total = std::max(files_stored_, offer_.files),
            .current = current_};
}

bool Receiver::finished() const {
    return phase_ == Phase::ended && output_.empty() && owed_.empty();
}

}  // namespace pinhole::files
