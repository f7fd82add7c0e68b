#include "peer/cli/transfer_report.hpp"

#include "common/base/encoding.hpp"
#include "common/base/log.hpp"

#include <fmt/format.h>

namespace pinhole::cli {

namespace {

constexpr Duration kReportInterval = 200ms;

const char* reason_of(signaling::SkipReason reason) {
    switch (reason) {
        case signaling::SkipReason::symlink:
            return "symbolic link";
        case signaling::SkipReason::special:
            return "neither file nor folder";
        case signaling::SkipReason::vanished:
            return "vanished";
    }
    return "";
}

}  // namespace

std::string describe(const signaling::TransferOffer& offer) {
    const auto size = offer.size_known ? human_bytes(static_cast<double>(offer.bytes)) : std::string{"size unknown"};
    const auto name = printable(offer.name);
    return offer.files == 1 && offer.directories == 0 ? fmt::format("{} ({})", name, size)
                                                      : fmt::format("{} ({} files, {})", name, offer.files, size);
}

TransferReport::TransferReport(Environment& environment, peer_store::Direction direction, const crypto::PeerId& peer,
                               signaling::TransferOffer offer)
    : environment_(environment),
      output_(environment.output()),
      direction_(direction),
      peer_(peer),
      offer_(std::move(offer)) {
    const peer_store::Transfer record{.id = offer_.id,
                                      .peer = peer_,
                                      .direction = direction_,
                                      .name = offer_.name,
                                      .bytes = offer_.bytes,
                                      .started_at = wall_now(),
                                      .ended_at = {},
                                      .error = {}};
    if (const auto status = environment_.database().transfers().start(record); !status) {
        log::warn("cannot record the transfer: {}", status.error().message());
    }
}

void TransferReport::started(TimePoint now) {
    started_ = now;
    progress_.emplace(offer_.size_known ? std::optional{offer_.bytes} : std::nullopt, now);
}

void TransferReport::progress(const files::Progress& progress, TimePoint now, bool last) {
    if (!progress_ || (!last && reported_ && now - *reported_ < kReportInterval)) {
        return;
    }
    reported_ = now;
    progress_->update(progress.bytes_done, now);
    const auto eta = progress_->eta_seconds();
    output_.event("progress", {{"transfer", offer_.id.text()},
                               {"bytes", progress.bytes_done},
                               {"total", progress_->total() ? Json(*progress_->total()) : Json(nullptr)},
                               {"rate", static_cast<std::uint64_t>(progress_->rate())},
                               {"eta_s", eta ? Json(*eta) : Json(nullptr)},
                               {"file", printable(progress.current)}});
    if (output_.shows_progress()) {
        output_.progress(
            progress_->line(progress.current.empty() ? offer_.name : progress.current, Output::columns() - 1));
    }
}

void TransferReport::stored(const files::FileStored& file) {
    output_.event("file", {{"transfer", offer_.id.text()},
                           {"path", printable(file.path)},
                           {"bytes", file.bytes},
                           {"hash", to_hex(file.hash)}});
}

void TransferReport::skipped(const files::Skipped& entry) {
    output_.note(fmt::format("skipped {}: {}", printable(entry.path), reason_of(entry.reason)));
}

void TransferReport::done(const files::Done& done, const std::string& summary) {
    const auto elapsed = reported_ ? seconds(*reported_ - started_) : 0;
    output_.event("done", {{"transfer", offer_.id.text()},
                           {"bytes", done.bytes},
                           {"elapsed_ms", environment_.elapsed_ms()},
                           {"resumed_from", 0}});
    const auto rate = elapsed > 0 ? fmt::format(" in {} ({}/s)", human_duration(elapsed),
                                                human_bytes(static_cast<double>(done.bytes) / elapsed))
                                  : std::string{};
    output_.say(summary + rate);
    record_end(peer_store::TransferState::done, done.bytes, {});
}

void TransferReport::failed(const Failure& failure) {
    const auto state = failure.exit == Exit::refused       ? peer_store::TransferState::refused
                       : failure.exit == Exit::interrupted ? peer_store::TransferState::cancelled
                                                           : peer_store::TransferState::failed;
    record_end(state, progress_ ? progress_->bytes() : 0, failure.message);
}

void TransferReport::record_end(peer_store::TransferState state, std::uint64_t bytes, const std::string& error) {
    const peer_store::Transfer record{.id = offer_.id,
                                      .peer = peer_,
                                      .direction = direction_,
                                      .state = state,
                                      .name = offer_.name,
                                      .bytes = bytes,
                                      .started_at = {},
                                      .ended_at = wall_now(),
                                      .error = error};
    if (const auto status = environment_.database().transfers().end(record); !status) {
        log::warn("cannot record the transfer: {}", status.error().message());
    }
}

}  // namespace pinhole::cli
