// Keeps what the server learns about strategies (PunchHistory) in a database of its own, "punch.db" in the data folder.
// What cannot be read or written is said once and done without: statistics are no reason not to serve.
#pragma once

#include "common/store/database.hpp"
#include "rendezvous/core/punch_history.hpp"

#include <filesystem>
#include <optional>

namespace pinhole::rendezvous {

class HistoryStore {
  public:
    /// Without a usable database it keeps nothing.
    explicit HistoryStore(const std::filesystem::path& folder);

    /// Puts what earlier runs have learnt into `history`.
    void load(PunchHistory& history);
    /// Writes what has changed in it.
    void save(PunchHistory& history);

    [[nodiscard]] bool usable() const { return database_.has_value(); }

  private:
    [[nodiscard]] Status read(PunchHistory& history);
    [[nodiscard]] Status write(const PunchHistory::Entry& entry);
    void complain(const Error& error);

    std::optional<store::Database> database_;
    bool complained_ = false;
};

}  // namespace pinhole::rendezvous
