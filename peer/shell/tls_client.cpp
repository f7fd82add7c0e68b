#include "peer/shell/tls_client.hpp"

#include "peer/relay/errors.hpp"

#include <array>
#include <string>
#include <utility>

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace pinhole::shell {

namespace ssl = boost::asio::ssl;

namespace {

std::unexpected<Error> refused(std::string why) {
    return fail(make_error_code(relay::Errc::wrong_certificate), std::move(why));
}

std::unexpected<Error> impossible() {
    return fail({}, "TLS cannot be used on this machine");
}

}  // namespace

Result<std::unique_ptr<ssl::context>> make_tls_client(const RelayTarget& target) {
    auto context = std::make_unique<ssl::context>(ssl::context::tls_client);
    boost::system::error_code error;
    if (SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION) != 1) {
        return impossible();
    }
    if (!target.certificate) {
        context->set_default_verify_paths(error);
        if (!error) {
            context->set_verify_mode(ssl::verify_peer, error);
        }
    } else {
        // Whoever is named by a digest needs nobody to vouch for it: check_certificate compares.
        context->set_verify_mode(ssl::verify_none, error);
    }
    if (error) {
        return impossible();
    }
    return context;
}

// RFC 6125 §6.4; RFC 6066 §3: an address is not named to the server.
Status expect_certificate(TlsStream& stream, const RelayTarget& target) {
    auto* const native = stream.native_handle();
    const bool named = !target.host.empty();
    if (named && SSL_set_tlsext_host_name(native, target.host.c_str()) != 1) {
        return impossible();
    }
    if (target.certificate) {
        return {};
    }
    auto* const wanted = SSL_get0_param(native);
    const auto set = named ? X509_VERIFY_PARAM_set1_host(wanted, target.host.data(), target.host.size())
                           : X509_VERIFY_PARAM_set1_ip_asc(wanted, target.endpoint.address.text().c_str());
    return set == 1 ? Status{} : impossible();
}

Status check_certificate(TlsStream& stream, const RelayTarget& target) {
    auto* const native = stream.native_handle();
    const auto* shown = SSL_get0_peer_certificate(native);
    const bool finished = SSL_is_init_finished(native) == 1;
    if (target.certificate) {
        std::array<std::uint8_t, 32> digest{};
        unsigned size = 0;
        const bool read = shown != nullptr && X509_digest(shown, EVP_sha256(), digest.data(), &size) == 1;
        // Without one the handshake has failed for other reasons.
        return (read && digest == *target.certificate) || (!read && !finished)
                   ? Status{}
                   : refused("its certificate is not the one that the rendezvous server has named");
    }
    const auto verdict = SSL_get_verify_result(native);
    return verdict == X509_V_OK && (shown != nullptr || !finished)
               ? Status{}
               : refused(std::string{"nobody vouches for its certificate, "} + X509_verify_cert_error_string(verdict));
}

}  // namespace pinhole::shell
