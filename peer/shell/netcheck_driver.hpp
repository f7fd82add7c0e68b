// Real sockets for netcheck::Netcheck: opens and closes what it asks for, sends, hands over what arrives, wakes it. All
// decisions are the core's; the owner hears its events. Everything on the executor of one thread.
#pragma once

#include "common/net/net_report.hpp"
#include "peer/netcheck/netcheck.hpp"

#include <functional>
#include <memory>
#include <optional>

#include <boost/asio/any_io_executor.hpp>

namespace pinhole::shell {

class NetcheckDriver {
  public:
    struct Config {
        netcheck::Config check;
        std::optional<net::Address> bind;  ///< use this local address only
    };

    /// May call stop() and may destroy the driver.
    using OnEvent = std::function<void(const netcheck::Event&)>;

    NetcheckDriver(const boost::asio::any_io_executor& executor, Config config, Rng& rng, OnEvent on_event);
    ~NetcheckDriver();
    NetcheckDriver(const NetcheckDriver&) = delete;
    NetcheckDriver& operator=(const NetcheckDriver&) = delete;

    void start();
    /// Closes every socket at once; no event follows.
    void stop();
    /// As of now.
    [[nodiscard]] const net::NetReport& report() const;

  private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace pinhole::shell
