// STUN messages (RFC 8489 §5, §14; RFC 8445 §16; RFC 5780 §7) and those of TURN (RFC 8656 §17, §18; RFC 6062 §6) read
// in place. Every length is checked once in `parse`; a view then borrows the datagram and must not outlive it. Knows
// neither transactions nor who may ask: integrity.hpp judges authenticity, builder.hpp writes messages.
#pragma once

#include "common/base/bytes.hpp"
#include "common/base/error.hpp"
#include "common/base/rng.hpp"
#include "common/net/endpoint.hpp"

#include <array>
#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace pinhole::stun {

inline constexpr std::uint32_t kMagicCookie = 0x2112a442;
inline constexpr std::size_t kHeaderSize = 20;
inline constexpr std::size_t kAttributeHeaderSize = 4;
/// What FINGERPRINT's CRC is XORed with (RFC 8489 §14.7).
inline constexpr std::uint32_t kFingerprintMask = 0x5354554e;
/// Unknown attributes that one message reports at most, so that a stranger does not decide the size of an answer.
inline constexpr std::size_t kMaxUnknownReported = 16;
/// Peers that one CreatePermission names at most; a message with more is malformed to us.
inline constexpr std::size_t kMaxPeerAddresses = 64;
/// Algorithms of PASSWORD-ALGORITHMS that are read; two are defined.
inline constexpr std::size_t kMaxPasswordAlgorithms = 8;

enum class MessageClass : std::uint8_t { request = 0, indication = 1, success = 2, error = 3 };

/// A 12-bit number (RFC 8489 §5).
struct Method {
    std::uint16_t value = 0;

    friend constexpr auto operator<=>(const Method&, const Method&) = default;
};

inline constexpr Method kBinding{0x001};
// RFC 8656 §17
inline constexpr Method kAllocate{0x003};
inline constexpr Method kRefresh{0x004};
inline constexpr Method kSend{0x006};
inline constexpr Method kData{0x007};
inline constexpr Method kCreatePermission{0x008};
inline constexpr Method kChannelBind{0x009};
// RFC 6062 §6.1
inline constexpr Method kConnect{0x00a};
inline constexpr Method kConnectionBind{0x00b};
inline constexpr Method kConnectionAttempt{0x00c};

struct TransactionId {
    std::array<std::uint8_t, 12> bytes{};

    [[nodiscard]] static TransactionId generate(Rng& rng);

    friend constexpr auto operator<=>(const TransactionId&, const TransactionId&) = default;
};

/// Below 0x8000 the receiver must understand it or refuse the request (RFC 8489 §14).
enum class AttributeType : std::uint16_t {
    mapped_address = 0x0001,
    response_address = 0x0002,  ///< RFC 3489; never honoured
    change_request = 0x0003,
    source_address = 0x0004,   ///< RFC 3489
    changed_address = 0x0005,  ///< RFC 3489
    username = 0x0006,
    message_integrity = 0x0008,
    error_code = 0x0009,
    unknown_attributes = 0x000a,
    channel_number = 0x000c,
    lifetime = 0x000d,
    xor_peer_address = 0x0012,
    data = 0x0013,
    realm = 0x0014,
    nonce = 0x0015,
    xor_relayed_address = 0x0016,
    requested_address_family = 0x0017,
    even_port = 0x0018,
    requested_transport = 0x0019,
    dont_fragment = 0x001a,
    message_integrity_sha256 = 0x001c,
    password_algorithm = 0x001d,
    userhash = 0x001e,
    xor_mapped_address = 0x0020,
    reservation_token = 0x0022,
    priority = 0x0024,
    use_candidate = 0x0025,
    padding = 0x0026,
    response_port = 0x0027,
    connection_id = 0x002a,
    additional_address_family = 0x8000,
    /// Of the drafts of RFC 8656; coturn's programs have it still.
    draft_additional_address_family = 0x8032,
    address_error_code = 0x8001,
    password_algorithms = 0x8002,
    icmp = 0x8004,
    software = 0x8022,
    alternate_server = 0x8023,
    fingerprint = 0x8028,
    ice_controlled = 0x8029,
    ice_controlling = 0x802a,
    response_origin = 0x802b,
    other_address = 0x802c
};

