#include "common/base/encoding.hpp"
#include "peer/store/peer_database.hpp"
#include "peer/store/rows.hpp"

#include <algorithm>

namespace pinhole::peer_store {

namespace {

std::string pin_key(std::string_view host_port) {
    return "server_pin/" + std::string{host_port};
}

}  // namespace

Result<std::optional<std::string>> Settings::find(std::string_view key) {
    return row(
        database_, "SELECT value FROM settings WHERE key = ?", [&](auto& statement) { statement.bind(key); },
        [](const store::Statement& row) { return row.text(0); });
}

Status Settings::set(std::string_view key, std::string_view value) {
    return run(database_,
               "INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
               [&](auto& statement) { statement.bind(key).bind(value); });
}

Result<std::optional<crypto::Key32>> Settings::server_pin(std::string_view host_port) {
    const auto value = find(pin_key(host_port));
    if (!value) {
        return std::unexpected(value.error());
    }
    if (!*value) {
        return std::nullopt;
    }
    crypto::Key32 key{};
    const auto bytes = from_base32(**value);
    // Not "no pin": that would accept whatever key comes next.
    if (!bytes || bytes->size() != key.size()) {
        return fail(store::Errc::damaged, "the pinned key of " + std::string{host_port});
    }
    std::ranges::copy(*bytes, key.begin());
    return key;
}

Status Settings::set_server_pin(std::string_view host_port, const crypto::Key32& key) {
    return set(pin_key(host_port), to_base32(key));
}

}  // namespace pinhole::peer_store
