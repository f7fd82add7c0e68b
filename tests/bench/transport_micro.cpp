// transport-micro: what the inner loops of the transport cost, with Google Benchmark: sealing and opening, and the four
// steps of a flow between two connections in memory, under a clock of its own: packets built, packets taken,
// acknowledgements built, acknowledgements taken.
#include "common/crypto/aead.hpp"
#include "peer/transport/connection.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <ctime>
#include <vector>

#include <benchmark/benchmark.h>

namespace {

using namespace pinhole;

constexpr std::array kCiphers{crypto::Cipher::chacha20_poly1305, crypto::Cipher::aes256_gcm};
/// Associated data is the packet header.
constexpr std::size_t kHeaderSize = 13;
/// Batches of a round, each a full GSO send: what arrives merged is acknowledged together.
constexpr std::size_t kBatches = 1;
/// Rounds before anything counts: slow start and the search for the path's MTU.
constexpr int kWarmUp = 500;
constexpr int kRounds = 5000;
constexpr std::size_t kBufferSize = 65536;
constexpr Duration kRoundTrip = 1ms;

crypto::SecretKey key(std::uint8_t fill) {
    crypto::Key32 bytes{};
    bytes.fill(fill);
    return crypto::SecretKey{bytes};
}

bool select_cipher(benchmark::State& state, crypto::Cipher& cipher) {
    cipher = kCiphers.at(static_cast<std::size_t>(state.range(0)));
    state.SetLabel(cipher == crypto::Cipher::aes256_gcm ? "AES-256-GCM" : "ChaCha20-Poly1305");
    if (!crypto::cipher_available(cipher)) {
        state.SkipWithError("not on this processor");
        return false;
    }
    return true;
}

void seal(benchmark::State& state) {
    crypto::Cipher cipher{};
    if (!select_cipher(state, cipher)) {
        return;
    }
    const auto aead = crypto::make_aead(cipher, key(1));
    const std::array<std::uint8_t, kHeaderSize> header{};
    Bytes packet(static_cast<std::size_t>(state.range(1)) + crypto::kTagSize);
    std::uint64_t number = 0;
    for (auto _ : state) {
        aead->seal(number++, header, packet);
        benchmark::DoNotOptimize(packet.data());
    }
    state.SetBytesProcessed(state.iterations() * state.range(1));
}

void open(benchmark::State& state) {
    crypto::Cipher cipher{};
    if (!select_cipher(state, cipher)) {
        return;
    }
    const auto aead = crypto::make_aead(cipher, key(1));
    const std::array<std::uint8_t, kHeaderSize> header{};
    Bytes sealed(static_cast<std::size_t>(state.range(1)) + crypto::kTagSize);
    aead->seal(1, header, sealed);
    auto packet = sealed;
    bool authentic = true;
    for (auto _ : state) {
        // Opening is in place, so each time begins with a copy.
        std::ranges::copy(sealed, packet.begin());
        authentic = aead->open(1, header, packet).has_value() && authentic;
    }
    if (!authentic) {
        state.SkipWithError("not authentic");
    }
    state.SetBytesProcessed(state.iterations() * state.range(1));
}

/// Of this thread, which others on the machine do not lengthen.
double cpu_time() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

double cost_of_the_clock() {
    double least = 1;
    for (int i = 0; i < 1000; ++i) {
        const auto began = cpu_time();
        least = std::min(least, cpu_time() - began);
    }
    return least;
}

enum class Step : std::uint8_t { build, take, acknowledge, take_acknowledgements };

/// Two connections that a flow goes between, without a network: what one sends the other has at once.
class Flow {
  public:
    explicit Flow(crypto::Cipher cipher)
        : sender_(config(cipher, transport::Role::initiator), key(1), key(2), rng_, now_),
          receiver_(config(cipher, transport::Role::responder), key(2), key(1), rng_, now_),
          source_(1U << 20),
          scratch_(1U << 20) {
        sender_.add_path({.local = kHere, .remote = kThere}, now_);
        receiver_.add_path({.local = kThere, .remote = kHere}, now_);
        stream_ = sender_.open_stream(transport::Priority::file).value();
    }

    struct Round {
        double seconds = 0;
        std::uint64_t packets = 0;
    };

    /// One round trip; how long the step took in it, and how many packets it was about.
    Round round(Step step) {
        now_ += kRoundTrip;
        while (sender_.write(stream_, source_).value_or(0) == source_.size()) {}
        std::array<Round, 4> found{};
        found[0] = timed([&] { return transmit(sender_, data_, kBatches); });
        found[1] = timed([&] { return deliver(data_, receiver_, kThere, kHere); });
        read();
        found[2] = timed([&] { return transmit(receiver_, acknowledgements_, kBatches); });
        found[3] = timed([&] { return deliver(acknowledgements_, sender_, kHere, kThere); });
        settle(sender_);
        settle(receiver_);
        return found.at(static_cast<std::size_t>(step));
    }

    [[nodiscard]] const transport::Stats& sent() const { return sender_.stats(); }

