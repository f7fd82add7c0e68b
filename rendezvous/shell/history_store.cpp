#include "rendezvous/shell/history_store.hpp"

#include "common/base/log.hpp"

#include <array>
#include <string_view>
#include <utility>

namespace pinhole::rendezvous {

namespace {

// Step n takes the schema from version n to n+1. Steps that were released are never changed.
constexpr std::array<std::string_view, 2> kSchema{R"(
    CREATE TABLE punches (
        lower     INTEGER NOT NULL CHECK (lower BETWEEN 0 AND 7),
        higher    INTEGER NOT NULL CHECK (higher BETWEEN lower AND 7),
        strategy  INTEGER NOT NULL CHECK (strategy BETWEEN 1 AND 5),
        tries     INTEGER NOT NULL CHECK (tries >= 0),
        successes INTEGER NOT NULL CHECK (successes BETWEEN 0 AND tries),
        PRIMARY KEY (lower, higher, strategy)
    ) WITHOUT ROWID;
)",
                                                  R"(
    ALTER TABLE punches RENAME TO punches_of_five;
    CREATE TABLE punches (
        lower     INTEGER NOT NULL CHECK (lower BETWEEN 0 AND 7),
        higher    INTEGER NOT NULL CHECK (higher BETWEEN lower AND 7),
        strategy  INTEGER NOT NULL CHECK (strategy BETWEEN 1 AND 8),
        tries     INTEGER NOT NULL CHECK (tries >= 0),
        successes INTEGER NOT NULL CHECK (successes BETWEEN 0 AND tries),
        PRIMARY KEY (lower, higher, strategy)
    ) WITHOUT ROWID;
    INSERT INTO punches SELECT lower, higher, strategy, tries, successes FROM punches_of_five;
    DROP TABLE punches_of_five;
)"};

/// Pairs of classes times strategies, by the schema's rules.
constexpr int kMaxRows = 36 * 8;

/// Somebody who looks at the file holds up the server for so long at most.
constexpr const char* kPatience = "PRAGMA busy_timeout = 50";

Result<store::Database> open(const std::filesystem::path& folder) {
    auto database = store::Database::open((folder / "punch.db").string());
    if (database) {
        if (auto migrated = database->migrate(kSchema); !migrated) {
            return std::unexpected(std::move(migrated.error()));
        }
        if (auto patient = database->execute(kPatience); !patient) {
            return std::unexpected(std::move(patient.error()));
        }
    }
    return database;
}

}  // namespace

HistoryStore::HistoryStore(const std::filesystem::path& folder) {
    auto opened = open(folder);
    if (opened) {
        database_ = *std::move(opened);
    } else {
        complain(opened.error());
    }
}

void HistoryStore::load(PunchHistory& history) {
    if (const auto status = database_ ? read(history) : Status{}; !status) {
        complain(status.error());
    }
}

Status HistoryStore::read(PunchHistory& history) {
    auto rows = database_->prepare("SELECT lower, higher, strategy, tries, successes FROM punches LIMIT ?");
    if (!rows) {
        return std::unexpected(std::move(rows.error()));
    }
    rows->bind(std::int64_t{kMaxRows});
    while (true) {
        const auto row = rows->step();
        if (!row || !*row) {
            return row ? Status{} : std::unexpected(row.error());
        }
        const auto nat_class = [&](int column) { return static_cast<net::NatClass>(rows->integer(column)); };
        history.load({.key = {.lower = nat_class(0),
                              .higher = nat_class(1),
                              .strategy = static_cast<net::Strategy>(rows->integer(2))},
                      .tries = static_cast<std::uint32_t>(rows->integer(3)),
                      .successes = static_cast<std::uint32_t>(rows->integer(4))});
    }
}

void HistoryStore::save(PunchHistory& history, TimePoint now) {
    if (!saved_ || now - *saved_ >= kInterval) {
        saved_ = now;
        flush(history);
    }
}

void HistoryStore::flush(PunchHistory& history) {
    if (const auto status = database_ && history.changed() ? write(history) : Status{}; !status) {
        complain(status.error());
    }
    // What could not be written is written with its next change.
    while (history.poll_changed()) {}
}

Status HistoryStore::write(PunchHistory& history) {
    auto transaction = store::Transaction::begin(*database_);
    if (!transaction) {
        return std::unexpected(std::move(transaction.error()));
    }
    while (const auto entry = history.poll_changed()) {
        if (auto status = write(*entry); !status) {
            return status;
        }
    }
    return transaction->commit();
}

Status HistoryStore::write(const PunchHistory::Entry& entry) {
    auto insert = database_->prepare(
        "INSERT OR REPLACE INTO punches (lower, higher, strategy, tries, successes) VALUES (?, ?, ?, ?, ?)");
    if (!insert) {
        return std::unexpected(std::move(insert.error()));
    }
    return insert->bind(static_cast<std::int64_t>(entry.key.lower))
        .bind(static_cast<std::int64_t>(entry.key.higher))
        .bind(static_cast<std::int64_t>(entry.key.strategy))
        .bind(std::int64_t{entry.tries})
        .bind(std::int64_t{entry.successes})
        .run();
}

void HistoryStore::complain(const Error& error) {
    if (!std::exchange(complained_, true)) {
        log::warn("what is learnt about connecting peers is not kept: {}", error.message());
    }
}

}  // namespace pinhole::rendezvous
