// tls-load: what the transport is compared with: TLS 1.3 over the kernel's TCP, from memory to nowhere, one direction.
//
//   tls-load listen|connect --address A --port P …        the one who connects sends; --help lists the rest
//
// With --messages the stream is framed: messages and bulk share the connection, the messages first where both wait;
// with
// --no-bulk they have it for themselves. With --connections there are many of them that rest. Prints `ready` and one
// line of JSON. Blocking sockets, one thread; the certificate is made at the start and nobody checks it.
#include "tests/bench/load_report.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

namespace bench = pinhole::bench;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kRecord = 16U << 10;
/// What may wait in the kernel unsent, where a message could have overtaken it.
constexpr int kUnsent = 16 << 10;
constexpr std::size_t kReadBuffer = 80U << 10;
/// Connections before the weighing of idle ones begins.
constexpr std::size_t kFirst = 20;

struct Options {
    bool listen = false;
    std::string address;
    std::uint16_t port = 0;
    std::string cipher = "aes128";
    std::string congestion = "cubic";
    std::uint64_t size = 1U << 30;
    double seconds = 0;
    double warm_up = 0;
    std::uint64_t messages = 0;
    std::size_t message_size = 200;
    double message_rate = 20;
    bool no_bulk = false;
    std::size_t connections = 0;
    double rest = 30;
};

int check(int result, const char* what) {
    if (result < 0) {
        throw std::system_error(errno, std::generic_category(), what);
    }
    return result;
}

void require(bool done, const char* what) {
    if (!done) {
        throw std::runtime_error(std::string{"OpenSSL: "} + what);
    }
}

struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }

    void operator()(SSL* connection) const { SSL_free(connection); }

    void operator()(X509* certificate) const { X509_free(certificate); }

    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};

using Context = std::unique_ptr<SSL_CTX, Free>;

void use_own_certificate(SSL_CTX* context) {
    const std::unique_ptr<EVP_PKEY, Free> key{EVP_EC_gen("P-256")};
    const std::unique_ptr<X509, Free> certificate{X509_new()};
    require(key && certificate, "certificate");
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 86'400);
    X509_set_pubkey(certificate.get(), key.get());
    require(X509_sign(certificate.get(), key.get(), EVP_sha256()) > 0, "signature");
    require(SSL_CTX_use_certificate(context, certificate.get()) == 1, "certificate");
    require(SSL_CTX_use_PrivateKey(context, key.get()) == 1, "key");
}

const char* suite(const std::string& cipher) {
    if (cipher == "chacha") {
        return "TLS_CHACHA20_POLY1305_SHA256";
    }
    return cipher == "aes256" ? "TLS_AES_256_GCM_SHA384" : "TLS_AES_128_GCM_SHA256";
}

Context make_context(const Options& options) {
    Context context{SSL_CTX_new(TLS_method())};
    require(context != nullptr, "context");
    SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
    require(SSL_CTX_set_ciphersuites(context.get(), suite(options.cipher)) == 1, "cipher");
    SSL_CTX_set_read_ahead(context.get(), 1);
    // Reading ahead is for a flow; a connection that rests keeps OpenSSL's usual buffer.
    if (options.connections == 0) {
        SSL_CTX_set_default_read_buffer_len(context.get(), kReadBuffer);
    }
    if (options.listen) {
        use_own_certificate(context.get());
        SSL_CTX_set_num_tickets(context.get(), 0);
    }
    return context;
}

sockaddr_in endpoint(const Options& options) {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(options.port);
    if (::inet_pton(AF_INET, options.address.c_str(), &where.sin_addr) != 1) {
        throw std::runtime_error("--address is an IPv4 address");
    }
    return where;
}

int make_socket(const Options& options) {
    const int fd = check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    const int on = 1;
    check(::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
    check(::setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, options.congestion.data(),
                       static_cast<socklen_t>(options.congestion.size())),
          "TCP_CONGESTION");
    return fd;
}

/// One TLS connection over a socket that it owns.
class Connection {
  public:
    Connection(SSL_CTX* context, int fd, const Options& options) : fd_(fd), ssl_(SSL_new(context)) {
        require(ssl_ != nullptr, "connection");
        if (options.messages > 0) {
            const int on = 1;
            check(::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
            check(::setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kUnsent, sizeof kUnsent), "TCP_NOTSENT_LOWAT");
        }
        SSL_set_fd(ssl_.get(), fd);
        require((options.listen ? SSL_accept(ssl_.get()) : SSL_connect(ssl_.get())) == 1, "handshake");
    }

