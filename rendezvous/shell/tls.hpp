// The server's side of TLS: the operator's certificate, or one of its own that it signs itself and that its peers know
// by its digest, because signaling tells them. Knows no sockets.
#pragma once

#include "common/base/error.hpp"

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

#include <boost/asio/ssl/context.hpp>

namespace pinhole::rendezvous {

struct TlsFiles {
    std::filesystem::path certificate;  ///< PEM, with its chain
    std::filesystem::path key;
};

struct Tls {
    std::shared_ptr<boost::asio::ssl::context> context;
    /// SHA-256 of the certificate.
    std::array<std::uint8_t, 32> digest{};
};

/// TLS 1.2 and newer (RFC 8996). Without files: a fresh key and certificate. Errors are whole sentences.
[[nodiscard]] Result<Tls> make_tls(const std::optional<TlsFiles>& files);

}  // namespace pinhole::rendezvous
