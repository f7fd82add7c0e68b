#include "peer/store/peer_database.hpp"
#include "peer/store/rows.hpp"

#include <algorithm>

namespace pinhole::peer_store {

namespace {

constexpr std::string_view kColumns = "SELECT id, peer, direction, state, sent_at, text FROM messages ";

std::string query(std::string_view rest) {
    return std::string{kColumns} + std::string{rest};
}

Message read_message(const store::Statement& row) {
    return {.id = id_from<MessageId>(row, 0),
            .peer = id_from<PeerId>(row, 1),
            .direction = enum_from<Direction>(row, 2),
            .state = enum_from<MessageState>(row, 3),
            .sent_at = {row.integer(4)},
            .text = row.text(5)};
}

}  // namespace

Result<bool> Messages::add(const Message& message) {
    const auto state = message.direction == Direction::incoming ? MessageState::delivered : message.state;
    const auto added = run(database_,
                           "INSERT INTO messages (id, peer, direction, state, sent_at, text) VALUES (?, ?, ?, ?, ?, ?) "
                           "ON CONFLICT (peer, direction, id) DO NOTHING",
                           [&](auto& statement) {
                               statement.bind(ByteView{message.id.bytes})
                                   .bind(ByteView{message.peer.bytes})
                                   .bind(number(message.direction))
                                   .bind(number(state))
                                   .bind(message.sent_at.unix_ms)
                                   .bind(message.text);
                           });
    if (!added) {
        return std::unexpected(added.error());
    }
    return database_.changes() > 0;
}

Status Messages::mark_delivered(const PeerId& peer, const MessageId& id) {
    return run(database_, "UPDATE messages SET state = ? WHERE peer = ? AND direction = ? AND id = ?",
               [&](auto& statement) {
                   statement.bind(number(MessageState::delivered))
                       .bind(ByteView{peer.bytes})
                       .bind(number(Direction::outgoing))
                       .bind(ByteView{id.bytes});
               });
}

Result<std::vector<Message>> Messages::pending(const PeerId& peer) {
    return rows(
        database_, query("WHERE peer = ? AND state = 1 AND direction = 1 ORDER BY row"),
        [&](auto& statement) { statement.bind(ByteView{peer.bytes}); }, read_message);
}

Result<std::vector<Message>> Messages::list(const std::optional<PeerId>& peer, std::size_t limit) {
    auto found = rows(
        database_, query(peer ? "WHERE peer = ? ORDER BY row DESC LIMIT ?" : "ORDER BY row DESC LIMIT ?"),
        [&](auto& statement) {
            if (peer) {
                statement.bind(ByteView{peer->bytes});
            }
            statement.bind(static_cast<std::int64_t>(limit));
        },
        read_message);
    if (found) {
        std::ranges::reverse(*found);
    }
    return found;
}

}  // namespace pinhole::peer_store
