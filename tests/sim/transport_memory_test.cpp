// What a connection weighs that has said a little and then rests: all of the heap, what libraries take included.
#include "peer/transport/connection.hpp"

#include <array>
#include <memory>
#include <vector>

#include <gtest/gtest.h>
#include <malloc.h>

namespace pinhole::sim {
namespace {

using transport::Connection;
using transport::StreamId;

constexpr std::size_t kPairs = 200;

crypto::SecretKey key(std::uint8_t fill) {
    crypto::Key32 bytes{};
    bytes.fill(fill);
    return crypto::SecretKey{bytes};
}

net::Endpoint address(bool first) {
    return *net::Endpoint::parse(first ? "198.51.100.1:4000" : "203.0.113.2:5000");
}

/// One end, with an application that answers what it gets.
struct End {
    End(bool is_first, crypto::Cipher cipher, Rng& rng, TimePoint now)
        : first(is_first),
          connection(config(is_first, cipher), key(is_first ? 1 : 2), key(is_first ? 2 : 1), rng, now) {
        connection.add_path({.local = address(first), .remote = address(!first)}, now);
    }

    static transport::Config config(bool first, crypto::Cipher cipher) {
        transport::Config config;
        config.role = first ? transport::Role::initiator : transport::Role::responder;
        config.cipher = cipher;
        config.local_connection_id = first ? 1 : 2;
        config.remote_connection_id = first ? 2 : 1;
        return config;
    }

    void read_events(ByteSpan scratch, bool answers) {
        while (const auto event = connection.poll_event()) {
            const auto* readable = std::get_if<transport::Readable>(&*event);
            if (readable == nullptr) {
                continue;
            }
            while (const auto count = connection.read(readable->stream, scratch).value_or(0)) {
                received += count;
                if (answers) {
                    (void)connection.write(readable->stream, scratch.first(count));
                }
            }
        }
    }

    bool first;
    Connection connection;
    std::uint64_t received = 0;
};

/// Two ends and a wire of 5 ms that loses nothing.
class Couple {
  public:
    Couple(crypto::Cipher cipher, Rng& rng) : a_(true, cipher, rng, now_), b_(false, cipher, rng, now_) {}

    void exchange(std::size_t bytes) {
        const auto stream = a_.connection.open_stream(transport::Priority::chat).value();
        const Bytes text(bytes);
        const auto wanted = a_.received + bytes;
        ASSERT_EQ(a_.connection.write(stream, text).value(), bytes);
        for (int turn = 0; turn < 1000 && a_.received < wanted; ++turn) {
            step();
        }
        ASSERT_EQ(a_.received, wanted);
    }

    void rest(Duration time) {
        const auto end = now_ + time;
        while (now_ < end) {
            step();
        }
    }

  private:
    static constexpr Duration kDelay = 5ms;

    void step() {
        now_ += kDelay;
        for (auto* end : {&a_, &b_}) {
            if (const auto due = end->connection.next_timeout(); due && *due <= now_) {
                end->connection.handle_timeout(now_);
            }
        }
        carry(a_, b_);
        carry(b_, a_);
    }

    void carry(End& from, End& to) {
        static Bytes batch(65'536);
        static Bytes scratch(65'536);
        while (const auto sent = from.connection.poll_transmit(batch, now_)) {
            for (std::size_t at = 0; at < sent->size; at += sent->segment_size) {
                to.connection.handle_datagram(
                    {.path = {.local = sent->path.remote, .remote = sent->path.local},
                     .payload = ByteSpan{batch}.subspan(at, std::min(sent->segment_size, sent->size - at)),
                     .ecn = sent->ecn},
                    now_);
            }
        }
        to.read_events(scratch, !to.first);
    }

    TimePoint now_{};
    End a_;
    End b_;
};

/// Bytes of heap for one end of a connection that has rested for 30 s.
std::size_t weight(std::size_t exchanged, crypto::Cipher cipher) {
    SeededRng rng{1};
    std::vector<std::unique_ptr<Couple>> couples;
    couples.reserve(kPairs + 1);
    const auto add = [&] {
        couples.push_back(std::make_unique<Couple>(cipher, rng));
        couples.back()->exchange(exchanged);
        couples.back()->rest(30s);
    };
    // The first brings with it what belongs to none: fetched ciphers, tables.
    add();
    const auto before = mallinfo2().uordblks;
    for (std::size_t i = 0; i < kPairs; ++i) {
        add();
    }
    return (mallinfo2().uordblks - before) / (2 * kPairs);
}

TEST(TransportMemory, AConnectionThatRestsIsSmall) {
    for (const auto cipher : {crypto::Cipher::chacha20_poly1305, crypto::Cipher::aes256_gcm}) {
        if (crypto::cipher_available(cipher)) {
            const auto bytes = weight(200, cipher);
            RecordProperty("bytes", static_cast<int>(bytes));
            EXPECT_LE(bytes, 4096);
        }
    }
}

TEST(TransportMemory, WhatAFileNeededIsGivenBack) {
    EXPECT_LE(weight(100'000, crypto::Cipher::chacha20_poly1305), 4096);
}

}  // namespace
}  // namespace pinhole::sim
