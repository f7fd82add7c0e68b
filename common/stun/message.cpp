#include "common/stun/message.hpp"

#include <algorithm>

namespace pinhole::stun {

namespace {

constexpr std::array kKnownRequired{AttributeType::mapped_address,
                                    AttributeType::change_request,
                                    AttributeType::username,
                                    AttributeType::message_integrity,
                                    AttributeType::error_code,
                                    AttributeType::unknown_attributes,
                                    AttributeType::realm,
                                    AttributeType::nonce,
                                    AttributeType::message_integrity_sha256,
                                    AttributeType::xor_mapped_address,
                                    AttributeType::priority,
                                    AttributeType::use_candidate};

constexpr std::size_t padded(std::size_t size) {
    return (size + 3) & ~std::size_t{3};
}

std::optional<std::uint32_t> read_u32(std::optional<ByteView> value) {
    return value && value->size() == 4 ? ByteReader{*value}.u32() : std::nullopt;
}

}  // namespace

std::optional<Attribute> next_attribute(ByteReader& reader) {
    const auto type = reader.u16();
    const auto length = reader.u16();
    if (!type || !length) {
        return std::nullopt;
    }
    const auto value = reader.take(padded(*length));
    if (!value) {
        return std::nullopt;
    }
    return Attribute{.type = *type, .value = value->first(*length)};
}

TransactionId TransactionId::generate(Rng& rng) {
    TransactionId id;
    rng.fill(id.bytes);
    return id;
}

bool is_stun(ByteView datagram) {
    if (datagram.size() < kHeaderSize || datagram[0] > 3) {
        return false;
    }
    return ByteReader{datagram.subspan(4, 4)}.u32() == kMagicCookie;
}

Result<MessageView> MessageView::parse(ByteView datagram) {
    ByteReader reader{datagram};
    const auto type = reader.u16();
    const auto length = reader.u16();
    const auto cookie = reader.u32();
    const auto id = reader.take(sizeof(TransactionId::bytes));
    // RFC 8489 §6.3: the first two bits, the cookie, a sensible length.
    if (!type || !length || !cookie || !id || (*type & 0xc000U) != 0 || *cookie != kMagicCookie ||
        *length != reader.remaining() || *length % 4 != 0) {
        return fail(make_error_code(Errc::malformed), "STUN header");
    }
    MessageView view;
    view.raw_ = datagram;
    view.visible_end_ = datagram.size();
    // RFC 8489 §5, figure 3: the two class bits sit at 4 and 8 among the bits of the method.
    view.class_ = static_cast<MessageClass>((*type >> 4 & 1U) | (*type >> 7 & 2U));
    view.method_ = {static_cast<std::uint16_t>((*type & 0x000fU) | (*type >> 1 & 0x0070U) | (*type >> 2 & 0x0f80U))};
    std::ranges::copy(*id, view.id_.bytes.begin());
    if (!view.scan()) {
        return fail(make_error_code(Errc::malformed), "STUN attributes");
    }
    return view;
}

bool MessageView::scan() {
    ByteReader reader{raw_.subspan(kHeaderSize)};
    while (!reader.empty()) {
        const std::size_t offset = raw_.size() - reader.remaining();
        const auto attribute = next_attribute(reader);
        if (!attribute || fingerprint_ || !note(attribute->type, attribute->value, offset)) {
            return false;
        }
    }
    return true;
}

bool MessageView::note(std::uint16_t type, ByteView value, std::size_t offset) {
    switch (static_cast<AttributeType>(type)) {
        case AttributeType::message_integrity:
            if (value.size() != 20) {
                return false;
            }
            // RFC 8489 §14.5: behind MESSAGE-INTEGRITY-SHA256 it counts for nothing.
            if (!integrity_ && !integrity_sha256_) {
                integrity_ = IntegrityField{.offset = offset, .mac = value};
                visible_end_ = std::min(visible_end_, offset);
            }
            return true;
        case AttributeType::message_integrity_sha256:
            // RFC 8489 §14.6: 16 to 32 bytes, a multiple of 4.
            if (value.size() < 16 || value.size() > 32 || value.size() % 4 != 0) {
                return false;
            }
            if (!integrity_sha256_) {
                integrity_sha256_ = IntegrityField{.offset = offset, .mac = value};
                visible_end_ = std::min(visible_end_, offset);
            }
            return true;
        case AttributeType::fingerprint:
            fingerprint_ = read_u32(value);
            return fingerprint_.has_value();
        default:
            return true;
    }
}

std::optional<ByteView> MessageView::find(AttributeType type) const {
    ByteReader reader{raw_.subspan(kHeaderSize, visible_end_ - kHeaderSize)};
    while (const auto attribute = next_attribute(reader)) {
        if (attribute->type == static_cast<std::uint16_t>(type)) {
            return attribute->value;
        }
    }
    return std::nullopt;
}

std::optional<std::string_view> MessageView::text(AttributeType type) const {
    const auto value = find(type);
    return value ? std::optional{as_text(*value)} : std::nullopt;
}

std::optional<std::string_view> MessageView::username() const {
    return text(AttributeType::username);
}

std::optional<std::string_view> MessageView::realm() const {
    return text(AttributeType::realm);
}

std::optional<std::string_view> MessageView::nonce() const {
    return text(AttributeType::nonce);
}

std::optional<std::string_view> MessageView::software() const {
    return text(AttributeType::software);
}

std::optional<ErrorCode> MessageView::error_code() const {
    const auto value = find(AttributeType::error_code);
    if (!value || value->size() < 4) {
        return std::nullopt;
    }
    // RFC 8489 §14.8: hundreds in three bits, then 0 to 99.
    const unsigned hundreds = (*value)[2] & 7U;
    const unsigned rest = (*value)[3];
    if (hundreds < 3 || hundreds > 6 || rest > 99) {
        return std::nullopt;
    }
    return ErrorCode{.code = static_cast<std::uint16_t>(hundreds * 100 + rest), .reason = as_text(value->subspan(4))};
}

std::vector<std::uint16_t> MessageView::unknown_attributes() const {
    std::vector<std::uint16_t> types;
    if (const auto value = find(AttributeType::unknown_attributes)) {
        ByteReader reader{*value};
        while (types.size() < kMaxUnknownReported) {
            const auto type = reader.u16();
            if (!type) {
                break;
            }
            types.push_back(*type);
        }
    }
    return types;
}

std::optional<net::Endpoint> MessageView::address(AttributeType type, bool xored) const {
    const auto value = find(type);
    return value ? read_address(*value, xored) : std::nullopt;
}

std::optional<net::Endpoint> MessageView::read_address(ByteView value, bool xored) const {
    // RFC 8489 §14.1, §14.2
    ByteReader reader{value};
    const auto reserved = reader.u8();
    const auto family = reader.u8();
    const auto port = reader.u16();
    if (!reserved || !family || !port || (*family != 1 && *family != 2)) {
        return std::nullopt;
    }
    const std::size_t size = *family == 1 ? 4 : 16;
    if (reader.remaining() != size) {
        return std::nullopt;
    }
    std::array<std::uint8_t, 16> bytes{};
    std::ranges::copy(reader.rest(), bytes.begin());
    if (xored) {
        // The mask is the cookie followed by the transaction ID, as they stand in the header.
        for (std::size_t i = 0; i < size; ++i) {
            bytes[i] = static_cast<std::uint8_t>(bytes[i] ^ raw_[4 + i]);
        }
    }
    const auto mask = static_cast<std::uint16_t>(xored ? kMagicCookie >> 16 : 0);
    return net::Endpoint{.address = *net::Address::from_bytes(ByteView{bytes}.first(size)),
                         .port = static_cast<std::uint16_t>(*port ^ mask)};
}

std::optional<net::Endpoint> MessageView::mapped_address() const {
    return address(AttributeType::mapped_address, false);
}

std::optional<net::Endpoint> MessageView::xor_mapped_address() const {
    return address(AttributeType::xor_mapped_address, true);
}

std::optional<net::Endpoint> MessageView::alternate_server() const {
    return address(AttributeType::alternate_server, false);
}

std::optional<net::Endpoint> MessageView::response_origin() const {
    return address(AttributeType::response_origin, false);
}

std::optional<net::Endpoint> MessageView::other_address() const {
    return address(AttributeType::other_address, false);
}

std::optional<ChangeRequest> MessageView::change_request() const {
    const auto flags = read_u32(find(AttributeType::change_request));
    if (!flags) {
        return std::nullopt;
    }
    return ChangeRequest{.change_ip = (*flags & 4U) != 0, .change_port = (*flags & 2U) != 0};
}

std::optional<std::uint16_t> MessageView::response_port() const {
    // RFC 5780 §7.5: the port and two bytes of padding; there are writers that leave the padding to the attribute's
    // own.
    const auto value = find(AttributeType::response_port);
    return value && (value->size() == 4 || value->size() == 2) ? ByteReader{*value}.u16() : std::nullopt;
}

std::optional<net::Endpoint> MessageView::source_address() const {
    return address(AttributeType::source_address, false);
}

std::optional<net::Endpoint> MessageView::changed_address() const {
    return address(AttributeType::changed_address, false);
}

std::optional<std::uint32_t> MessageView::priority() const {
    return read_u32(find(AttributeType::priority));
}

bool MessageView::use_candidate() const {
    const auto value = find(AttributeType::use_candidate);
    return value && value->empty();
}

std::optional<std::uint64_t> MessageView::tie_breaker(AttributeType type) const {
    const auto value = find(type);
    return value && value->size() == 8 ? ByteReader{*value}.u64() : std::nullopt;
}

std::optional<std::uint64_t> MessageView::ice_controlled() const {
    return tie_breaker(AttributeType::ice_controlled);
}

std::optional<std::uint64_t> MessageView::ice_controlling() const {
    return tie_breaker(AttributeType::ice_controlling);
}

std::vector<std::uint16_t> MessageView::unknown_required(std::span<const AttributeType> understood) const {
    std::vector<std::uint16_t> unknown;
    ByteReader reader{raw_.subspan(kHeaderSize, visible_end_ - kHeaderSize)};
    while (unknown.size() < kMaxUnknownReported) {
        const auto attribute = next_attribute(reader);
        if (!attribute) {
            break;
        }
        const bool required = attribute->type < 0x8000;
        if (required &&
            std::ranges::find(understood, static_cast<AttributeType>(attribute->type)) == understood.end() &&
            std::ranges::find(unknown, attribute->type) == unknown.end()) {
            unknown.push_back(attribute->type);
        }
    }
    return unknown;
}

std::vector<std::uint16_t> MessageView::unknown_required() const {
    return unknown_required(kKnownRequired);
}

}  // namespace pinhole::stun
