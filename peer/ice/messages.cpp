#include "peer/ice/messages.hpp"

#include "common/stun/builder.hpp"
#include "common/stun/integrity.hpp"

namespace pinhole::ice {

namespace {

using stun::AttributeType;
using stun::MessageBuilder;
using stun::MessageClass;

Bytes seal(MessageBuilder& message, std::string_view password) {
    return message.integrity(stun::short_term_key(password)).fingerprint().finish();
}

}  // namespace

Bytes build_check(const CheckRequest& request, std::string_view password) {
    MessageBuilder message{MessageClass::request, stun::kBinding, request.id};
    message.text(AttributeType::username, request.username).u32(AttributeType::priority, request.priority);
    message.u64(request.role == Role::controlling ? AttributeType::ice_controlling : AttributeType::ice_controlled,
                request.tie_breaker);
    if (request.use_candidate) {
        message.flag(AttributeType::use_candidate);
    }
    return seal(message, password);
}

Bytes build_success(const stun::TransactionId& id, const net::Endpoint& mapped, std::string_view password) {
    MessageBuilder message{MessageClass::success, stun::kBinding, id};
    message.address(AttributeType::xor_mapped_address, mapped);
    return seal(message, password);
}

Bytes build_error(const stun::TransactionId& id, std::uint16_t code, std::span<const std::uint16_t> unknown,
                  std::string_view password) {
    MessageBuilder message{MessageClass::error, stun::kBinding, id};
    message.error_code(code, {});
    if (!unknown.empty()) {
        message.unknown_attributes(unknown);
    }
    return seal(message, password);
}

std::optional<stun::MessageView> parse_binding(ByteView payload) {
    const auto message = stun::MessageView::parse(payload);
    if (!message || message->method() != stun::kBinding || !stun::verify_fingerprint(*message)) {
        return std::nullopt;
    }
    return *message;
}

}  // namespace pinhole::ice
