// Where reports outlive the process that measured them, so that commands one after the other do not each open dozens of
// mappings on a NAT. Implemented by whoever has a database; the shell knows only this.
#pragma once

#include "common/net/net_report.hpp"

#include <optional>
#include <string>

namespace pinhole::shell {

/// The place in the network that a report is about.
struct ReportKey {
    std::string server;          ///< as the user names it
    std::string network;         ///< gateway and interface of the way to the server
    std::string public_address;  ///< as the server sees it

    friend bool operator==(const ReportKey&, const ReportKey&) = default;
};

class ReportCache {
  public:
    ReportCache() = default;
    ReportCache(const ReportCache&) = delete;
    ReportCache& operator=(const ReportCache&) = delete;
    virtual ~ReportCache() = default;

    /// A report that is fresh enough to go by. Quick.
    [[nodiscard]] virtual std::optional<net::NetReport> find(const ReportKey& key) = 0;
    virtual void store(const ReportKey& key, const net::NetReport& report) = 0;
};

}  // namespace pinhole::shell
