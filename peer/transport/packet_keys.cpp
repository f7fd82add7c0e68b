#include "peer/transport/packet_keys.hpp"

#include "common/crypto/hash.hpp"

#include <algorithm>
#include <string_view>

namespace pinhole::transport {

namespace {

constexpr std::string_view kUpdateLabel = "pinhole key update";

}  // namespace

PacketKeys::PacketKeys(crypto::Cipher cipher, const crypto::SecretKey& send, const crypto::SecretKey& receive,
                       std::uint64_t update_after)
    : cipher_(cipher),
      update_after_(std::max<std::uint64_t>(1, update_after)),
      send_key_(send.clone()),
      send_(crypto::make_aead(cipher, send)),
      next_key_(crypto::derive_key(receive, kUpdateLabel)),
      current_(crypto::make_aead(cipher, receive)),
      forgery_limit_(std::uint64_t{1} << (cipher == crypto::Cipher::chacha20_poly1305 ? 36 : 52)) {}

bool PacketKeys::next_send_phase(std::uint64_t number) {
    if (sealed_ >= update_after_ && confirmed_) {
        send_key_ = crypto::derive_key(send_key_, kUpdateLabel);
        send_ = crypto::make_aead(cipher_, send_key_);
        send_phase_ = !send_phase_;
        phase_first_ = number;
        sealed_ = 0;
        confirmed_ = false;
        ++updates_;
    }
    return send_phase_;
}

void PacketKeys::seal(std::uint64_t number, ByteView header, ByteSpan payload) {
    ++sealed_;
    send_->seal(number, header, payload);
}

std::optional<ByteSpan> PacketKeys::open(std::uint64_t number, bool phase, ByteView header, ByteSpan payload,
                                         TimePoint now, Duration retain) {
    if (!window_.would_accept(number)) {
        return std::nullopt;
    }
    // RFC 9001 §6.5: the bit tells two keys apart, the packet number tells older from newer. Only one key is tried.
    const bool older = phase != receive_phase_ && number < current_first_;
    if (older && (!previous_ || now >= previous_expiry_)) {
        previous_.reset();
        return std::nullopt;
    }
    const bool newer = phase != receive_phase_ && !older;
    if (newer && !next_) {
        next_ = crypto::make_aead(cipher_, next_key_);
    }
    const auto& key = newer ? next_ : older ? previous_ : current_;
    const auto text = key->open(number, header, payload);
    if (!text) {
        ++forged_;
        return std::nullopt;
    }
    if (!window_.accept(number)) {
        return std::nullopt;
    }
    if (phase == receive_phase_) {
        current_first_ = std::min(current_first_, number);
    } else if (newer) {
        roll_receive(number, now + retain);
    }
    return text;
}

void PacketKeys::rest(TimePoint now) {
    if (now >= previous_expiry_) {
        previous_.reset();
    }
    send_->rest();
    current_->rest();
    window_.rest();
}

void PacketKeys::roll_receive(std::uint64_t number, TimePoint expiry) {
    previous_ = std::move(current_);
    previous_expiry_ = expiry;
    current_ = std::move(next_);
    next_key_ = crypto::derive_key(next_key_, kUpdateLabel);
    receive_phase_ = !receive_phase_;
    current_first_ = number;
    ++updates_;
}

}  // namespace pinhole::transport
