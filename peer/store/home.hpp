// The folder where a peer keeps its identity and database. Private to its user (0700).
#pragma once

#include "common/base/error.hpp"
#include "common/base/rng.hpp"
#include "common/crypto/keys.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace pinhole::peer_store {

class Home {
  public:
    /// `directory` as given with --home, else $XDG_DATA_HOME/pinhole, else $HOME/.local/share/pinhole. Created with its
    /// parents if absent.
    [[nodiscard]] static Result<Home> open(const std::optional<std::string>& directory);

    [[nodiscard]] const std::string& path() const { return path_; }

    [[nodiscard]] std::string file(std::string_view name) const;

  private:
    explicit Home(std::string path) : path_(std::move(path)) {}

    std::string path_;
};

/// The identity in the file `identity`: the base32 seed and a newline, 0600. Made on first use; when several processes
/// start at once, all end up with the same one. Refuses a file that others can read or that is damaged, and says what
/// to do.
[[nodiscard]] Result<crypto::Identity> load_or_create_identity(const Home& home, Rng& rng);

}  // namespace pinhole::peer_store
