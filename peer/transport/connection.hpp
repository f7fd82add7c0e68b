// The reliable-UDP connection (design: proto/README.md, "Transport") as a state machine without sockets, clock or
// randomness of its own. Keys come from the session's Noise handshake; there is no handshake on the UDP path.
// Input: handle_datagram, handle_timeout, the stream calls. After each input: poll_transmit until empty, poll_event
// until empty, then sleep until next_timeout(). Who writes much looks for Writable between batches, too: a stream that
// runs dry counts as one that has no more to say.
//
// Timers: loss detection or probe (RFC 9002 §6), delayed acknowledgement, pacing, keepalive (also once when data stops
// coming while nothing of ours is in flight), idle (peer gone), rest (3 s of silence: memory is given back), path
// challenge, closing/draining (3 PTO).
#pragma once

#include "common/base/error.hpp"
#include "common/base/ids.hpp"
#include "common/base/rng.hpp"
#include "common/base/time.hpp"
#include "common/crypto/aead.hpp"
#include "common/crypto/keys.hpp"
#include "common/net/datagram.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>

namespace pinhole::transport {

/// Initiator of the session opens even stream ids, the responder odd ones. All streams are bidirectional.
using StreamId = StrongId<struct StreamIdTag>;
using PathId = StrongId<struct PathIdTag, std::uint32_t>;

enum class Role : std::uint8_t { initiator, responder };

/// Strict order at packet-build time: a lower class waits while a higher one has data that it may send.
enum class Priority : std::uint8_t { control = 0, chat = 1, file = 2 };

enum class CongestionAlgorithm : std::uint8_t {
    bbr,    ///< BBRv3, for lines that lose packets or have long queues
    cubic,  ///< RFC 9438, the reference
    ledbat  ///< LEDBAT++, gives way to everybody else
};

struct Config {
    Role role = Role::initiator;
    crypto::Cipher cipher = crypto::Cipher::chacha20_poly1305;
    CongestionAlgorithm congestion = CongestionAlgorithm::bbr;
    /// Connection IDs: ours travels in packets to us; exchanged in the handshake payload.
    std::uint64_t local_connection_id = 0;
    std::uint64_t remote_connection_id = 0;
    /// Bytes the other side may have in flight or unread, on one stream and in all; at least the initial credit that
    /// the protocol fixes (256 and 512 KiB).
    std::uint64_t stream_window = 16U << 20;
    std::uint64_t connection_window = 24U << 20;
    /// Bytes of one stream that wait for their acknowledgement or to be sent; write() takes no more.
    std::uint64_t send_buffer = 16U << 20;
    /// Of these, bytes that wait to be sent for the first time. What waits for long has left the processor's cache when
    /// its turn comes, and the application's last word waits behind it.
    std::uint64_t unsent = 1U << 20;
    /// Streams the peer may have open at once; at least 64.
    std::uint64_t max_streams = 256;
    /// UDP payload bytes every path must carry; RFC 9000 §14.1.
    std::size_t base_mtu = 1200;
    /// Largest UDP payload that path MTU discovery tries: jumbo frames of 9000 bytes less IPv6 and UDP headers.
    std::size_t max_mtu = 8952;
    /// Ping when nothing was sent for so long; holds NAT mappings (RFC 4787 REQ-5: at least 2 min, in the wild 30 s).
    Duration keepalive = 15s;
    /// Silence after which the peer counts as gone. Probes go out long before. 0: never, whoever owns the connection
    /// decides; Silent tells it when to begin.
    Duration idle_timeout = 30s;
    /// Packets sealed under one key before the key phase flips.
    std::uint64_t key_update_packets = 1U << 22;
};

enum class CloseReason : std::uint64_t {
    done = 0,                ///< the application is finished
    protocol_violation = 1,  ///< a frame or packet that no correct peer sends
    flow_control = 2,        ///< more data than was allowed
    stream_limit = 3,        ///< more streams than were allowed
    internal = 4,            ///< the other side failed
    idle = 5,                ///< local only: nothing heard for idle_timeout
    application = 0x100      ///< and above: codes of the application
};

struct Opened {  ///< the peer opened a stream
    StreamId stream;
};

struct Readable {
    StreamId stream;
};

struct Writable {  ///< write() accepts bytes again after it had taken less than offered
    StreamId stream;
};

struct Finished {  ///< everything written up to finish() was acknowledged
    StreamId stream;
};

struct Reset {  ///< the peer gave up sending; unread data is dropped
    StreamId stream;
    std::uint64_t code = 0;
};

struct Stopped {  ///< the peer does not want to read any more
    StreamId stream;
    std::uint64_t code = 0;
};

/// First authenticated packet from the peer, and it has acknowledged one of ours.
struct Confirmed {};

/// The reason of PathChanged when the path before it was silent for three probe timeouts.
inline constexpr const char* kPathSilent = "path silent";
/// Likewise, when the path before it was taken away.
inline constexpr const char* kPathRemoved = "path removed";

struct PathChanged {
    PathId path;
    net::PathAddresses addresses;
    std::string reason;
};

/// Three probe timeouts in a row have passed without an answer, and on every other path as well; once until something
/// is heard again. Probes go on.
struct Silent {};

/// The answer to ping().
struct Pong {
    Duration rtt{};
};

struct Closed {
    CloseReason reason = CloseReason::done;
    bool by_peer = false;
    std::string detail;
};

using Event =
    std::variant<Opened, Readable, Writable, Finished, Reset, Stopped, Confirmed, PathChanged, Silent, Pong, Closed>;

/// What poll_transmit put into the caller's buffer: `size` bytes that are datagrams of `segment_size` each, the last
/// one maybe shorter: one UDP GSO send (segment_size == size when it is a single datagram).
struct TransmitBatch {
    net::PathAddresses path;
    std::size_t size = 0;
    std::size_t segment_size = 0;
    net::Ecn ecn = net::Ecn::not_ect;
};

struct PathStats {
    Duration smoothed_rtt{};
    Duration min_rtt{};
    /// RFC 9002 §6.2.1, without back-off.
    Duration probe_timeout{};
    std::uint64_t congestion_window = 0;
    std::uint64_t bytes_in_flight = 0;
    std::size_t mtu = 0;
};

struct Stats {
    std::uint64_t packets_sent = 0;
    std::uint64_t packets_received = 0;
    std::uint64_t packets_lost = 0;
    std::uint64_t packets_dropped = 0;  ///< received but not authentic, duplicate or too old
    std::uint64_t bytes_sent = 0;
    std::uint64_t bytes_received = 0;
    std::uint64_t key_updates = 0;
    std::uint64_t buffered = 0;  ///< bytes held in send and receive buffers now
};

class Connection {
  public:
    Connection(Config config, const crypto::SecretKey& send_key, const crypto::SecretKey& receive_key, Rng& rng,
               TimePoint now);
    Connection(Connection&&) noexcept;
    Connection& operator=(Connection&&) noexcept;
    ~Connection();