struct ErrorCode {
    std::uint16_t code = 0;  ///< 300 to 699
    std::string_view reason;
};

/// RFC 5780 §7.2.
struct ChangeRequest {
    bool change_ip = false;
    bool change_port = false;
};

/// Why a relay has no address of this family, when it has one of the other (RFC 8656 §18.12).
struct AddressErrorCode {
    net::Family family = net::Family::v4;
    ErrorCode error;
};

/// An ICMP error that a relayed datagram met (RFC 8656 §18.13).
struct IcmpError {
    std::uint8_t type = 0;   ///< 7 bits: errors of both families have no more
    std::uint16_t code = 0;  ///< 9 bits
    std::uint32_t data = 0;  ///< the MTU, for "fragmentation needed" and "packet too big"
};

/// Protocol numbers of REQUESTED-TRANSPORT (RFC 8656 §18.7, RFC 6062 §4.2).
inline constexpr std::uint8_t kTransportUdp = 17;
inline constexpr std::uint8_t kTransportTcp = 6;

/// Numbers of RFC 8489 §18.5; others may follow.
enum class PasswordAlgorithm : std::uint16_t { md5 = 1, sha256 = 2 };

using Userhash = std::array<std::uint8_t, 32>;

/// A MESSAGE-INTEGRITY attribute: the MAC and where its attribute begins in the message.
struct IntegrityField {
    std::size_t offset = 0;
    ByteView mac;
};

/// True if the datagram can only be STUN where other protocols share the port (RFC 7983 §7, RFC 8489 §5).
[[nodiscard]] bool is_stun(ByteView datagram);

class MessageView {
  public:
    /// The datagram must be exactly one message. A FINGERPRINT that is not last is malformed.
    [[nodiscard]] static Result<MessageView> parse(ByteView datagram);

    [[nodiscard]] MessageClass message_class() const { return class_; }

    [[nodiscard]] Method method() const { return method_; }

    [[nodiscard]] const TransactionId& transaction_id() const { return id_; }

    [[nodiscard]] ByteView raw() const { return raw_; }

    /// The first attribute of this type (RFC 8489 §14: later ones are ignored) in front of the first integrity
    /// attribute; what stands behind it is not protected and therefore not seen.
    [[nodiscard]] std::optional<ByteView> find(AttributeType type) const;

    [[nodiscard]] bool has(AttributeType type) const { return find(type).has_value(); }

    [[nodiscard]] const std::optional<IntegrityField>& integrity() const { return integrity_; }

    [[nodiscard]] const std::optional<IntegrityField>& integrity_sha256() const { return integrity_sha256_; }

    [[nodiscard]] std::optional<std::uint32_t> fingerprint() const { return fingerprint_; }

    // Each is nullopt when the attribute is absent or its value has the wrong form.
    [[nodiscard]] std::optional<std::string_view> username() const;
    [[nodiscard]] std::optional<std::string_view> realm() const;
    [[nodiscard]] std::optional<std::string_view> nonce() const;
    [[nodiscard]] std::optional<std::string_view> software() const;
    [[nodiscard]] std::optional<ErrorCode> error_code() const;
    [[nodiscard]] std::vector<std::uint16_t> unknown_attributes() const;
    [[nodiscard]] std::optional<net::Endpoint> mapped_address() const;
    [[nodiscard]] std::optional<net::Endpoint> xor_mapped_address() const;
    [[nodiscard]] std::optional<net::Endpoint> alternate_server() const;
    [[nodiscard]] std::optional<net::Endpoint> response_origin() const;
    [[nodiscard]] std::optional<net::Endpoint> other_address() const;
    [[nodiscard]] std::optional<ChangeRequest> change_request() const;
    [[nodiscard]] std::optional<std::uint16_t> response_port() const;
    /// RFC 3489 §11.2.5, §11.2.3
    [[nodiscard]] std::optional<net::Endpoint> source_address() const;
    [[nodiscard]] std::optional<net::Endpoint> changed_address() const;
    [[nodiscard]] std::optional<std::uint32_t> priority() const;
    [[nodiscard]] bool use_candidate() const;
    [[nodiscard]] std::optional<std::uint64_t> ice_controlled() const;
    [[nodiscard]] std::optional<std::uint64_t> ice_controlling() const;

