#include "peer/shell/relay_link.hpp"

#include "common/io/clock.hpp"
#include "peer/relay/errors.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::shell {

namespace {

/// One send of the socket: below the 64 KiB of a UDP GSO send with what wrapping adds.
constexpr std::size_t kBatch = 60 * 1024;
constexpr std::size_t kLargestMessage = 64 * 1024 + relay::TurnClient::kMaxOverhead;

}  // namespace

RelayLink::RelayLink(const boost::asio::any_io_executor& executor, Config config, Rng& rng)
    : config_(std::move(config)),
      client_({.stream = config_.target.transport != RelayTransport::udp,
               .credentials = config_.credentials,
               .challenge = config_.challenge,
               .families = config_.families},
              rng),
      carrier_(RelayCarrier::make(executor, config_.target, config_.bind)),
      timer_(executor) {}

void RelayLink::start(Callbacks callbacks) {
    callbacks_ = std::move(callbacks);
    const auto guarded = [weak = weak_from_this()](auto action) {
        return [weak, action](const auto&... args) {
            if (const auto self = weak.lock(); self && !self->over_) {
                action(*self, args...);
            }
        };
    };
    carrier_->start({.ready = guarded([](RelayLink& link) {
                         link.ready_ = true;
                         if (link.config_.allocate) {
                             link.client_.allocate(io::now());
                         } else {
                             link.client_.measure(io::now());
                         }
                         link.drain();
                     }),
                     .message = guarded([](RelayLink& link, ByteSpan message) { link.handle_message(message); }),
                     .batch_over = guarded([](RelayLink& link) {
                         link.callbacks_.batch_over();
                         link.drain();
                     }),
                     .closed = guarded([](RelayLink& link, const Error& error) { link.handle_closed(error); })});
}

void RelayLink::allocate() {
    config_.allocate = true;
    if (ready_) {
        client_.allocate(io::now());
        drain();
    }
}

void RelayLink::release() {
    if (over_) {
        return;
    }
    client_.release(io::now());
    flush_requests();
    over_ = true;
    timer_.cancel();
    carrier_->close();
}

void RelayLink::verify() {
    client_.verify(io::now());
    drain();
}

void RelayLink::replace(relay::Credentials credentials) {
    client_.replace(std::move(credentials));
}

void RelayLink::permit(const net::Endpoint& peer) {
    client_.permit(peer, io::now());
    drain();
}

io::SendResult RelayLink::send(const net::PathAddresses& path, ByteView payload, std::size_t segment) {
    const auto now = io::now();
    buffer_.resize(kBatch + kLargestMessage);
    auto result = io::SendResult::sent;
    std::size_t used = 0;
    std::size_t stride = 0;
    const auto flush = [&] {
        flush_requests();
        if (used > 0) {
            const auto sent = carrier_->send(ByteView{buffer_}.first(used), stride);
            result = sent == io::SendResult::sent ? result : sent;
        }
        used = stride = 0;
    };
    for (std::size_t at = 0; at < payload.size() && !over_; at += segment) {
        const auto datagram = payload.subspan(at, std::min(segment, payload.size() - at));
        const auto message = client_.wrap(path, datagram, ByteSpan{buffer_}.subspan(used), now);
        if (message.empty()) {
            result = io::SendResult::failed;
            break;
        }
        stride = stride == 0 ? message.size() : stride;
        used += message.size();
        if (message.size() != stride || used > kBatch) {
            flush();
        }
    }
    flush();
    rearm();
    return result;
}

void RelayLink::handle_message(ByteSpan message) {
    if (auto data = client_.handle_message(message, io::now())) {
        callbacks_.datagram({.path = data->path, .payload = data->payload});
    }
}

void RelayLink::handle_closed(const Error& error) {
    const auto self = shared_from_this();
    over_ = true;
    timer_.cancel();
    carrier_->close();
    const bool impostor = error.code == make_error_code(relay::Errc::wrong_certificate);
    callbacks_.event(relay::Failed{
        .error = impostor ? error : Error{.code = make_error_code(relay::Errc::no_answer), .detail = error.message()}});
}

void RelayLink::flush_requests() {
    while (const auto message = client_.poll_transmit()) {
        carrier_->send(*message, message->size());
    }
}

void RelayLink::drain() {
    const auto self = shared_from_this();
    flush_requests();
    while (!over_) {
        const auto event = client_.poll_event();
        if (!event) {
            break;
        }
        const bool failed = std::holds_alternative<relay::Failed>(*event);
        if (failed) {
            over_ = true;
            timer_.cancel();
            carrier_->close();
        }
        callbacks_.event(*event);
    }
    flush_requests();
    rearm();
}

void RelayLink::rearm() {
    const auto next = over_ ? std::nullopt : client_.next_timeout();
    if (next == armed_) {
        return;
    }
    armed_ = next;
    timer_.cancel();
    if (!next) {
        return;
    }
    timer_.expires_at(io::to_steady(*next));
    timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& cancelled) {
        const auto self = weak.lock();
        if (!cancelled && self && !self->over_) {
            self->armed_.reset();
            self->client_.handle_timeout(io::now());
            self->drain();
        }
    });
}

}  // namespace pinhole::shell
