#include "peer/netcheck/netcheck.hpp"

#include "peer/netcheck/measurement.hpp"

#include <utility>

namespace pinhole::netcheck {

class Netcheck::Impl {
  public:
    Impl(Config config, Rng& rng, TimePoint now) : measurement(std::move(config), rng, now) {}

    Measurement measurement;
};

Netcheck::Netcheck(Config config, Rng& rng, TimePoint now)
    : impl_(std::make_unique<Impl>(std::move(config), rng, now)) {}

Netcheck::Netcheck(Netcheck&&) noexcept = default;
Netcheck& Netcheck::operator=(Netcheck&&) noexcept = default;
Netcheck::~Netcheck() = default;

void Netcheck::handle_opened(SocketId socket, const net::Endpoint& local, TimePoint now) {
    impl_->measurement.wire().handle_opened(socket, local, now);
    impl_->measurement.advance(now);
}

void Netcheck::handle_failed(SocketId socket, TimePoint now) {
    impl_->measurement.wire().handle_failed(socket);
    impl_->measurement.advance(now);
}

void Netcheck::handle_received(SocketId socket, const net::Endpoint& from, ByteView payload, TimePoint now) {
    impl_->measurement.wire().handle_received(socket, from, payload, now);
    impl_->measurement.advance(now);
}

void Netcheck::handle_timeout(TimePoint now) {
    impl_->measurement.advance(now);
}

std::optional<Action> Netcheck::poll_action() {
    return impl_->measurement.wire().poll_action();
}

std::optional<Event> Netcheck::poll_event() {
    return impl_->measurement.poll_event();
}

std::optional<TimePoint> Netcheck::next_timeout() const {
    return impl_->measurement.next_timeout();
}

const net::NetReport& Netcheck::report() const {
    return impl_->measurement.report();
}

}  // namespace pinhole::netcheck
