// Two connections; the input decides what is delivered, dropped, repeated or held back, when timers fire and what the
// applications do. Nobody may crash, close, hand out wrong bytes or pass the bounds. A part of the inputs also puts
// frames of its own into packets with valid keys: then closing is allowed, the rest is not.
#include "common/base/rng.hpp"
#include "peer/transport/connection.hpp"
#include "peer/transport/packet.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <optional>
#include <vector>

namespace {

using namespace pinhole;
using namespace pinhole::transport;

constexpr std::uint64_t kWindow = 600'000;

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

crypto::SecretKey key(std::uint8_t fill) {
    crypto::Key32 bytes{};
    bytes.fill(fill);
    return crypto::SecretKey{bytes};
}

Config config(bool first) {
    Config config;
    config.role = first ? Role::initiator : Role::responder;
    config.local_connection_id = first ? 1 : 2;
    config.remote_connection_id = first ? 2 : 1;
    config.stream_window = config.connection_window = kWindow;
    config.send_buffer = 50'000;
    config.unsent = 20'000;
    config.key_update_packets = 7;
    config.idle_timeout = 10h;  // inputs that only let time pass are no reason to close
    return config;
}

std::uint8_t byte_at(std::uint64_t offset) {
    return static_cast<std::uint8_t>(offset * 31 + offset / 251);
}

struct End {
    End(bool is_first, Rng& rng)
        : first(is_first),
          connection(config(is_first), key(is_first ? 1 : 2), key(is_first ? 2 : 1), rng, TimePoint{}),
          here(*net::Endpoint::parse(is_first ? "192.0.2.1:1" : "192.0.2.2:2")),
          there(*net::Endpoint::parse(is_first ? "192.0.2.2:2" : "192.0.2.1:1")) {
        connection.add_path({.local = here, .remote = there}, TimePoint{});
    }

    struct Stream {
        StreamId id;
        std::uint64_t written = 0;
        std::uint64_t read = 0;
    };

    Stream& stream(StreamId id) {
        for (auto& known : streams) {
            if (known.id == id) {
                return known;
            }
        }
        streams.push_back({.id = id});
        return streams.back();
    }

    bool first;
    Connection connection;
    net::Endpoint here;
    net::Endpoint there;
    std::vector<Stream> streams;
    std::deque<Bytes> outbox;
    std::uint64_t forged_number = 5000;
};

class Machine {
  public:
    explicit Machine(ByteView input) : input_(input) {}

    void run() {
        turn(a_);
        turn(b_);
        for (int step = 0; step < 200 && !input_.empty(); ++step) {
            act(*input_.u8());
        }
        require(hostile_ || (!a_.connection.closed() && !b_.connection.closed()));
    }

  private:
    std::uint8_t next() { return input_.u8().value_or(0); }

    void act(std::uint8_t op) {
        auto& end = (op & 0x80U) != 0 ? b_ : a_;
        auto& other = (op & 0x80U) != 0 ? a_ : b_;
        switch (op & 0x0fU) {
            case 0:
            case 1:
            case 2:
                deliver(end, other, 0, false);
                break;
            case 3:
                deliver(end, other, next(), (op & 0x10U) != 0);
                break;
            case 4:
                if (!end.outbox.empty()) {
                    end.outbox.erase(end.outbox.begin() + next() % static_cast<std::ptrdiff_t>(end.outbox.size()));
                }
                break;
            case 5:
                fire(end);
                break;
            case 6:
                now_ += 1ms * (1 + next() % 20);
                break;
            case 7:
            case 8:
                write(end, next());
                break;
            case 9:
                with_stream(end, [&](StreamId id) { end.connection.finish(id); });
                break;
            case 10:
                with_stream(end, [&](StreamId id) { end.connection.reset(id, 3); });
                break;
            case 11:
                with_stream(end, [&](StreamId id) { end.connection.stop(id, 4); });
                break;
            case 12:
                forge(end, other);
                break;
            case 13:
                other.there.port = static_cast<std::uint16_t>(1 + next() % 4);
                break;
            case 14:
                end.connection.handle_mtu_exceeded(1200 + next(), now_);
                break;
            default:
                drain(end, other);
                break;
        }
        turn(end);
        turn(other);
    }

