// Every accessor of a STUN message, and both checks of its integrity, for whatever arrives.
#include "common/stun/builder.hpp"
#include "common/stun/integrity.hpp"
#include "common/stun/message.hpp"

#include <cstdint>
#include <cstdlib>

namespace {

using namespace pinhole;

constexpr std::string_view kPassword = "VOkJxbRl1RmTxUk/WvJxBt";

void require(bool condition) {
    if (!condition) {
        std::abort();
    }
}

/// What was read can be written again, and reads the same.
void rebuild(const stun::MessageView& message) {
    stun::MessageBuilder builder{message.message_class(), message.method(), message.transaction_id()};
    if (const auto username = message.username()) {
        builder.text(stun::AttributeType::username, *username);
    }
    if (const auto mapped = message.xor_mapped_address()) {
        builder.address(stun::AttributeType::xor_mapped_address, *mapped);
    }
    const auto bytes = builder.integrity(as_bytes(kPassword)).fingerprint().finish();
    if (bytes.empty()) {
        return;  // it held more than fits together with the integrity
    }
    const auto again = stun::MessageView::parse(bytes);
    require(again.has_value());
    require(again->method() == message.method() && again->message_class() == message.message_class());
    require(again->username() == message.username());
    require(again->xor_mapped_address() == message.xor_mapped_address());
    require(stun::verify_integrity(*again, as_bytes(kPassword)) && stun::verify_fingerprint(*again));
}

void read_turn(const stun::MessageView& message) {
    (void)message.channel_number();
    (void)message.lifetime();
    (void)message.xor_peer_address();
    (void)message.data();
    (void)message.xor_relayed_address();
    (void)message.requested_address_family();
    (void)message.additional_address_family();
    (void)message.even_port();
    (void)message.requested_transport();
    (void)message.dont_fragment();
    (void)message.reservation_token();
    (void)message.address_error_code();
    (void)message.icmp();
    (void)message.connection_id();
    (void)message.userhash();
    (void)message.password_algorithm();
    require(message.password_algorithms().size() <= stun::kMaxPasswordAlgorithms);
    const auto peers = message.xor_peer_addresses();
    require(!peers || peers->size() <= stun::kMaxPeerAddresses);
    // The first one counts.
    require(!peers || peers->empty() || message.xor_peer_address() == peers->front());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView input{data, size};
    const auto message = stun::MessageView::parse(input);
    if (!message) {
        return 0;
    }
    require(stun::is_stun(input) == (input[0] <= 3));
    (void)message->realm();
    (void)message->nonce();
    (void)message->software();
    (void)message->error_code();
    (void)message->mapped_address();
    (void)message->alternate_server();
    (void)message->response_origin();
    (void)message->other_address();
    (void)message->change_request();
    (void)message->priority();
    (void)message->use_candidate();
    (void)message->ice_controlled();
    (void)message->ice_controlling();
    require(message->unknown_attributes().size() <= stun::kMaxUnknownReported);
    require(message->unknown_required().size() <= stun::kMaxUnknownReported);
    (void)stun::verify_integrity(*message, as_bytes(kPassword));
    (void)stun::verify_integrity_sha256(*message, as_bytes(kPassword));
    (void)stun::verify_fingerprint(*message);
    read_turn(*message);
    rebuild(*message);
    return 0;
}
