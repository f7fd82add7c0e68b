// Builders for the tests of this folder.
#pragma once

#include "common/base/encoding.hpp"
#include "common/crypto/keys.hpp"

#include <algorithm>
#include <string_view>

#include <gtest/gtest.h>

namespace pinhole::crypto {

inline Bytes unhex(std::string_view text) {
    const auto bytes = from_hex(text);
    EXPECT_TRUE(bytes) << text;
    return bytes.value_or(Bytes{});
}

inline Key32 key32(std::string_view text) {
    const auto bytes = unhex(text);
    Key32 key{};
    EXPECT_EQ(bytes.size(), key.size());
    std::copy_n(bytes.begin(), std::min(bytes.size(), key.size()), key.begin());
    return key;
}

inline SecretKey secret(std::string_view text) {
    return SecretKey{key32(text)};
}

}  // namespace pinhole::crypto
