// What MessageView reads of TURN (RFC 8656 §18, RFC 6062 §6.2) and of the newer long-term credentials (RFC 8489 §14).
#include "common/stun/message.hpp"

#include <algorithm>

namespace pinhole::stun {

namespace {

std::optional<std::uint32_t> read_u32(std::optional<ByteView> value) {
    return value && value->size() == 4 ? ByteReader{*value}.u32() : std::nullopt;
}

std::optional<net::Family> family_of(std::uint32_t number) {
    switch (number) {
        case 1:
            return net::Family::v4;
        case 2:
            return net::Family::v6;
        default:
            return std::nullopt;
    }
}

constexpr std::size_t padded(std::size_t size) {
    return (size + 3) & ~std::size_t{3};
}

}  // namespace

std::optional<std::uint16_t> MessageView::channel_number() const {
    const auto value = read_u32(find(AttributeType::channel_number));
    return value ? std::optional{static_cast<std::uint16_t>(*value >> 16)} : std::nullopt;
}

std::optional<std::chrono::seconds> MessageView::lifetime() const {
    const auto value = read_u32(find(AttributeType::lifetime));
    return value ? std::optional{std::chrono::seconds{*value}} : std::nullopt;
}

std::optional<net::Endpoint> MessageView::xor_peer_address() const {
    return address(AttributeType::xor_peer_address, true);
}

std::optional<std::vector<net::Endpoint>> MessageView::xor_peer_addresses() const {
    std::vector<net::Endpoint> peers;
    ByteReader reader{raw_.subspan(kHeaderSize, visible_end_ - kHeaderSize)};
    while (const auto attribute = next_attribute(reader)) {
        if (attribute->type != static_cast<std::uint16_t>(AttributeType::xor_peer_address)) {
            continue;
        }
        const auto peer = read_address(attribute->value, true);
        if (!peer || peers.size() == kMaxPeerAddresses) {
            return std::nullopt;
        }
        peers.push_back(*peer);
    }
    return peers;
}

std::optional<ByteView> MessageView::data() const {
    return find(AttributeType::data);
}

std::optional<net::Endpoint> MessageView::xor_relayed_address() const {
    return address(AttributeType::xor_relayed_address, true);
}

std::vector<net::Endpoint> MessageView::xor_relayed_addresses() const {
    std::vector<net::Endpoint> relayed;
    ByteReader reader{raw_.subspan(kHeaderSize, visible_end_ - kHeaderSize)};
    while (const auto attribute = next_attribute(reader)) {
        const bool wanted = attribute->type == static_cast<std::uint16_t>(AttributeType::xor_relayed_address);
        const auto address = wanted ? read_address(attribute->value, true) : std::nullopt;
        if (address && relayed.size() < kMaxPeerAddresses) {
            relayed.push_back(*address);
        }
    }
    return relayed;
}

std::optional<net::Family> MessageView::family(AttributeType type) const {
    // RFC 8656 §18.6, §18.11: the number in the first byte, three reserved ones.
    const auto value = read_u32(find(type));
    return value ? family_of(*value >> 24) : std::nullopt;
}

std::optional<net::Family> MessageView::requested_address_family() const {
    return family(AttributeType::requested_address_family);
}

std::optional<net::Family> MessageView::additional_address_family() const {
    return family(has(AttributeType::additional_address_family) ? AttributeType::additional_address_family
                                                                : AttributeType::draft_additional_address_family);
}

std::optional<bool> MessageView::even_port() const {
    const auto value = find(AttributeType::even_port);
    return value && value->size() == 1 ? std::optional{((*value)[0] & 0x80U) != 0} : std::nullopt;
}

std::optional<std::uint8_t> MessageView::requested_transport() const {
    const auto value = read_u32(find(AttributeType::requested_transport));
    return value ? std::optional{static_cast<std::uint8_t>(*value >> 24)} : std::nullopt;
}

bool MessageView::dont_fragment() const {
    const auto value = find(AttributeType::dont_fragment);
    return value && value->empty();
}

std::optional<std::uint64_t> MessageView::reservation_token() const {
    const auto value = find(AttributeType::reservation_token);
    return value && value->size() == 8 ? ByteReader{*value}.u64() : std::nullopt;
}

std::optional<AddressErrorCode> MessageView::address_error_code() const {
    const auto value = find(AttributeType::address_error_code);
    if (!value || value->size() < 4) {
        return std::nullopt;
    }
    const auto family = family_of((*value)[0]);
    const unsigned hundreds = (*value)[2] & 7U;
    const unsigned rest = (*value)[3];
    if (!family || hundreds < 3 || hundreds > 6 || rest > 99) {
        return std::nullopt;
    }
    return AddressErrorCode{
        .family = *family,
        .error = {.code = static_cast<std::uint16_t>(hundreds * 100 + rest), .reason = as_text(value->subspan(4))}};
}

std::optional<IcmpError> MessageView::icmp() const {
    const auto value = find(AttributeType::icmp);
    if (!value || value->size() != 8) {
        return std::nullopt;
    }
    const auto type_and_code = *ByteReader{value->first(4)}.u32();
    return IcmpError{.type = static_cast<std::uint8_t>(type_and_code >> 9 & 0x7fU),
                     .code = static_cast<std::uint16_t>(type_and_code & 0x1ffU),
                     .data = *ByteReader{value->subspan(4)}.u32()};
}

std::optional<std::uint32_t> MessageView::connection_id() const {
    return read_u32(find(AttributeType::connection_id));
}

std::optional<Userhash> MessageView::userhash() const {
    const auto value = find(AttributeType::userhash);
    if (!value || value->size() != sizeof(Userhash)) {
        return std::nullopt;
    }
    Userhash hash{};
    std::ranges::copy(*value, hash.begin());
    return hash;
}

std::optional<PasswordAlgorithm> MessageView::password_algorithm() const {
    const auto value = read_u32(find(AttributeType::password_algorithm));
    if (!value || (*value & 0xffffU) != 0) {
        return std::nullopt;
    }
    return static_cast<PasswordAlgorithm>(*value >> 16);
}

std::vector<PasswordAlgorithm> MessageView::password_algorithms() const {
    std::vector<PasswordAlgorithm> algorithms;
    const auto value = find(AttributeType::password_algorithms);
    ByteReader reader{value.value_or(ByteView{})};
    while (algorithms.size() < kMaxPasswordAlgorithms) {
        const auto number = reader.u16();
        const auto length = reader.u16();
        if (!number || !length || !reader.take(padded(*length))) {
            break;
        }
        algorithms.push_back(static_cast<PasswordAlgorithm>(*number));
    }
    return algorithms;
}

}  // namespace pinhole::stun
