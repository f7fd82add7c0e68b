#include "rendezvous/shell/tls.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace pinhole::rendezvous {

namespace {

namespace ssl = boost::asio::ssl;

using KeyPtr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using CertificatePtr = std::unique_ptr<X509, decltype(&X509_free)>;

/// A certificate lives as long as the process; clocks of clients may be wrong by a day.
constexpr long kDay = 24L * 60 * 60;
constexpr long kValid = 3650 * kDay;

std::unexpected<Error> cannot_make() {
    return fail({}, "cannot make a key and certificate for TLS");
}

/// An EC key, whose handshake costs a tenth of RSA's, and what names it.
Status self_sign(ssl::context& context) {
    const KeyPtr key{EVP_EC_gen("P-256"), &EVP_PKEY_free};
    const CertificatePtr certificate{X509_new(), &X509_free};
    if (!key || !certificate) {
        return cannot_make();
    }
    auto* const x509 = certificate.get();
    auto* const name = X509_get_subject_name(x509);
    const auto* common_name = reinterpret_cast<const unsigned char*>("pinhole-rendezvous");
    const bool made =
        X509_set_version(x509, X509_VERSION_3) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(x509), 1) == 1 &&
        X509_gmtime_adj(X509_getm_notBefore(x509), -kDay) != nullptr &&
        X509_gmtime_adj(X509_getm_notAfter(x509), kValid) != nullptr &&
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, common_name, -1, -1, 0) == 1 &&
        X509_set_issuer_name(x509, name) == 1 && X509_set_pubkey(x509, key.get()) == 1 &&
        X509_sign(x509, key.get(), EVP_sha256()) > 0 && SSL_CTX_use_certificate(context.native_handle(), x509) == 1 &&
        SSL_CTX_use_PrivateKey(context.native_handle(), key.get()) == 1;
    return made ? Status{} : cannot_make();
}

Status load(ssl::context& context, const TlsFiles& files) {
    boost::system::error_code ec;
    context.use_certificate_chain_file(files.certificate.native(), ec);
    if (ec) {
        return fail({}, fmt::format("cannot use the certificate {}: {}", files.certificate.native(), ec.message()));
    }
    context.use_private_key_file(files.key.native(), ssl::context::pem, ec);
    if (ec) {
        return fail({}, fmt::format("cannot use the key {}: {}", files.key.native(), ec.message()));
    }
    if (SSL_CTX_check_private_key(context.native_handle()) != 1) {
        return fail({}, fmt::format("the key {} does not belong to the certificate {}", files.key.native(),
                                    files.certificate.native()));
    }
    return {};
}

}  // namespace

Result<Tls> make_tls(const std::optional<TlsFiles>& files) {
    Tls result{.context = std::make_shared<ssl::context>(ssl::context::tls_server)};
    auto& context = *result.context;
    boost::system::error_code ec;
    context.set_options(ssl::context::default_workarounds | ssl::context::no_compression, ec);
    auto* const native = context.native_handle();
    // A client that renegotiates, or has tickets made, costs more than it is worth; buffers of idle connections too.
    SSL_CTX_set_options(native, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
    if (ec || SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION) != 1) {
        return cannot_make();
    }
    if (auto status = files ? load(context, *files) : self_sign(context); !status) {
        return std::unexpected(status.error());
    }
    unsigned size = 0;
    if (X509_digest(SSL_CTX_get0_certificate(native), EVP_sha256(), result.digest.data(), &size) != 1) {
        return cannot_make();
    }
    return result;
}

}  // namespace pinhole::rendezvous
