#include "rendezvous/shell/stun_stream.hpp"

#include "common/io/clock.hpp"
#include "common/stun/message.hpp"

#include <array>

#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

namespace pinhole::rendezvous {

namespace {

/// As the service's own bound for datagrams.
constexpr std::size_t kMaxMessage = 1280;
/// A client asks a few times; whoever goes on holds a place in the waiting room for nothing.
constexpr int kMaxAnswers = 64;

io::asio::awaitable<bool> read_exactly(std::shared_ptr<TcpLink> link, ByteSpan into) {
    const auto result =
        co_await io::asio::async_read(link->socket(), io::asio::buffer(into.data(), into.size()), io::use_tuple);
    co_return !std::get<0>(result);
}

io::asio::awaitable<bool> write_all(std::shared_ptr<TcpLink> link, ByteView bytes) {
    const auto result =
        co_await io::asio::async_write(link->socket(), io::asio::buffer(bytes.data(), bytes.size()), io::use_tuple);
    co_return !std::get<0>(result);
}

}  // namespace

io::asio::awaitable<void> serve_stun(std::shared_ptr<TcpLink> link, StunService& service) {
    std::array<std::uint8_t, kMaxMessage> buffer{};
    const ByteSpan message{buffer};
    for (int answers = 0; answers < kMaxAnswers; ++answers) {
        link->close_after(kStunIdle);
        if (!co_await read_exactly(link, message.first(stun::kHeaderSize))) {
            co_return;
        }
        const std::size_t length = std::size_t{buffer[2]} << 8 | buffer[3];
        if (stun::kHeaderSize + length > kMaxMessage) {
            co_return;
        }
        if (!co_await read_exactly(link, message.subspan(stun::kHeaderSize, length))) {
            co_return;
        }
        const auto answer = service.handle_stream(message.first(stun::kHeaderSize + length), link->path(), io::now());
        if (!answer) {
            co_return;
        }
        if (!co_await write_all(link, *answer)) {
            co_return;
        }
    }
}

}  // namespace pinhole::rendezvous
