#include "common/base/encoding.hpp"

#include <algorithm>

namespace pinhole {

namespace {

constexpr std::string_view kHex = "0123456789abcdef";
constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kBase32 = "abcdefghijklmnopqrstuvwxyz234567";

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// Length of the well-formed UTF-8 sequence at the start of `text`, or 0. Unicode 15, table 3-7.
std::size_t utf8_sequence(std::string_view text) {
    const auto at = [&](std::size_t i) { return i < text.size() ? static_cast<std::uint8_t>(text[i]) : 0U; };
    const auto tail = [&](std::size_t i) { return (at(i) & 0xc0U) == 0x80; };
    const auto lead = at(0);
    if (lead < 0x80) {
        return text.empty() ? 0 : 1;
    }
    if (lead >= 0xc2 && lead <= 0xdf) {
        return tail(1) ? 2 : 0;
    }
    if (lead >= 0xe0 && lead <= 0xef) {
        const bool second = lead == 0xe0   ? at(1) >= 0xa0 && at(1) <= 0xbf
                            : lead == 0xed ? at(1) >= 0x80 && at(1) <= 0x9f
                                           : tail(1);
        return second && tail(2) ? 3 : 0;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        const bool second = lead == 0xf0   ? at(1) >= 0x90 && at(1) <= 0xbf
                            : lead == 0xf4 ? at(1) >= 0x80 && at(1) <= 0x8f
                                           : tail(1);
        return second && tail(2) && tail(3) ? 4 : 0;
    }
    return 0;
}

}  // namespace

std::string to_hex(ByteView bytes) {
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const auto byte : bytes) {
        text += kHex[byte >> 4];
        text += kHex[byte & 15];
    }
    return text;
}

std::optional<Bytes> from_hex(std::string_view text) {
    if (text.size() % 2 != 0) {
        return std::nullopt;
    }
    Bytes bytes;
    bytes.reserve(text.size() / 2);
    for (std::size_t i = 0; i < text.size(); i += 2) {
        const auto high = kHex.find(lower(text[i]));
        const auto low = kHex.find(lower(text[i + 1]));
        if (high == std::string_view::npos || low == std::string_view::npos) {
            return std::nullopt;
        }
        bytes.push_back(static_cast<std::uint8_t>(high << 4 | low));
    }
    return bytes;
}

std::string to_base32(ByteView bytes) {
    std::string text;
    std::uint32_t pending = 0;
    unsigned bits = 0;
    for (const auto byte : bytes) {
        pending = (pending << 8 | byte) & 0xfffU;
        bits += 8;
        while (bits >= 5) {
            bits -= 5;
            text += kBase32[pending >> bits & 31U];
        }
    }
    if (bits > 0) {
        text += kBase32[pending << (5 - bits) & 31U];
    }
    return text;
}

std::optional<Bytes> from_base32(std::string_view text) {
    Bytes bytes;
    std::uint32_t pending = 0;
    unsigned bits = 0;
    for (const char c : text) {
        const auto digit = kBase32.find(lower(c));
        if (digit == std::string_view::npos) {
            return std::nullopt;
        }
        pending = (pending << 5 | static_cast<std::uint32_t>(digit)) & 0xfffU;
        bits += 5;
        if (bits >= 8) {
            bits -= 8;
            bytes.push_back(static_cast<std::uint8_t>(pending >> bits));
        }
    }
    if (bits >= 5 || (pending & ((1U << bits) - 1)) != 0) {
        return std::nullopt;
    }
    return bytes;
}

std::string to_base64(ByteView bytes) {
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (; !bytes.empty(); bytes = bytes.subspan(std::min<std::size_t>(3, bytes.size()))) {
        const auto at = [&](std::size_t i) { return i < bytes.size() ? static_cast<std::uint32_t>(bytes[i]) : 0U; };
        const auto bits = at(0) << 16 | at(1) << 8 | at(2);
        for (std::size_t i = 0; i < 4; ++i) {
            text += i <= bytes.size() ? kBase64[bits >> (18 - 6 * i) & 63U] : '=';
        }
    }
    return text;
}

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const auto size = utf8_sequence(text);
        if (size == 0) {
            return false;
        }
        text.remove_prefix(size);
    }
    return true;
}

std::string printable(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const auto size = utf8_sequence(text);
        const auto lead = static_cast<std::uint8_t>(text[0]);
        const bool c1_control = size == 2 && lead == 0xc2 && static_cast<std::uint8_t>(text[1]) < 0xa0;
        if (size == 0) {
            out += "\xef\xbf\xbd";
        } else if ((size == 1 && (lead < 0x20 || lead == 0x7f)) || c1_control) {
            out += '?';
        } else {
            out += text.substr(0, size);
        }
        text.remove_prefix(size == 0 ? 1 : size);
    }
    return out;
}

}  // namespace pinhole
