// Whom a TLS connection to a relay must lead to: the one that shows the certificate that the rendezvous server has
// named on its authenticated connection, or, where it named none, one that the system's authorities vouch for (or those
// of SSL_CERT_FILE and SSL_CERT_DIR). Knows no TURN; the carrier of relays over TLS drives it, and sends nothing before
// check_certificate has agreed.
#pragma once

#include "common/base/error.hpp"
#include "peer/shell/relay_carrier.hpp"

#include <memory>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>

namespace pinhole::shell {

using TlsStream = boost::asio::ssl::stream<boost::asio::ip::tcp::socket>;

/// TLS 1.2 and newer (RFC 8996). The stream that is made with it keeps what it needs of it.
[[nodiscard]] Result<std::unique_ptr<boost::asio::ssl::context>> make_tls_client(const RelayTarget& target);
/// Before the handshake: whom we ask for, and whose certificate would do.
[[nodiscard]] Status expect_certificate(TlsStream& stream, const RelayTarget& target);
/// After the handshake, also where it has failed: relay::Errc::wrong_certificate with the reason, if it is that.
[[nodiscard]] Status check_certificate(TlsStream& stream, const RelayTarget& target);

}  // namespace pinhole::shell
