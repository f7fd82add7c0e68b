// The server's long-lived identity on disk: DIR/server.key, one line with the seed in base32, for its owner only.
#pragma once

#include "common/base/error.hpp"
#include "common/crypto/keys.hpp"

#include <filesystem>

namespace pinhole::rendezvous {

/// Creates the folder (0700) and the key (0600) on first use. A key that others may read is refused: it may be known
/// to somebody else by now. Errors are whole sentences in `detail`.
[[nodiscard]] Result<crypto::Identity> load_or_create_key(const std::filesystem::path& folder, Rng& rng);

}  // namespace pinhole::rendezvous
