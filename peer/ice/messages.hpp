// The STUN messages that ICE agents exchange (RFC 8445 §7): Binding requests and their answers, each with
// MESSAGE-INTEGRITY and FINGERPRINT.
#pragma once

#include "common/stun/message.hpp"
#include "peer/ice/agent.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace pinhole::ice {

inline constexpr std::uint16_t kBadRequestSyntax = 400;
inline constexpr std::uint16_t kUnknownAttribute = 420;
inline constexpr std::uint16_t kRoleConflict = 487;

struct CheckRequest {
    stun::TransactionId id;
    std::string username;  ///< "remote:local" (RFC 8445 §7.2.2)
    std::uint32_t priority = 0;
    Role role = Role::controlling;
    std::uint64_t tie_breaker = 0;
    bool use_candidate = false;
};

[[nodiscard]] Bytes build_check(const CheckRequest& request, std::string_view password);
[[nodiscard]] Bytes build_success(const stun::TransactionId& id, const net::Endpoint& mapped,
                                  std::string_view password);
[[nodiscard]] Bytes build_error(const stun::TransactionId& id, std::uint16_t code,
                                std::span<const std::uint16_t> unknown, std::string_view password);

/// A Binding message with a right FINGERPRINT, which RFC 8445 §7.1 makes mandatory; nothing else is for an agent.
[[nodiscard]] std::optional<stun::MessageView> parse_binding(ByteView payload);

}  // namespace pinhole::ice
