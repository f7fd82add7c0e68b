#include "rendezvous/core/stun_binding.hpp"

#include "common/stun/builder.hpp"
#include "common/stun/integrity.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace pinhole::rendezvous {

namespace {

using stun::AttributeType;
using stun::MessageClass;

/// Larger questions are not STUN of any client: RFC 8489 §6.1 keeps requests below the path MTU, 548 bytes where
/// unknown.
constexpr std::size_t kMaxRequest = 1280;
constexpr std::size_t kCookieOffset = 4;
constexpr std::array<std::uint8_t, 4> kCookie{0x21, 0x12, 0xa4, 0x42};

enum class Dialect : std::uint8_t { rfc8489, rfc3489 };

/// A request that has been read, and what decides about its answer.
struct Question {
    const stun::MessageView& message;
    Dialect dialect;
    net::PathAddresses path;
    StunTransport transport;
    const StunSite* site;

    [[nodiscard]] bool fingerprinted() const {
        return dialect == Dialect::rfc8489 && message.fingerprint().has_value();
    }
};

/// Required attributes that this request may bring. Credentials are understood, though none are asked for.
std::vector<AttributeType> understood(const Question& question) {
    std::vector types{AttributeType::username, AttributeType::message_integrity};
    if (question.dialect == Dialect::rfc8489) {
        types.insert(types.end(), {AttributeType::realm, AttributeType::nonce, AttributeType::message_integrity_sha256,
                                   AttributeType::priority, AttributeType::use_candidate});
    }
    // A TCP connection cannot be answered from elsewhere. RFC 5780 §6.1 wants 420 from a server with one address.
    if (question.transport == StunTransport::udp) {
        if (question.site != nullptr) {
            types.push_back(AttributeType::change_request);
        }
        if (question.dialect == Dialect::rfc8489) {
            types.push_back(AttributeType::response_port);
        }
    }
    return types;
}

BindingAnswer finish(const Question& question, stun::MessageBuilder& builder, const net::PathAddresses& path,
                     bool success) {
    if (question.fingerprinted()) {
        builder.fingerprint();
    }
    return {.transmit = {.path = path, .payload = builder.finish()}, .success = success};
}

stun::MessageBuilder reply(const Question& question, MessageClass message_class) {
    return stun::MessageBuilder{message_class, stun::kBinding, question.message.transaction_id()};
}

/// RFC 8489 §6.3.1
BindingAnswer refuse_unknown(const Question& question, std::vector<std::uint16_t> unknown) {
    // RFC 3489 §11.2.10: the length is a multiple of four; one type is said twice for that.
    if (question.dialect == Dialect::rfc3489 && unknown.size() % 2 != 0) {
        unknown.push_back(unknown.back());
    }
    auto refusal = reply(question, MessageClass::error);
    refusal.error_code(420, {}).unknown_attributes(unknown);
    return finish(question, refusal, question.path, false);
}

BindingAnswer refuse_malformed(const Question& question) {
    auto refusal = reply(question, MessageClass::error);
    refusal.error_code(400, {});
    return finish(question, refusal, question.path, false);
}

/// OTHER-ADDRESS: what a change of address and port would give (RFC 5780 §7.4), but for the answer to a bare request at
/// the second address and first port. That is the second mapping test of §4.3, and turnutils_natdiscovery sends its
/// third one, which belongs at the second address and second port, to where this answer points. Clients that remember
/// the first answer, as §4.3 has it, do not look here; and those that send FINGERPRINT, which natdiscovery does not,
/// get the RFC's answer, so that the second address may be a client's first.
net::Endpoint other_address(const Question& question, bool discovers) {
    const auto& local = question.path.local;
    const auto& site = *question.site;
    const bool bare = !discovers && !question.fingerprinted() && question.transport == StunTransport::udp;
    if (bare && local.address == site.addresses[1] && local.port == site.ports[0]) {
        return {.address = site.addresses[1], .port = site.ports[1]};
    }
    return site.changed(local, {.change_ip = true, .change_port = true});
}

/// RFC 5780 §6.1; RFC 3489 §8.1, or RFC 5389 §12.2 where there is no other address to tell.
BindingAnswer succeed(const Question& question, const net::PathAddresses& path, bool discovers) {
    const net::Endpoint mapped{.address = question.path.remote.address.unmapped(), .port = question.path.remote.port};
    const auto* site = question.site;
    const auto other = site == nullptr ? net::Endpoint{} : other_address(question, discovers);
    auto success = reply(question, MessageClass::success);
    if (question.dialect == Dialect::rfc3489) {
        success.address(AttributeType::mapped_address, mapped);
        if (site != nullptr) {
            success.address(AttributeType::source_address, path.local).address(AttributeType::changed_address, other);
        }
        return finish(question, success, path, true);
    }
    success.address(AttributeType::xor_mapped_address, mapped);
    if (site != nullptr) {
        // The plain form is for requests of the discovery usage: it finds gateways that rewrite addresses in payloads.
        // A bare request does without it, which keeps its answer small.
        if (discovers) {
            success.address(AttributeType::mapped_address, mapped);
        }
        success.address(AttributeType::response_origin, path.local).address(AttributeType::other_address, other);
    }
    return finish(question, success, path, true);
}

BindingAnswer answer(const Question& question) {
    if (auto unknown = question.message.unknown_required(understood(question)); !unknown.empty()) {
        return refuse_unknown(question, std::move(unknown));
    }
    auto path = question.path;
    const bool changes = question.message.has(AttributeType::change_request);
    if (changes) {
        const auto change = question.message.change_request();
        if (!change) {
            return refuse_malformed(question);
        }
        path.local = question.site->changed(path.local, *change);
    }
    const bool redirects = question.message.has(AttributeType::response_port);
    if (redirects) {
        const auto port = question.message.response_port();
        if (!port || *port < kLowestResponsePort) {
            return refuse_malformed(question);
        }
        path.remote.port = *port;
    }
    return succeed(question, path, changes || redirects);
}

std::optional<BindingAnswer> read_and_answer(const BindingRequest& asked, ByteView bytes, Dialect dialect,
                                             const StunSite* site) {
    const auto message = stun::MessageView::parse(bytes);
    if (!message || message->message_class() != MessageClass::request || message->method() != stun::kBinding ||
        (message->fingerprint() && !stun::verify_fingerprint(*message))) {
        return std::nullopt;
    }
    return answer(
        {.message = *message, .dialect = dialect, .path = asked.path, .transport = asked.transport, .site = site});
}

/// RFC 5389 §12.2: without the cookie it is a client of RFC 3489, whose transaction ID has 16 bytes; otherwise the two
/// read alike. It is answered with its own four bytes where the cookie stands.
std::optional<BindingAnswer> answer_classic(const BindingRequest& asked, const StunSite* site) {
    if (asked.transport != StunTransport::udp || asked.bytes.size() < stun::kHeaderSize || asked.bytes[0] != 0) {
        return std::nullopt;
    }
    auto bytes = to_bytes(asked.bytes);
    const auto cookie = std::span{bytes}.subspan(kCookieOffset, kCookie.size());
    std::array<std::uint8_t, kCookie.size()> id_begin{};
    std::ranges::copy(cookie, id_begin.begin());
    std::ranges::copy(kCookie, cookie.begin());
    auto result = read_and_answer(asked, bytes, Dialect::rfc3489, site);
    if (result) {
        std::ranges::copy(id_begin, result->transmit.payload.begin() + kCookieOffset);
    }
    return result;
}

}  // namespace

bool StunSite::contains(const net::Endpoint& local) const {
    return std::ranges::find(addresses, local.address) != addresses.end() &&
           std::ranges::find(ports, local.port) != ports.end();
}

net::Endpoint StunSite::changed(const net::Endpoint& local, const stun::ChangeRequest& change) const {
    const bool second_address = local.address == addresses[1];
    const bool second_port = local.port == ports[1];
    return {.address = addresses[second_address != change.change_ip ? 1 : 0],
            .port = ports[second_port != change.change_port ? 1 : 0]};
}

std::optional<BindingAnswer> answer_binding(const BindingRequest& asked, const StunSite* site) {
    if (asked.bytes.size() > kMaxRequest) {
        return std::nullopt;
    }
    if (stun::is_stun(asked.bytes)) {
        return read_and_answer(asked, asked.bytes, Dialect::rfc8489, site);
    }
    return answer_classic(asked, site);
}

}  // namespace pinhole::rendezvous
