// How a transfer shows itself, whichever side: events, the progress line, the record in the database.
#pragma once

#include "common/base/time.hpp"
#include "peer/cli/environment.hpp"
#include "peer/cli/progress.hpp"
#include "peer/files/events.hpp"

#include <optional>

namespace pinhole::cli {

class TransferReport {
  public:
    TransferReport(Environment& environment, peer_store::Direction direction, const crypto::PeerId& peer,
                   signaling::TransferOffer offer);

    /// Data begins to flow.
    void started(TimePoint now);
    /// At most every 200 ms, or `last`.
    void progress(const files::Progress& progress, TimePoint now, bool last = false);
    void stored(const files::FileStored& file);
    void skipped(const files::Skipped& entry);
    void done(const files::Done& done, const std::string& summary);
    void failed(const Failure& failure);

    [[nodiscard]] const signaling::TransferOffer& offer() const { return offer_; }

  private:
    void record_end(peer_store::TransferState state, std::uint64_t bytes, const std::string& error);

    Environment& environment_;
    Output& output_;
    peer_store::Direction direction_;
    crypto::PeerId peer_;
    signaling::TransferOffer offer_;
    std::optional<Progress> progress_;
    std::optional<TimePoint> reported_;
    TimePoint started_{};
};

/// "film.mkv (2.9 GB)" or "holiday (312 files, 1.2 GB)".
[[nodiscard]] std::string describe(const signaling::TransferOffer& offer);

}  // namespace pinhole::cli
