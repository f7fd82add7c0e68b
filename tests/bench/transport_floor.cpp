#include "tests/bench/transport_floor.hpp"

#include "common/crypto/aead.hpp"
#include "common/io/clock.hpp"
#include "common/io/udp_socket.hpp"
#include "peer/transport/packet.hpp"
#include "tests/bench/load_report.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <poll.h>

namespace pinhole::bench {

namespace {

/// UDP payload on a line of 1500 bytes; smaller where the transport is told to stay below.
constexpr std::size_t kLargestPacket = 1472;
/// As many as fit into one send: 64 KB less headers.
constexpr std::size_t kSegments = 44;
/// A receiver is done when nothing has come for so long.
constexpr int kSilenceMs = 500;
constexpr int kPatienceMs = 10'000;

std::unique_ptr<crypto::Aead> make_cipher(const TransportOptions& options) {
    crypto::Key32 bytes{};
    bytes.fill(1);
    return crypto::make_aead(options.config.cipher, crypto::SecretKey{bytes});
}

/// The packet number stands in the header, where the transport has its own.
std::uint64_t number_of(ByteView header) {
    return ByteReader{header.subspan(1)}.u64().value_or(0);
}

class Pump {
  public:
    Pump(const TransportOptions& options, io::UdpSocket& socket)
        : options_(options),
          socket_(socket),
          aead_(make_cipher(options)),
          packet_(std::min(options.config.max_mtu, kLargestPacket)),
          source_(packet_ * kSegments, 0x5a),
          buffer_(packet_ * kSegments) {}

    void run() {
        const auto began = io::now();
        const net::PathAddresses path{.local = options_.local, .remote = options_.remote};
        while (seconds(io::now() - began) < options_.seconds) {
            for (std::size_t i = 0; i < kSegments; ++i) {
                seal(ByteSpan{buffer_}.subspan(i * packet_, packet_), i);
            }
            const auto sent = socket_.send(path, buffer_, packet_, net::Ecn::not_ect);
            refused_ += sent == io::SendResult::sent ? 0 : 1;
        }
        print_report({{"end", "floor-send"},
                      {"bytes", number_ * (packet_ - transport::kPacketOverhead)},
                      {"seconds", seconds(io::now() - began)},
                      {"refused_sends", refused_}});
    }

  private:
    void seal(ByteSpan packet, std::size_t index) {
        const auto header = packet.first(transport::kHeaderSize);
        const auto body = packet.subspan(transport::kHeaderSize);
        const auto text = body.first(body.size() - crypto::kTagSize);
        std::ranges::copy(ByteView{source_}.subspan(index * packet_, text.size()), text.begin());
        ByteWriter writer{header};
        writer.u8(0);
        writer.u64(number_);
        aead_->seal(number_++, header, body);
    }

    const TransportOptions& options_;
    io::UdpSocket& socket_;
    std::unique_ptr<crypto::Aead> aead_;
    std::size_t packet_;
    Bytes source_;
    Bytes buffer_;
    std::uint64_t number_ = 0;
    std::uint64_t refused_ = 0;
};

void drain(const TransportOptions& options, io::UdpSocket& socket) {
    const auto aead = make_cipher(options);
    Intake intake{options.warm_up};
    std::uint64_t packets = 0;
    const auto take = [&](const net::Received& datagram) {
        if (datagram.payload.size() <= transport::kPacketOverhead) {
            return;
        }
        const auto header = datagram.payload.first(transport::kHeaderSize);
        if (const auto text = aead->open(number_of(header), header, datagram.payload.subspan(transport::kHeaderSize))) {
            intake.add(text->size());
            ++packets;
        }
    };
    print_ready();
    pollfd readable{.fd = socket.descriptor(), .events = POLLIN, .revents = 0};
    while (::poll(&readable, 1, packets > 0 ? kSilenceMs : kPatienceMs) > 0) {
        socket.receive(take);
    }
    auto report = intake.json();
    report["end"] = "floor-receive";
    report["packets"] = packets;
    print_report(report);
}

}  // namespace

Status run_floor(const TransportOptions& options) {
    boost::asio::io_context io{1};
    auto socket = io::UdpSocket::open(io.get_executor(), options.local);
    if (!socket) {
        return std::unexpected(socket.error());
    }
    if (options.sends()) {
        Pump{options, *socket}.run();
    } else {
        drain(options, *socket);
    }
    return {};
}

}  // namespace pinhole::bench
