#include "peer/transport/connection.hpp"

#include "peer/transport/connection_impl.hpp"

namespace pinhole::transport {

Connection::Connection(Config config, const crypto::SecretKey& send_key, const crypto::SecretKey& receive_key, Rng& rng,
                       TimePoint)
    : impl_(std::make_unique<Impl>(config, send_key, receive_key, rng)) {}

Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;
Connection::~Connection() = default;

PathId Connection::add_path(const net::PathAddresses& addresses, TimePoint now) {
    return impl_->add_path(addresses, now);
}

void Connection::use_path(PathId path, std::string reason, TimePoint now) {
    impl_->use_path(path, std::move(reason), now);
}

void Connection::remove_path(PathId path, TimePoint now) {
    impl_->remove_path(path, now);
}

void Connection::handle_path_failed(const net::PathAddresses& addresses, TimePoint now) {
    impl_->handle_path_failed(addresses, now);
}

std::optional<PathId> Connection::active_path() const {
    return impl_->active_path();
}

void Connection::ping(TimePoint now) {
    impl_->ping(now);
}

void Connection::probe(TimePoint now) {
    impl_->probe(now);
}

std::optional<TimePoint> Connection::last_heard() const {
    return impl_->last_heard();
}

PathStats Connection::path_stats() const {
    return impl_->path_stats();
}

void Connection::handle_datagram(const net::Received& datagram, TimePoint now) {
    impl_->handle_datagram(datagram, now);
}

void Connection::handle_timeout(TimePoint now) {
    impl_->handle_timeout(now);
}

std::optional<TransmitBatch> Connection::poll_transmit(ByteSpan buffer, TimePoint now) {
    return impl_->poll_transmit(buffer, now);
}

void Connection::handle_mtu_exceeded(std::size_t size, TimePoint now) {
    impl_->handle_mtu_exceeded(size, now);
}

std::optional<TimePoint> Connection::next_timeout() const {
    return impl_->next_timeout();
}

std::optional<TimePoint> Connection::next_receive(TimePoint now) const {
    return impl_->next_receive(now);
}

Result<StreamId> Connection::open_stream(Priority priority) {
    auto* streams = impl_->streams();
    return streams != nullptr ? streams->open(priority) : fail(TransportErrc::closed);
}

void Connection::set_priority(StreamId stream, Priority priority) {
    if (auto* streams = impl_->streams()) {
        streams->set_priority(stream, priority);
    }
}

Result<std::size_t> Connection::write(StreamId stream, ByteView bytes) {
    auto* streams = impl_->streams();
    return streams != nullptr ? streams->write(stream, bytes) : fail(TransportErrc::closed);
}

Result<std::size_t> Connection::read(StreamId stream, ByteSpan out) {
    auto* streams = impl_->readable_streams();
    return streams != nullptr ? streams->read(stream, out) : fail(TransportErrc::closed);
}

bool Connection::end_of_stream(StreamId stream) const {
    return impl_->end_of_stream(stream);
}

void Connection::finish(StreamId stream) {
    if (auto* streams = impl_->streams()) {
        streams->finish(stream);
    }
}

void Connection::reset(StreamId stream, std::uint64_t code) {
    if (auto* streams = impl_->streams()) {
        streams->reset(stream, code);
    }
}

void Connection::stop(StreamId stream, std::uint64_t code) {
    if (auto* streams = impl_->streams()) {
        streams->stop(stream, code);
    }
}

void Connection::close(CloseReason reason, std::string detail, TimePoint now) {
    impl_->close(reason, std::move(detail), now);
}

bool Connection::closed() const {
    return impl_->closed();
}

std::optional<Event> Connection::poll_event() {
    return impl_->poll_event();
}

const Stats& Connection::stats() const {
    return impl_->stats();
}

}  // namespace pinhole::transport
