#include "common/signaling/codec.hpp"
#include "peer/store/peer_database.hpp"
#include "peer/store/rows.hpp"

namespace pinhole::peer_store {

namespace {

constexpr std::int64_t kValidMs = std::chrono::milliseconds{NetReports::kValid}.count();

}  // namespace

Result<std::optional<net::NetReport>> NetReports::find(const Place& place, WallTime now) {
    // Of the future: the clock was set back, and nobody knows how old it is.
    const auto bytes = row(
        database_,
        "SELECT report FROM net_reports WHERE server = ? AND network = ? AND public_address = ?"
        " AND measured_at > ? AND measured_at <= ?",
        [&](auto& statement) {
            statement.bind(place.server)
                .bind(place.network)
                .bind(place.public_address)
                .bind(now.unix_ms - kValidMs)
                .bind(now.unix_ms);
        },
        [](const store::Statement& row) { return row.blob(0); });
    if (!bytes) {
        return std::unexpected(bytes.error());
    }
    if (!*bytes) {
        return std::nullopt;
    }
    // Written as it goes over the wire; what another version wrote and this one cannot read is measured anew.
    auto message = signaling::parse_to_server(**bytes);
    auto* report = message ? std::get_if<signaling::Report>(&*message) : nullptr;
    return report == nullptr ? std::nullopt : std::optional{std::move(report->report)};
}

Status NetReports::set(const Place& place, const net::NetReport& report, WallTime now) {
    auto removed = run(database_, "DELETE FROM net_reports WHERE measured_at <= ? OR measured_at > ?",
                       [&](auto& statement) { statement.bind(now.unix_ms - kValidMs).bind(now.unix_ms); });
    if (!removed) {
        return removed;
    }
    const auto bytes = signaling::serialize(signaling::Report{report});
    return run(database_,
               "INSERT INTO net_reports (server, network, public_address, measured_at, report) VALUES (?, ?, ?, ?, ?)"
               " ON CONFLICT DO UPDATE SET measured_at = excluded.measured_at, report = excluded.report",
               [&](auto& statement) {
                   statement.bind(place.server)
                       .bind(place.network)
                       .bind(place.public_address)
                       .bind(now.unix_ms)
                       .bind(ByteView{bytes});
               });
}

}  // namespace pinhole::peer_store
