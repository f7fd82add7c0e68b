// The peer's network thread: one UDP socket and one TCP port a family, the signaling connection, the sessions, and the
// report of where this peer stands, renewed when the network is another; driven by one io_context. Decides nothing that
// a core can decide. Everything here, the handler included, runs on that one thread.
#pragma once

#include "common/base/ids.hpp"
#include "common/net/endpoint.hpp"
#include "peer/session/session.hpp"
#include "peer/session/signaling_client.hpp"
#include "peer/shell/report_cache.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

namespace pinhole::shell {

using SessionId = StrongId<struct SessionIdTag>;

struct NodeConfig {
    const crypto::Identity* identity = nullptr;  ///< outlives the node
    net::HostPort server;
    std::optional<crypto::Key32> pinned_server_key;
    std::optional<net::Address> bind;  ///< use this local address only
    std::uint8_t services = 0;         ///< bits of session::Service that incoming calls may use
    Duration path_patience = 10s;
    std::vector<net::Strategy> without{};  ///< strategies that no call may use
    transport::CongestionAlgorithm congestion = transport::CongestionAlgorithm::bbr;  ///< of what we send
    ReportCache* report_cache = nullptr;  ///< outlives the node; null: every node measures for itself
};

/// What is different when a call is placed again.
struct CallOptions {
    /// From a UDP port that was never used before.
    bool fresh_port = false;
    /// The other side begins.
    bool other_side_first = false;
};

/// What the application does with a call.
enum class CallDecision : std::uint8_t {
    take,      ///< answer it
    refuse,    ///< the caller is nobody we know
    not_here,  ///< nothing in this process takes such a call; another instance of this identity may
    ignore     ///< we are calling this peer ourselves, and our call goes first
};

class NodeHandler {
  public:
    NodeHandler() = default;
    NodeHandler(const NodeHandler&) = delete;
    NodeHandler& operator=(const NodeHandler&) = delete;
    virtual ~NodeHandler() = default;

    /// Logged in (again). `reflexive`: where STUN saw our UDP socket, if it answered already.
    virtual void on_online(const session::SignalingClient::Online& online, std::optional<net::Endpoint> reflexive) = 0;
    /// The server connection is gone; the node goes on trying unless the key was wrong.
    virtual void on_server_lost(const Error& error, bool was_online) = 0;

    /// This machine's addresses or routes are others; the server connection follows by itself.
    virtual void on_network_changed() {}

    virtual CallDecision on_call(const crypto::PeerId& from, std::uint8_t services) = 0;
    /// A call was taken: events of this session follow.
    virtual void on_answering(SessionId id, const crypto::PeerId& from) = 0;
    /// After Ended the id is gone. Reading and writing streams in here needs no kick.
    virtual void on_session(SessionId id, const session::Event& event) = 0;
};

class Node {
  public:
    Node(boost::asio::io_context& io, NodeConfig config, NodeHandler& handler);
    ~Node();
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    /// Opens sockets and connects. The error is about local sockets; the server's state arrives by events.
    [[nodiscard]] Status start();
    /// Calls a peer for `services` (bits of session::Service); needs the server connection.
    SessionId call(const crypto::PeerId& peer, std::uint8_t services, CallOptions options = {});
    /// The session's transport, or null before keys are agreed and after its end.
    [[nodiscard]] transport::Connection* transport(SessionId id);
    [[nodiscard]] std::uint8_t services(SessionId id) const;
    /// Call after using the transport outside of on_session.
    void kick(SessionId id);
    /// Says goodbye; Ended follows.
    void close(SessionId id, session::Goodbye goodbye = session::Goodbye::done);
    /// Closes every socket at once; no callback follows. Sessions should have been closed before.
    void stop();
    [[nodiscard]] bool online() const;

  private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace pinhole::shell