    template <class F>
    void with_stream(End& end, F call) {
        const auto at = next();
        if (!end.streams.empty()) {
            call(end.streams[at % end.streams.size()].id);
        }
    }

    void write(End& end, std::uint8_t choice) {
        if ((choice & 3U) == 0) {
            if (const auto id = end.connection.open_stream(static_cast<Priority>(choice / 4 % 3))) {
                end.stream(*id);
            }
        }
        with_stream(end, [&](StreamId id) {
            auto& stream = end.stream(id);
            Bytes bytes(std::size_t{choice} * 40);
            for (std::size_t i = 0; i < bytes.size(); ++i) {
                bytes[i] = byte_at(stream.written + i);
            }
            stream.written += end.connection.write(id, bytes).value_or(0);
        });
    }

    void deliver(End& from, End& to, std::size_t index, bool keep) {
        if (from.outbox.empty()) {
            return;
        }
        index %= from.outbox.size();
        auto payload = from.outbox[index];
        if (!keep) {
            from.outbox.erase(from.outbox.begin() + static_cast<std::ptrdiff_t>(index));
        }
        to.connection.handle_datagram({.path = {.local = to.here, .remote = to.there}, .payload = payload}, now_);
    }

    void drain(End& end, End& other) {
        for (int i = 0; i < 20 && !end.outbox.empty(); ++i) {
            deliver(end, other, 0, false);
        }
    }

    void fire(End& end) {
        if (const auto when = end.connection.next_timeout(); when && *when < now_ + 2s) {
            now_ = std::max(now_, *when);
            end.connection.handle_timeout(now_);
        }
    }

    /// Frames from the input, sealed with the right keys of the first phase.
    void forge(End& from, End& to) {
        hostile_ = true;
        const auto frames = input_.take(std::min<std::size_t>(input_.remaining(), 1 + next() % 32));
        if (!frames || frames->empty()) {
            return;
        }
        Bytes packet(kPacketOverhead + frames->size());
        const auto number = from.forged_number++;
        write_header({.connection_id = from.first ? 2U : 1U, .truncated_number = static_cast<std::uint32_t>(number)},
                     packet);
        std::ranges::copy(*frames, packet.begin() + kHeaderSize);
        crypto::make_aead(crypto::Cipher::chacha20_poly1305, key(from.first ? 1 : 2))
            ->seal(number, ByteView{packet}.first(kHeaderSize), ByteSpan{packet}.subspan(kHeaderSize));
        to.connection.handle_datagram({.path = {.local = to.here, .remote = to.there}, .payload = packet}, now_);
    }

    void turn(End& end) {
        while (const auto batch = end.connection.poll_transmit(buffer_, now_)) {
            require(batch->size > 0 && batch->segment_size > 0 && batch->size <= buffer_.size());
            for (std::size_t at = 0; at < batch->size; at += batch->segment_size) {
                const auto piece = ByteView{buffer_}.subspan(at, std::min(batch->segment_size, batch->size - at));
                require(piece.size() <= Config{}.max_mtu && parse_header(piece).has_value());
                if (end.outbox.size() < 500) {
                    end.outbox.push_back(to_bytes(piece));
                }
            }
        }
        while (const auto event = end.connection.poll_event()) {
            if (const auto* opened = std::get_if<Opened>(&*event)) {
                end.stream(opened->stream);
            } else if (const auto* readable = std::get_if<Readable>(&*event)) {
                read(end, readable->stream);
            }
        }
        const auto sent_at_most = 50'000 * end.streams.size();
        require(end.connection.stats().buffered <= kWindow + sent_at_most);
    }

    void read(End& end, StreamId id) {
        auto& stream = end.stream(id);
        Bytes out(5000);
        for (;;) {
            const auto count = end.connection.read(id, out);
            if (!count || *count == 0) {
                break;
            }
            for (std::size_t i = 0; i < *count; ++i) {
                require(hostile_ || out[i] == byte_at(stream.read + i));
            }
            stream.read += *count;
        }
    }

    ByteReader input_;
    SeededRng rng_{42};
    TimePoint now_{};
    End a_{true, rng_};
    End b_{false, rng_};
    bool hostile_ = false;
    Bytes buffer_ = Bytes(65'536);
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Machine{ByteView{data, size}}.run();
    return 0;
}
