#include "peer/cli/database_report_cache.hpp"

#include "common/base/log.hpp"

namespace pinhole::cli {

namespace {

peer_store::Place place_of(const shell::ReportKey& key) {
    return {.server = key.server, .network = key.network, .public_address = key.public_address};
}

}  // namespace

std::optional<net::NetReport> DatabaseReportCache::find(const shell::ReportKey& key) {
    auto report = environment_.database().net_reports().find(place_of(key), wall_now());
    if (!report) {
        log::warn("cannot read the last report of this network: {}", report.error().message());
        return std::nullopt;
    }
    return *std::move(report);
}

void DatabaseReportCache::store(const shell::ReportKey& key, const net::NetReport& report) {
    if (const auto status = environment_.database().net_reports().set(place_of(key), report, wall_now()); !status) {
        log::warn("cannot remember the report of this network: {}", status.error().message());
    }
}

}  // namespace pinhole::cli
