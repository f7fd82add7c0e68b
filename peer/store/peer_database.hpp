// What a peer remembers, in one SQLite file (`pinhole.db` in its home): contacts, messages, transfers, settings, and
// for minutes what it measured of its network. Blocking, but quick; one PeerDatabase per thread, several processes may
// share the file.
#pragma once

#include "common/base/error.hpp"
#include "common/base/wall_time.hpp"
#include "common/crypto/keys.hpp"
#include "common/net/net_report.hpp"
#include "common/signaling/peer_messages.hpp"
#include "common/store/database.hpp"
#include "peer/store/home.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pinhole::peer_store {

using crypto::PeerId;
using signaling::MessageId;
using signaling::TransferId;

enum class Direction : std::uint8_t { outgoing = 1, incoming = 2 };

struct Contact {
    PeerId id;
    std::string name;
    WallTime added_at;
};

/// 1 to 64 printable characters of UTF-8, no space at either end, no '-' at the start (it would be an option), and
/// nothing that could be an ID. The error says which rule.
[[nodiscard]] Status check_contact_name(std::string_view name);

/// People. Names are unique without regard to ASCII case.
class Contacts {
  public:
    explicit Contacts(store::Database& database) : database_(database) {}

    /// Errors: bad_name, name_taken, id_taken (the detail has the name it goes by).
    [[nodiscard]] Status add(const PeerId& id, std::string_view name, WallTime now);
    [[nodiscard]] Status remove(std::string_view name_or_id);
    [[nodiscard]] Status rename(std::string_view name_or_id, std::string_view name);
    /// By name.
    [[nodiscard]] Result<std::vector<Contact>> list();
    [[nodiscard]] Result<std::optional<Contact>> find(std::string_view name_or_id);
    [[nodiscard]] Result<std::optional<Contact>> find(const PeerId& id);

  private:
    store::Database& database_;
};

enum class MessageState : std::uint8_t { pending = 1, delivered = 2 };

struct Message {
    MessageId id;
    PeerId peer;
    Direction direction = Direction::outgoing;
    MessageState state = MessageState::pending;
    WallTime sent_at;
    std::string text;
};

class Messages {
  public:
    explicit Messages(store::Database& database) : database_(database) {}

    /// True if it is new; false if a message with this id from (or to) this peer is there already. An incoming message
    /// is `delivered` from the start.
    [[nodiscard]] Result<bool> add(const Message& message);
    [[nodiscard]] Status mark_delivered(const PeerId& peer, const MessageId& id);
    /// Outgoing and not delivered, oldest first.
    [[nodiscard]] Result<std::vector<Message>> pending(const PeerId& peer);
    /// The latest `limit`, oldest first; of everybody without `peer`.
    [[nodiscard]] Result<std::vector<Message>> list(const std::optional<PeerId>& peer, std::size_t limit);

  private:
    store::Database& database_;
};

enum class TransferState : std::uint8_t { running = 1, done, failed, cancelled, refused };

struct Transfer {
    TransferId id;
    PeerId peer;
    Direction direction = Direction::outgoing;
    TransferState state = TransferState::running;
    std::string name;         ///< bytes, for display only
    std::uint64_t bytes = 0;  ///< offered; when it has ended, transferred
    WallTime started_at;
    std::optional<WallTime> ended_at{};
    std::string error{};
};

class Transfers {
  public:
    explicit Transfers(store::Database& database) : database_(database) {}

    /// Starts a record; one with the same id, peer and direction is started anew.
    [[nodiscard]] Status start(const Transfer& transfer);
    /// Ends it: the state, bytes, ended_at and error of `transfer` are kept.
    [[nodiscard]] Status end(const Transfer& transfer);
    /// The latest `limit`, oldest first; of everybody without `peer`.
    [[nodiscard]] Result<std::vector<Transfer>> list(const std::optional<PeerId>& peer, std::size_t limit);

  private:
    store::Database& database_;
};

class Settings {
  public:
    explicit Settings(store::Database& database) : database_(database) {}

    [[nodiscard]] Result<std::optional<std::string>> find(std::string_view key);
    [[nodiscard]] Status set(std::string_view key, std::string_view value);

    /// The rendezvous server that the first command connected to, as `host:port`.
    [[nodiscard]] Result<std::optional<std::string>> server() { return find("server"); }

    [[nodiscard]] Status set_server(std::string_view host_port) { return set("server", host_port); }

    /// The public key that a server is known by.
    [[nodiscard]] Result<std::optional<crypto::Key32>> server_pin(std::string_view host_port);
    [[nodiscard]] Status set_server_pin(std::string_view host_port, const crypto::Key32& key);

  private:
    store::Database& database_;
};

/// A place in the network, as far as it can be known without measuring.
struct Place {
    std::string server;          ///< as the user names it
    std::string network;         ///< gateway and interface of the way to the server
    std::string public_address;  ///< as the server sees it
};

/// What was measured where, so that one command need not measure again what the one before did. Without the notes.
class NetReports {
  public:
    /// NATs behave as they do for years; what changes within minutes is the traffic of others, and the cable.
    static constexpr std::chrono::minutes kValid{5};

    explicit NetReports(store::Database& database) : database_(database) {}

    /// One that is still valid.
    [[nodiscard]] Result<std::optional<net::NetReport>> find(const Place& place, WallTime now);
    /// Replaces the one of this place, and removes all that are no longer valid.
    [[nodiscard]] Status set(const Place& place, const net::NetReport& report, WallTime now);

  private:
    store::Database& database_;
};

class PeerDatabase {
  public:
    [[nodiscard]] static Result<PeerDatabase> open(const Home& home);
    /// For tests: `path` may be ":memory:".
    [[nodiscard]] static Result<PeerDatabase> open_file(const std::string& path);

    [[nodiscard]] Contacts contacts() { return Contacts{database_}; }

    [[nodiscard]] Messages messages() { return Messages{database_}; }

    [[nodiscard]] Transfers transfers() { return Transfers{database_}; }

    [[nodiscard]] Settings settings() { return Settings{database_}; }

    [[nodiscard]] NetReports net_reports() { return NetReports{database_}; }

  private:
    explicit PeerDatabase(store::Database database) : database_(std::move(database)) {}

    store::Database database_;
};

}  // namespace pinhole::peer_store