    [[nodiscard]] const transport::Stats& answered() const { return receiver_.stats(); }

  private:
    struct Batch {
        Bytes bytes = Bytes(kBufferSize);
        std::size_t size = 0;
        std::size_t segment = 0;
    };

    struct Batches {
        std::vector<Batch> all = std::vector<Batch>(kBatches);
        std::size_t used = 0;
    };

    static transport::Config config(crypto::Cipher cipher, transport::Role role) {
        transport::Config config;
        config.role = role;
        config.cipher = cipher;
        // As on a line of 1500 bytes.
        config.max_mtu = 1472;
        config.local_connection_id = role == transport::Role::initiator ? 1 : 2;
        config.remote_connection_id = role == transport::Role::initiator ? 2 : 1;
        return config;
    }

    template <class Action>
    static Round timed(Action action) {
        static const double clock_cost = cost_of_the_clock();
        const auto began = cpu_time();
        const std::uint64_t packets = action();
        return {std::max(0.0, cpu_time() - began - clock_cost), packets};
    }

    std::uint64_t transmit(transport::Connection& from, Batches& into, std::size_t most) {
        std::uint64_t packets = 0;
        for (into.used = 0; into.used < most; ++into.used) {
            auto& batch = into.all[into.used];
            const auto sent = from.poll_transmit(batch.bytes, now_);
            if (!sent) {
                break;
            }
            batch.size = sent->size;
            batch.segment = sent->segment_size;
            packets += (batch.size + batch.segment - 1) / batch.segment;
        }
        return packets;
    }

    std::uint64_t deliver(Batches& from, transport::Connection& to, const net::Endpoint& local,
                          const net::Endpoint& remote) {
        std::uint64_t packets = 0;
        for (std::size_t i = 0; i < from.used; ++i) {
            auto rest = ByteSpan{from.all[i].bytes}.first(from.all[i].size);
            while (!rest.empty()) {
                const auto packet = rest.first(std::min(rest.size(), from.all[i].segment));
                to.handle_datagram({.path = {.local = local, .remote = remote}, .payload = packet}, now_);
                rest = rest.subspan(packet.size());
                ++packets;
            }
        }
        return packets;
    }

    void read() {
        while (receiver_.read(stream_, scratch_).value_or(0) > 0) {}
    }

    void settle(transport::Connection& connection) {
        while (connection.poll_event()) {}
        if (const auto due = connection.next_timeout(); due && *due <= now_) {
            connection.handle_timeout(now_);
        }
    }

    inline static const net::Endpoint kHere = net::Endpoint::parse("192.0.2.1:4000").value();
    inline static const net::Endpoint kThere = net::Endpoint::parse("192.0.2.2:5000").value();

    SeededRng rng_{1};
    TimePoint now_{};
    transport::Connection sender_;
    transport::Connection receiver_;
    transport::StreamId stream_;
    Bytes source_;
    Bytes scratch_;
    Batches data_;
    Batches acknowledgements_;
};

void flow(benchmark::State& state, Step step) {
    crypto::Cipher cipher{};
    if (!select_cipher(state, cipher)) {
        return;
    }
    Flow pair{cipher};
    for (int i = 0; i < kWarmUp; ++i) {
        (void)pair.round(step);
    }
    std::uint64_t packets = 0;
    double seconds = 0;
    for (auto _ : state) {
        const auto round = pair.round(step);
        state.SetIterationTime(round.seconds);
        seconds += round.seconds;
        packets += round.packets;
    }
    state.counters["ns/packet"] = 1e9 * seconds / static_cast<double>(packets);
    state.counters["data/ack"] =
        static_cast<double>(pair.sent().packets_sent) / static_cast<double>(pair.answered().packets_sent);
}

void build_packets(benchmark::State& state) {
    flow(state, Step::build);
}

void take_packets(benchmark::State& state) {
    flow(state, Step::take);
}

void build_acknowledgements(benchmark::State& state) {
    flow(state, Step::acknowledge);
}

void take_acknowledgements(benchmark::State& state) {
    flow(state, Step::take_acknowledgements);
}

BENCHMARK(seal)->ArgsProduct({{0, 1}, {64, 1200, 1443, 8920}})->ArgNames({"cipher", "bytes"});
BENCHMARK(open)->ArgsProduct({{0, 1}, {64, 1200, 1443, 8920}})->ArgNames({"cipher", "bytes"});
BENCHMARK(build_packets)->Arg(0)->Arg(1)->UseManualTime()->Iterations(kRounds);
BENCHMARK(take_packets)->Arg(0)->Arg(1)->UseManualTime()->Iterations(kRounds);
BENCHMARK(build_acknowledgements)->Arg(0)->Arg(1)->UseManualTime()->Iterations(kRounds);
BENCHMARK(take_acknowledgements)->Arg(0)->Arg(1)->UseManualTime()->Iterations(kRounds);

}  // namespace

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv) || !crypto::initialize()) {
        return 1;
    }
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
