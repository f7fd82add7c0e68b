// How messages reach a TURN server: a UDP socket of its own, TCP, or TLS. Decides nothing; what arrives goes to the
// callbacks, whole messages of TURN each. Driven by RelayLink. Over TLS nothing is sent before the relay has shown the
// certificate that it must have (tls_client.hpp).
#pragma once

#include "common/base/bytes.hpp"
#include "common/base/error.hpp"
#include "common/io/udp_socket.hpp"
#include "common/net/endpoint.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/any_io_executor.hpp>

namespace pinhole::shell {

enum class RelayTransport : std::uint8_t { udp, tcp, tls };

[[nodiscard]] const char* name(RelayTransport transport);

struct RelayTarget {
    net::Endpoint endpoint;
    RelayTransport transport = RelayTransport::udp;
    std::string host{};  ///< to be named in TLS, if it has a name
    /// SHA-256 of the certificate that it shows on TLS; nullopt: any that is valid for `host`, or for its address.
    std::optional<std::array<std::uint8_t, 32>> certificate{};

    friend bool operator==(const RelayTarget&, const RelayTarget&) = default;
};

class RelayCarrier {
  public:
    struct Callbacks {
        std::function<void()> ready;               ///< messages can be sent
        std::function<void(ByteSpan)> message;     ///< may close the carrier
        std::function<void()> batch_over;          ///< what had arrived is handed over
        std::function<void(const Error&)> closed;  ///< by the other side, or it never came up
    };

    /// `bind`: from this local address only.
    [[nodiscard]] static std::shared_ptr<RelayCarrier> make(const boost::asio::any_io_executor& executor,
                                                            const RelayTarget& target,
                                                            const std::optional<net::Address>& bind);

    RelayCarrier() = default;
    RelayCarrier(const RelayCarrier&) = delete;
    RelayCarrier& operator=(const RelayCarrier&) = delete;
    virtual ~RelayCarrier() = default;

    /// `ready` or `closed` follows, not from within.
    virtual void start(Callbacks callbacks) = 0;
    /// Whole messages one behind the other, of `segment` bytes each but for the last, which may be shorter.
    virtual io::SendResult send(ByteView messages, std::size_t segment) = 0;
    /// No callback follows.
    virtual void close() = 0;
};

}  // namespace pinhole::shell