    Connection(Connection&& other) noexcept : fd_(std::exchange(other.fd_, -1)), ssl_(std::move(other.ssl_)) {}

    Connection& operator=(Connection&&) = delete;

    ~Connection() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }

    void write(const std::uint8_t* data, std::size_t size) const {
        require(SSL_write(ssl_.get(), data, static_cast<int>(size)) == static_cast<int>(size), "write");
    }

    /// 0: the other side has ended.
    [[nodiscard]] std::size_t read(std::uint8_t* data, std::size_t size) const {
        const int count = SSL_read(ssl_.get(), data, static_cast<int>(size));
        return count > 0 ? static_cast<std::size_t>(count) : 0;
    }

    void finish() const { SSL_shutdown(ssl_.get()); }

  private:
    int fd_;
    std::unique_ptr<SSL, Free> ssl_;
};

/// Connections of one program, one after the other.
class Source {
  public:
    explicit Source(const Options& options) : options_(options), context_(make_context(options)) {
        if (!options.listen) {
            return;
        }
        const auto where = endpoint(options);
        listener_ = make_socket(options);
        check(::bind(listener_, reinterpret_cast<const sockaddr*>(&where), sizeof where), "bind");
        check(::listen(listener_, 128), "listen");
        bench::print_ready();
    }

    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;

    ~Source() {
        if (listener_ >= 0) {
            ::close(listener_);
        }
    }

    [[nodiscard]] Connection next() const {
        if (options_.listen) {
            return {context_.get(), check(::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC), "accept"), options_};
        }
        const int fd = make_socket(options_);
        const auto where = endpoint(options_);
        check(::connect(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where), "connect");
        return {context_.get(), fd, options_};
    }

  private:
    const Options& options_;
    Context context_;
    int listener_ = -1;
};

double since(Clock::time_point began) {
    return std::chrono::duration<double>(Clock::now() - began).count();
}

// --- a stream

void send_stream(const Options& options, const Connection& connection) {
    std::vector<std::uint8_t> source(1U << 20, 0x5a);
    const auto began = Clock::now();
    std::uint64_t written = 0;
    while (options.seconds > 0 ? since(began) < options.seconds : written < options.size) {
        const auto left = options.seconds > 0 ? kRecord : options.size - written;
        const auto size = std::min<std::uint64_t>(kRecord, left);
        connection.write(&source[written % (source.size() - kRecord)], size);
        written += size;
    }
    connection.finish();
    bench::print_report({{"end", "send"}, {"bytes", written}, {"seconds", since(began)}});
}

void receive_stream(const Options& options, const Connection& connection) {
    std::vector<std::uint8_t> sink(64U << 10);
    bench::Intake intake{options.warm_up};
    while (const auto count = connection.read(sink.data(), sink.size())) {
        intake.add(count);
    }
    auto report = intake.json();
    report["end"] = "receive";
    bench::print_report(report);
}

// --- messages: one byte of kind, four of length, big-endian, then so many bytes

constexpr std::size_t kFrameHeader = 5;
constexpr std::uint8_t kMessage = 1;
constexpr std::uint8_t kBulk = 0;

std::vector<std::uint8_t> frame(std::uint8_t kind, std::size_t size) {
    std::vector<std::uint8_t> bytes(kFrameHeader + size, 0x5a);
    const auto length = htonl(static_cast<std::uint32_t>(size));
    bytes[0] = kind;
    std::memcpy(&bytes[1], &length, sizeof length);
    return bytes;
}

void send_messages(const Options& options, const Connection& connection) {
    auto message = frame(kMessage, options.message_size);
    const auto bulk = frame(kBulk, kRecord - kFrameHeader);
    const auto began = Clock::now();
    std::uint64_t sent = 0;
    std::uint64_t bulk_bytes = 0;
    while (sent < options.messages) {
        const auto due = static_cast<double>(sent + 1) / options.message_rate;
        if (since(began) >= due) {
            bench::write_stamp(&message[kFrameHeader]);
            connection.write(message.data(), message.size());
            ++sent;
        } else if (options.no_bulk) {
            std::this_thread::sleep_for(std::chrono::duration<double>(due - since(began)));
        } else {
            connection.write(bulk.data(), bulk.size());
            bulk_bytes += bulk.size();
        }
    }
    connection.finish();
    bench::print_report({{"end", "send"}, {"bytes", bulk_bytes}, {"seconds", since(began)}});
}

/// Takes frames out of a stream.
class FrameReader {
  public:
    explicit FrameReader(const Options& options) : intake_(options.warm_up) {}

