// The node's cache of reports in the peer's database. What goes wrong with it is logged: then reports are measured
// anew.
#pragma once

#include "peer/cli/environment.hpp"
#include "peer/shell/report_cache.hpp"

namespace pinhole::cli {

class DatabaseReportCache final : public shell::ReportCache {
  public:
    explicit DatabaseReportCache(Environment& environment) : environment_(environment) {}

    [[nodiscard]] std::optional<net::NetReport> find(const shell::ReportKey& key) override;
    void store(const shell::ReportKey& key, const net::NetReport& report) override;

  private:
    Environment& environment_;
};

}  // namespace pinhole::cli
