#include "common/io/clock.hpp"
#include "tests/bench/transport_jobs.hpp"

#include <algorithm>

namespace pinhole::bench {

namespace {

/// Connections before the weighing begins: what the first ones bring with them is not a connection's weight.
constexpr std::size_t kFirst = 20;
/// So that neither end has gone before the other has weighed its own.
constexpr Duration kGrace = 2s;

}  // namespace

IdleJob::IdleJob(const TransportOptions& options) : options_(options), scratch_(64U << 10) {}

void IdleJob::begin(TransportPeer& peer) {
    if (options_.sends()) {
        add(peer, kFirst);
    } else {
        print_ready();
    }
}

void IdleJob::handle_stranger(TransportPeer& peer, std::size_t index) {
    if (!options_.sends() && index < kFirst + options_.connections) {
        add(peer, index + 1 - peer.connections());
    }
}

void IdleJob::add(TransportPeer& peer, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        auto& exchange = exchanges_.emplace_back();
        peer.add_connection();
        if (options_.sends()) {
            exchange.stream = peer.connection(peer.connections() - 1).open_stream(transport::Priority::chat).value();
        }
    }
}

void IdleJob::handle_event(TransportPeer& peer, std::size_t index, const transport::Event& event) {
    auto& exchange = exchanges_[index];
    if (const auto* opened = std::get_if<transport::Opened>(&event)) {
        exchange.stream = opened->stream;
    } else if (const auto* readable = std::get_if<transport::Readable>(&event)) {
        while (const auto count = peer.connection(index).read(readable->stream, scratch_).value_or(0)) {
            exchange.read += count;
        }
    } else if (std::holds_alternative<transport::Closed>(event)) {
        over_ = true;
    }
}

void IdleJob::work(TransportPeer& peer, std::size_t index, TimePoint now) {
    exchange(peer.connection(index), exchanges_[index]);
    next_phase(peer, now);
}

// The opener sends first and the other answers with as much.
void IdleJob::exchange(transport::Connection& connection, Exchange& state) {
    if (!state.stream || state.done) {
        return;
    }
    const auto allowed = options_.sends() ? options_.size : state.read;
    while (state.written < allowed) {
        const auto offered =
            ByteView{scratch_}.first(std::min<std::uint64_t>(scratch_.size(), allowed - state.written));
        const auto taken = connection.write(*state.stream, offered).value_or(0);
        state.written += taken;
        if (taken < offered.size()) {
            return;
        }
    }
    if (state.written == options_.size && state.read == options_.size) {
        connection.finish(*state.stream);
        state.done = true;
        ++done_;
    }
}

void IdleJob::next_phase(TransportPeer& peer, TimePoint now) {
    if (!weighing_ && done_ >= kFirst) {
        weighing_ = true;
        before_kb_ = anonymous_kilobytes();
        if (options_.sends()) {
            add(peer, options_.connections);
        }
    }
    if (!rested_ && done_ == kFirst + options_.connections) {
        rested_ = now + Duration{static_cast<Duration::rep>(options_.rest * 1e9)};
    }
    if (rested_ && now >= *rested_ && !reported_) {
        const auto grown = static_cast<double>(anonymous_kilobytes() - before_kb_) * 1024;
        print_report({{"end", options_.sends() ? "send" : "receive"},
                      {"connections", options_.connections},
                      {"bytes_per_connection", grown / static_cast<double>(options_.connections)}});
        reported_ = true;
        *rested_ += kGrace;
    }
}

std::optional<TimePoint> IdleJob::next_timeout() const {
    return rested_;
}

bool IdleJob::over(const TransportPeer& /*peer*/, TimePoint now) const {
    return over_ || (reported_ && now >= *rested_);
}

}  // namespace pinhole::bench
