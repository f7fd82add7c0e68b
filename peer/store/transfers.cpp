#include "peer/store/peer_database.hpp"
#include "peer/store/rows.hpp"

#include <algorithm>

namespace pinhole::peer_store {

namespace {

constexpr std::string_view kColumns =
    "SELECT id, peer, direction, state, name, bytes, started_at, ended_at, error FROM transfers ";

std::string query(std::string_view rest) {
    return std::string{kColumns} + std::string{rest};
}

Transfer read_transfer(const store::Statement& row) {
    return {.id = id_from<TransferId>(row, 0),
            .peer = id_from<PeerId>(row, 1),
            .direction = enum_from<Direction>(row, 2),
            .state = enum_from<TransferState>(row, 3),
            .name = row.text(4),
            .bytes = static_cast<std::uint64_t>(row.integer(5)),
            .started_at = {row.integer(6)},
            .ended_at = row.is_null(7) ? std::nullopt : std::optional{WallTime{row.integer(7)}},
            .error = row.text(8)};
}

std::optional<std::int64_t> milliseconds(const std::optional<WallTime>& time) {
    return time ? std::optional{time->unix_ms} : std::nullopt;
}

}  // namespace

Status Transfers::start(const Transfer& transfer) {
    return run(database_,
               "INSERT INTO transfers (id, peer, direction, state, name, bytes, started_at, ended_at, error) "
               "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
               "ON CONFLICT (peer, direction, id) DO UPDATE SET state = excluded.state, name = excluded.name, "
               "bytes = excluded.bytes, started_at = excluded.started_at, ended_at = excluded.ended_at, "
               "error = excluded.error",
               [&](auto& statement) {
                   statement.bind(ByteView{transfer.id.bytes})
                       .bind(ByteView{transfer.peer.bytes})
                       .bind(number(transfer.direction))
                       .bind(number(transfer.state))
                       .bind(as_bytes(transfer.name))
                       .bind(static_cast<std::int64_t>(transfer.bytes))
                       .bind(transfer.started_at.unix_ms)
                       .bind(milliseconds(transfer.ended_at))
                       .bind(transfer.error);
               });
}

Status Transfers::end(const Transfer& transfer) {
    return run(database_,
               "UPDATE transfers SET state = ?, bytes = ?, ended_at = ?, error = ? "
               "WHERE peer = ? AND direction = ? AND id = ?",
               [&](auto& statement) {
                   statement.bind(number(transfer.state))
                       .bind(static_cast<std::int64_t>(transfer.bytes))
                       .bind(milliseconds(transfer.ended_at))
                       .bind(transfer.error)
                       .bind(ByteView{transfer.peer.bytes})
                       .bind(number(transfer.direction))
                       .bind(ByteView{transfer.id.bytes});
               });
}

Result<std::vector<Transfer>> Transfers::list(const std::optional<PeerId>& peer, std::size_t limit) {
    auto found = rows(
        database_, query(peer ? "WHERE peer = ? ORDER BY row DESC LIMIT ?" : "ORDER BY row DESC LIMIT ?"),
        [&](auto& statement) {
            if (peer) {
                statement.bind(ByteView{peer->bytes});
            }
            statement.bind(static_cast<std::int64_t>(limit));
        },
        read_transfer);
    if (found) {
        std::ranges::reverse(*found);
    }
    return found;
}

}  // namespace pinhole::peer_store
