#include "peer/store/peer_database.hpp"

#include <array>

namespace pinhole::peer_store {

namespace {

// Step n takes the schema from version n to n+1. Steps that were released are never changed.
constexpr std::array<std::string_view, 2> kSchema{R"(
    CREATE TABLE contacts (
        id       BLOB PRIMARY KEY CHECK (length(id) = 32),
        name     TEXT NOT NULL UNIQUE COLLATE NOCASE,
        added_at INTEGER NOT NULL
    ) WITHOUT ROWID;

    CREATE TABLE messages (
        row       INTEGER PRIMARY KEY,
        id        BLOB NOT NULL CHECK (length(id) = 16),
        peer      BLOB NOT NULL CHECK (length(peer) = 32),
        direction INTEGER NOT NULL CHECK (direction IN (1, 2)),
        state     INTEGER NOT NULL CHECK (state IN (1, 2)),
        sent_at   INTEGER NOT NULL,
        text      TEXT NOT NULL,
        UNIQUE (peer, direction, id)
    );
    CREATE INDEX messages_pending ON messages (peer) WHERE state = 1;

    CREATE TABLE transfers (
        row        INTEGER PRIMARY KEY,
        id         BLOB NOT NULL CHECK (length(id) = 16),
        peer       BLOB NOT NULL CHECK (length(peer) = 32),
        direction  INTEGER NOT NULL CHECK (direction IN (1, 2)),
        state      INTEGER NOT NULL CHECK (state BETWEEN 1 AND 5),
        name       BLOB NOT NULL,
        bytes      INTEGER NOT NULL,
        started_at INTEGER NOT NULL,
        ended_at   INTEGER,
        error      TEXT NOT NULL,
        UNIQUE (peer, direction, id)
    );

    CREATE TABLE settings (
        key   TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) WITHOUT ROWID;
)",
                                                  R"(
    CREATE TABLE net_reports (
        server         TEXT NOT NULL,
        network        TEXT NOT NULL,
        public_address TEXT NOT NULL,
        measured_at    INTEGER NOT NULL,
        report         BLOB NOT NULL,
        PRIMARY KEY (server, network, public_address)
    ) WITHOUT ROWID;
)"};

}  // namespace

Result<PeerDatabase> PeerDatabase::open(const Home& home) {
    return open_file(home.file("pinhole.db"));
}

Result<PeerDatabase> PeerDatabase::open_file(const std::string& path) {
    auto database = store::Database::open(path);
    if (!database) {
        return std::unexpected(std::move(database.error()));
    }
    if (auto migrated = database->migrate(kSchema); !migrated) {
        auto error = std::move(migrated.error());
        error.detail = error.detail.empty() ? path : path + ": " + error.detail;
        return std::unexpected(std::move(error));
    }
    return PeerDatabase{std::move(*database)};
}

}  // namespace pinhole::peer_store