    // --- paths: ICE judges them; the first one added carries data at once.
    PathId add_path(const net::PathAddresses& addresses, TimePoint now);
    /// Moves sending to a path that ICE judged good.
    void use_path(PathId path, std::string reason, TimePoint now);
    void remove_path(PathId path, TimePoint now);
    /// Nothing leaves on this path any more: goes on with another one if there is one.
    void handle_path_failed(const net::PathAddresses& addresses, TimePoint now);
    [[nodiscard]] std::optional<PathId> active_path() const;
    [[nodiscard]] PathStats path_stats() const;
    /// Something may have changed on the way: asks at once instead of at the next probe timeout.
    void probe(TimePoint now);
    /// When an authentic packet came in last, or when the first path was added; nullopt before that.
    [[nodiscard]] std::optional<TimePoint> last_heard() const;
    /// Asks for a round trip on the path in use: Pong follows when something sent from now on is acknowledged.
    void ping(TimePoint now);

    // --- the network
    /// Takes one datagram (decrypts in place). A packet from an unknown address is answered with a path challenge and
    /// adopted as NAT rebinding when the challenge is met.
    void handle_datagram(const net::Received& datagram, TimePoint now);
    void handle_timeout(TimePoint now);
    /// Fills at most `buffer` (64 KiB holds a full GSO batch) with packets of one path; nullopt when there is nothing
    /// to send now. Call until nullopt.
    [[nodiscard]] std::optional<TransmitBatch> poll_transmit(ByteSpan buffer, TimePoint now);
    /// The shell says so when the kernel refused a size (EMSGSIZE).
    void handle_mtu_exceeded(std::size_t size, TimePoint now);
    [[nodiscard]] std::optional<TimePoint> next_timeout() const;
    /// While a file flows, when to look for datagrams next, a millisecond from `now` or two: whoever sleeps until then
    /// instead of until something arrives wakes up once for many. nullopt: what arrives must not wait.
    [[nodiscard]] std::optional<TimePoint> next_receive(TimePoint now) const;

    // --- streams
    [[nodiscard]] Result<StreamId> open_stream(Priority priority);
    /// For our direction of streams that the peer opened; until then the opener's choice counts for both.
    void set_priority(StreamId stream, Priority priority);
    /// Bytes taken, from the front; fewer than offered when the send buffer is full or `unsent` bytes wait (Writable
    /// follows).
    [[nodiscard]] Result<std::size_t> write(StreamId stream, ByteView bytes);
    /// Bytes copied; 0 when nothing is there now. `end_of_stream` tells when all was read.
    [[nodiscard]] Result<std::size_t> read(StreamId stream, ByteSpan out);
    [[nodiscard]] bool end_of_stream(StreamId stream) const;
    void finish(StreamId stream);
    void reset(StreamId stream, std::uint64_t code);
    void stop(StreamId stream, std::uint64_t code);

    /// Tells the peer and ends; Closed follows when that is done (at most 3 PTO).
    void close(CloseReason reason, std::string detail, TimePoint now);
    /// The peer has ended it, or our own close() is complete. What was received before the peer's end may still be
    /// read.
    [[nodiscard]] bool closed() const;

    [[nodiscard]] std::optional<Event> poll_event();
    [[nodiscard]] const Stats& stats() const;

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace pinhole::transport
