// Keeps what the server learns about strategies (PunchHistory) in a database of its own, "punch.db" in the data folder.
// What cannot be read or written is said once and done without: statistics are no reason not to serve, nor to wait for
// a disk. Driven by Hub.
#pragma once

#include "common/base/time.hpp"
#include "common/store/database.hpp"
#include "rendezvous/core/punch_history.hpp"

#include <filesystem>
#include <optional>

namespace pinhole::rendezvous {

class HistoryStore {
  public:
    /// Calls end many times a second, and what a crash may lose are a few of them.
    static constexpr Duration kInterval = 10s;

    /// Without a usable database it keeps nothing.
    explicit HistoryStore(const std::filesystem::path& folder);

    /// Puts what earlier runs have learnt into `history`.
    void load(PunchHistory& history);
    /// Writes what has changed in it, if it was not done within the last kInterval.
    void save(PunchHistory& history, TimePoint now);
    /// Writes it at once: the server ends.
    void flush(PunchHistory& history);

    [[nodiscard]] bool usable() const { return database_.has_value(); }

  private:
    [[nodiscard]] Status read(PunchHistory& history);
    [[nodiscard]] Status write(PunchHistory& history);
    [[nodiscard]] Status write(const PunchHistory::Entry& entry);
    void complain(const Error& error);

    std::optional<store::Database> database_;
    std::optional<TimePoint> saved_;
    bool complained_ = false;
};

}  // namespace pinhole::rendezvous
