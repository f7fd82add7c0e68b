// What every command works with: options, the home folder with identity and database, the output, the start time.
#pragma once

#include "common/crypto/keys.hpp"
#include "common/net/endpoint.hpp"
#include "common/net/punch_plan.hpp"
#include "peer/cli/output.hpp"
#include "peer/store/home.hpp"
#include "peer/store/peer_database.hpp"
#include "peer/transport/connection.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace pinhole::cli {

/// Options before the command's own.
struct GlobalOptions {
    std::optional<std::string> home;
    std::optional<std::string> server;  ///< HOST[:PORT][/KEY]
    std::optional<std::string> bind;
    bool json = false;
    std::vector<net::Strategy> without;  ///< that no connection may use
    transport::CongestionAlgorithm congestion = transport::CongestionAlgorithm::bbr;
};

/// --server taken apart.
struct ServerAddress {
    net::HostPort host;
    std::optional<crypto::Key32> key;

    [[nodiscard]] std::string text() const { return host.host + ':' + std::to_string(host.port); }
};

[[nodiscard]] std::optional<ServerAddress> parse_server(const std::string& text);

class Environment {
  public:
    /// Opens home, identity and database; creates what is missing.
    [[nodiscard]] static Result<Environment> open(const GlobalOptions& options, Output& output,
                                                  std::chrono::steady_clock::time_point started);

    [[nodiscard]] Output& output() { return *output_; }

    [[nodiscard]] const crypto::Identity& identity() const { return identity_; }

    [[nodiscard]] peer_store::PeerDatabase& database() { return database_; }

    [[nodiscard]] const GlobalOptions& options() const { return options_; }

    /// Milliseconds since the command started.
    [[nodiscard]] std::int64_t elapsed_ms() const;

    /// The server of --server, else the remembered one, with its pinned key if there is one.
    [[nodiscard]] Result<ServerAddress> server();
    /// Remembers the server and its key after the first login.
    void remember_server(const ServerAddress& server, const crypto::Key32& key);

    /// A contact by name or ID; unknown_contact otherwise.
    [[nodiscard]] Result<peer_store::Contact> contact(const std::string& name_or_id);
    /// The contact's name, or the ID if it is nobody we know.
    [[nodiscard]] std::string name_of(const crypto::PeerId& id);

  private:
    Environment(GlobalOptions options, Output& output, crypto::Identity identity, peer_store::PeerDatabase database,
                std::chrono::steady_clock::time_point started)
        : options_(std::move(options)),
          output_(&output),
          identity_(std::move(identity)),
          database_(std::move(database)),
          started_(started) {}

    GlobalOptions options_;
    Output* output_;
    crypto::Identity identity_;
    peer_store::PeerDatabase database_;
    std::chrono::steady_clock::time_point started_;
};

}  // namespace pinhole::cli