    void take(const std::uint8_t* data, std::size_t size) {
        while (size > 0) {
            const auto part = std::min(size, wanted_ - held_.size());
            held_.insert(held_.end(), data, data + part);
            data += part;
            size -= part;
            if (held_.size() == wanted_) {
                complete();
            }
        }
    }

    void report() const {
        auto report = intake_.json();
        report["end"] = "receive";
        report["latency_ms"] = latencies_.json();
        bench::print_report(report);
    }

  private:
    void complete() {
        if (wanted_ == kFrameHeader) {
            std::uint32_t length = 0;
            std::memcpy(&length, &held_[1], sizeof length);
            wanted_ += ntohl(length);
            return;
        }
        if (held_[0] == kMessage) {
            latencies_.add_stamped(&held_[kFrameHeader]);
        } else {
            intake_.add(held_.size());
        }
        held_.clear();
        wanted_ = kFrameHeader;
    }

    std::vector<std::uint8_t> held_;
    std::size_t wanted_ = kFrameHeader;
    bench::Intake intake_;
    bench::Latencies latencies_;
};

void receive_messages(const Options& options, const Connection& connection) {
    std::vector<std::uint8_t> buffer(64U << 10);
    FrameReader reader{options};
    while (const auto count = connection.read(buffer.data(), buffer.size())) {
        reader.take(buffer.data(), count);
    }
    reader.report();
}

// --- connections at rest

void exchange(const Options& options, const Connection& connection) {
    std::vector<std::uint8_t> bytes(options.message_size, 0x5a);
    if (!options.listen) {
        connection.write(bytes.data(), bytes.size());
    }
    require(connection.read(bytes.data(), bytes.size()) > 0, "read");
    if (options.listen) {
        connection.write(bytes.data(), bytes.size());
    }
}

void rest(const Options& options, const Source& source) {
    std::vector<Connection> open;
    open.reserve(kFirst + options.connections);
    std::uint64_t before = 0;
    for (std::size_t i = 0; i < kFirst + options.connections; ++i) {
        if (i == kFirst) {
            before = bench::anonymous_kilobytes();
        }
        open.push_back(source.next());
        exchange(options, open.back());
    }
    std::this_thread::sleep_for(std::chrono::duration<double>(options.rest));
    const auto grown = static_cast<double>(bench::anonymous_kilobytes() - before) * 1024;
    bench::print_report({{"end", options.listen ? "receive" : "send"},
                         {"connections", options.connections},
                         {"bytes_per_connection", grown / static_cast<double>(options.connections)}});
    // The other end may still be weighing.
    std::this_thread::sleep_for(std::chrono::seconds{2});
}

void run(const Options& options) {
    const Source source{options};
    if (options.connections > 0) {
        rest(options, source);
        return;
    }
    const auto connection = source.next();
    if (options.messages > 0) {
        options.listen ? receive_messages(options, connection) : send_messages(options, connection);
    } else {
        options.listen ? receive_stream(options, connection) : send_stream(options, connection);
    }
}

void add_options(CLI::App& app, Options& options, std::string& role) {
    app.add_option("role", role, "listen or connect")->required()->check(CLI::IsMember({"listen", "connect"}));
    app.add_option("--address", options.address)->required();
    app.add_option("--port", options.port)->required();
    app.add_option("--cipher", options.cipher)->check(CLI::IsMember({"aes128", "aes256", "chacha"}));
    app.add_option("--congestion", options.congestion, "of TCP: cubic or bbr")->capture_default_str();
    app.add_option("--size", options.size, "bytes of the stream")->transform(CLI::AsSizeValue{false});
    app.add_option("--seconds", options.seconds, "sends for so long instead of a size");
    app.add_option("--warm-up", options.warm_up, "seconds that the receiver does not count");
    app.add_option("--messages", options.messages, "so many of them beside the stream");
    app.add_option("--message-size", options.message_size)->check(CLI::Range(16, 16'000))->capture_default_str();
    app.add_option("--message-rate", options.message_rate, "messages a second")->capture_default_str();
    app.add_flag("--no-bulk", options.no_bulk, "messages only");
    app.add_option("--connections", options.connections, "that rest");
    app.add_option("--rest", options.rest, "seconds until they are weighed")->capture_default_str();
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"TLS 1.3 over TCP, for comparison", "tls-load"};
    Options options;
    std::string role;
    add_options(app, options, role);
    try {
        app.parse(argc, argv);
        options.listen = role == "listen";
        run(options);
    } catch (const CLI::ParseError& error) {
        return app.exit(error);
    } catch (const std::exception& error) {
        std::cerr << "tls-load: " << error.what() << '\n';
        return 1;
    }
    return 0;
}
