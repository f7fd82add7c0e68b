#include "common/signaling/peer_codec.hpp"

#include "common/base/limits.hpp"
#include "peer.pb.h"

#include <algorithm>
#include <limits>

namespace pinhole::signaling {

namespace {

namespace pb = peer::v1;

// A path has at most 64 components (files/limits.hpp refuses more by name); the bound here only keeps nonsense short.
constexpr int kMaxComponents = 256;
constexpr std::size_t kMaxDisplayName = 255;
constexpr std::size_t kMaxDetail = 512;

std::string text_of(ByteView bytes) {
    return std::string{as_text(bytes)};
}

// --- to Protobuf ---
void put(const ChatText& from, pb::PeerMessage& to) {
    auto& body = *to.mutable_chat_text();
    body.set_id(text_of(from.id.bytes));
    body.set_sent_at_ms(from.sent_at.unix_ms);
    body.set_text(from.text);
}

void put(const ChatReceipt& from, pb::PeerMessage& to) {
    to.mutable_chat_receipt()->set_id(text_of(from.id.bytes));
}

void put(const TransferOffer& from, pb::PeerMessage& to) {
    auto& body = *to.mutable_offer();
    body.set_id(text_of(from.id.bytes));
    body.set_name(from.name.substr(0, kMaxDisplayName));
    body.set_files(from.files);
    body.set_directories(from.directories);
    body.set_bytes(from.bytes);
    body.set_disk_bytes(from.disk_bytes);
    body.set_size_unknown(!from.size_known);
}

void put(const EntryHeader& from, pb::PeerMessage& to) {
    auto& body = *to.mutable_header();
    for (const auto& component : from.path) {
        body.add_path(component);
    }
    body.set_kind(static_cast<pb::EntryKind>(from.kind));
    body.set_size(from.size);
    body.set_size_unknown(!from.size_known);
    body.set_mode(from.mode);
    body.set_mtime_ns(from.mtime_ns);
}

void put(const ZeroRun& from, pb::PeerMessage& to) {
    to.mutable_zeros()->set_count(from.count);
}

void put(const EntryTrailer& from, pb::PeerMessage& to) {
    to.mutable_trailer()->set_size(from.size);
    to.mutable_trailer()->set_hash(text_of(from.hash));
}

void put(const EntrySkipped& from, pb::PeerMessage& to) {
    auto& body = *to.mutable_skipped();
    for (const auto& component : from.path) {
        body.add_path(component);
    }
    body.set_reason(static_cast<pb::SkipReason>(from.reason));
}

void put(const TransferEnd&, pb::PeerMessage& to) {
    to.mutable_end();
}

void put(const TransferAccept&, pb::PeerMessage& to) {
    to.mutable_accept();
}

void put(const TransferRefuse& from, pb::PeerMessage& to) {
    to.mutable_refuse()->set_reason(static_cast<pb::RefuseReason>(from.reason));
}

void put(const EntryStored& from, pb::PeerMessage& to) {
    to.mutable_stored()->set_index(from.index);
}

void put(const TransferStored&, pb::PeerMessage& to) {
    to.mutable_all_stored();
}

void put(const TransferAbort& from, pb::PeerMessage& to) {
    to.mutable_abort()->set_reason(static_cast<pb::AbortReason>(from.reason));
    // A file name need not be UTF-8, and the cut may be within a character.
    auto detail = printable(from.detail).substr(0, kMaxDetail);
    while (!is_utf8(detail)) {
        detail.pop_back();
    }
    to.mutable_abort()->set_detail(detail);
}

// --- from Protobuf ---
std::unexpected<Error> malformed(const char* what) {
    return fail(Errc::malformed, what);
}

/// proto3 enums are open: a value that this build does not know arrives as its number.
template <class To, class From>
std::optional<To> known(From value, To last) {
    const auto number = static_cast<int>(value);
    return number >= 1 && number <= static_cast<int>(last) ? std::optional{static_cast<To>(number)} : std::nullopt;
}

template <class Id>
std::optional<Id> id_of(const std::string& bytes) {
    return Id::from_bytes(as_bytes(bytes));
}

template <class Repeated>
std::optional<std::vector<std::string>> path_of(const Repeated& components) {
    if (components.empty() || components.size() > kMaxComponents) {
        return std::nullopt;
    }
    return std::vector<std::string>(components.begin(), components.end());
}

Result<PeerMessage> get(const pb::ChatText& from) {
    const auto id = id_of<MessageId>(from.id());
    if (!id || from.text().empty() || from.text().size() > limits::kMaxChatText || !is_utf8(from.text())) {
        return malformed("a chat message");
    }
    return ChatText{.id = *id, .sent_at = {from.sent_at_ms()}, .text = from.text()};
}

Result<PeerMessage> get(const pb::ChatReceipt& from) {
    const auto id = id_of<MessageId>(from.id());
    if (!id) {
        return malformed("a receipt");
    }
    return ChatReceipt{*id};
}

Result<PeerMessage> get(const pb::TransferOffer& from) {
    const auto id = id_of<TransferId>(from.id());
    if (!id || from.name().empty() || from.name().size() > kMaxDisplayName) {
        return malformed("an offer");
    }
    return TransferOffer{.id = *id,
                         .name = from.name(),
                         .files = from.files(),
                         .directories = from.directories(),
                         .bytes = from.bytes(),
                         .disk_bytes = from.disk_bytes(),
                         .size_known = !from.size_unknown()};
}

Result<PeerMessage> get(const pb::EntryHeader& from) {
    auto path = path_of(from.path());
    const auto kind = known(from.kind(), EntryKind::directory);
    // Sizes stay within off_t, so that no sum of two overflows.
    constexpr std::uint64_t kMaxSize = std::numeric_limits<std::int64_t>::max();
    if (!path || !kind || from.mode() > 0777 || from.size() > kMaxSize) {
        return malformed("a file header");
    }
    return EntryHeader{.path = std::move(*path),
                       .kind = *kind,
                       .size = from.size(),
                       .size_known = !from.size_unknown(),
                       .mode = from.mode(),
                       .mtime_ns = from.mtime_ns()};
}

Result<PeerMessage> get(const pb::ZeroRun& from) {
    if (from.count() == 0) {
        return malformed("an empty run of zeros");
    }
    return ZeroRun{from.count()};
}

Result<PeerMessage> get(const pb::EntryTrailer& from) {
    EntryTrailer trailer{.size = from.size(), .hash = {}};
    if (from.hash().size() != trailer.hash.size()) {
        return malformed("a file trailer");
    }
    std::ranges::copy(as_bytes(from.hash()), trailer.hash.begin());
    return trailer;
}

Result<PeerMessage> get(const pb::EntrySkipped& from) {
    auto path = path_of(from.path());
    const auto reason = known(from.reason(), SkipReason::vanished);
    if (!path || !reason) {
        return malformed("a skipped entry");
    }
    return EntrySkipped{.path = std::move(*path), .reason = *reason};
}

Result<PeerMessage> get(const pb::TransferRefuse& from) {
    return TransferRefuse{known(from.reason(), RefuseReason::not_possible).value_or(RefuseReason::declined)};
}

Result<PeerMessage> get(const pb::TransferAbort& from) {
    if (from.detail().size() > kMaxDetail) {
        return malformed("an abort");
    }
    return TransferAbort{.reason = known(from.reason(), AbortReason::failed).value_or(AbortReason::failed),
                         .detail = printable(from.detail())};
}

Result<PeerMessage> get(const pb::PeerMessage& from) {
    switch (from.body_case()) {
        case pb::PeerMessage::kChatText:
            return get(from.chat_text());
        case pb::PeerMessage::kChatReceipt:
            return get(from.chat_receipt());
        case pb::PeerMessage::kOffer:
            return get(from.offer());
        case pb::PeerMessage::kHeader:
            return get(from.header());
        case pb::PeerMessage::kZeros:
            return get(from.zeros());
        case pb::PeerMessage::kTrailer:
            return get(from.trailer());
        case pb::PeerMessage::kSkipped:
            return get(from.skipped());
        case pb::PeerMessage::kEnd:
            return TransferEnd{};
        case pb::PeerMessage::kAccept:
            return TransferAccept{};
        case pb::PeerMessage::kRefuse:
            return get(from.refuse());
        case pb::PeerMessage::kStored:
            return EntryStored{from.stored().index()};
        case pb::PeerMessage::kAllStored:
            return TransferStored{};
        case pb::PeerMessage::kAbort:
            return get(from.abort());
        case pb::PeerMessage::BODY_NOT_SET:
            break;
    }
    return fail(Errc::not_supported, "a message of another version");
}

}  // namespace

Bytes serialize(const PeerMessage& message) {
    pb::PeerMessage out;
    std::visit([&](const auto& body) { put(body, out); }, message);
    Bytes bytes(out.ByteSizeLong());
    out.SerializeWithCachedSizesToArray(bytes.data());
    return bytes;
}

Result<PeerMessage> parse_peer_message(ByteView bytes) {
    pb::PeerMessage message;
    if (bytes.size() > limits::kMaxPeerMessage ||
        !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
        return malformed("a peer message");
    }
    return get(message);
}

}  // namespace pinhole::signaling