    // RFC 8656 §18, in turn_attributes.cpp.
    [[nodiscard]] std::optional<std::uint16_t> channel_number() const;
    [[nodiscard]] std::optional<std::chrono::seconds> lifetime() const;
    [[nodiscard]] std::optional<net::Endpoint> xor_peer_address() const;
    /// All of them; empty when there is none, nullopt when one has the wrong form or there are too many.
    [[nodiscard]] std::optional<std::vector<net::Endpoint>> xor_peer_addresses() const;
    [[nodiscard]] std::optional<ByteView> data() const;
    [[nodiscard]] std::optional<net::Endpoint> xor_relayed_address() const;
    /// One of each family at most in what a correct server says; here as many as kMaxPeerAddresses, well-formed ones.
    [[nodiscard]] std::vector<net::Endpoint> xor_relayed_addresses() const;
    [[nodiscard]] std::optional<net::Family> requested_address_family() const;
    /// By either number.
    [[nodiscard]] std::optional<net::Family> additional_address_family() const;
    /// True: the next higher port is to be reserved.
    [[nodiscard]] std::optional<bool> even_port() const;
    [[nodiscard]] std::optional<std::uint8_t> requested_transport() const;
    [[nodiscard]] bool dont_fragment() const;
    [[nodiscard]] std::optional<std::uint64_t> reservation_token() const;
    [[nodiscard]] std::optional<AddressErrorCode> address_error_code() const;
    [[nodiscard]] std::optional<IcmpError> icmp() const;
    /// RFC 6062 §6.2.1
    [[nodiscard]] std::optional<std::uint32_t> connection_id() const;
    // RFC 8489 §14.4, §14.11, §14.12
    [[nodiscard]] std::optional<Userhash> userhash() const;
    /// The number, if the algorithm has no parameters, as all that are defined.
    [[nodiscard]] std::optional<PasswordAlgorithm> password_algorithm() const;
    /// Numbers in the server's order of preference, of algorithms with and without parameters.
    [[nodiscard]] std::vector<PasswordAlgorithm> password_algorithms() const;

    /// Comprehension-required types that are not in `understood`, each once, at most kMaxUnknownReported.
    [[nodiscard]] std::vector<std::uint16_t> unknown_required(std::span<const AttributeType> understood) const;
    /// The same against the types that a Binding may bring (RFC 8489, RFC 8445, RFC 5780) and its answers.
    [[nodiscard]] std::vector<std::uint16_t> unknown_required() const;

  private:
    MessageView() = default;
    [[nodiscard]] bool scan();
    [[nodiscard]] bool note(std::uint16_t type, ByteView value, std::size_t offset);
    [[nodiscard]] std::optional<std::string_view> text(AttributeType type) const;
    [[nodiscard]] std::optional<net::Endpoint> address(AttributeType type, bool xored) const;
    [[nodiscard]] std::optional<net::Endpoint> read_address(ByteView value, bool xored) const;
    [[nodiscard]] std::optional<net::Family> family(AttributeType type) const;
    [[nodiscard]] std::optional<std::uint64_t> tie_breaker(AttributeType type) const;

    ByteView raw_;
    /// End of the attributes that `find` sees.
    std::size_t visible_end_ = 0;
    MessageClass class_ = MessageClass::request;
    Method method_;
    TransactionId id_;
    std::optional<IntegrityField> integrity_;
    std::optional<IntegrityField> integrity_sha256_;
    std::optional<std::uint32_t> fingerprint_;
};

/// One attribute as it stands in a message.
struct Attribute {
    std::uint16_t type = 0;
    ByteView value;
};

/// RFC 8489 §14: type, length, value, padding to 4 bytes whose content does not matter. nullopt at the end, and if the
/// length says more than there is.
[[nodiscard]] std::optional<Attribute> next_attribute(ByteReader& reader);

}  // namespace pinhole::stun
