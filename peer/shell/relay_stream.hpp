// RelayCarriers over TCP and TLS: a connection, and the messages cut out of its bytes.
#pragma once

#include "peer/shell/relay_carrier.hpp"

#include <memory>
#include <optional>

namespace pinhole::shell {

[[nodiscard]] std::shared_ptr<RelayCarrier> make_tcp_relay_carrier(const boost::asio::any_io_executor& executor,
                                                                   const RelayTarget& target,
                                                                   const std::optional<net::Address>& bind);
[[nodiscard]] std::shared_ptr<RelayCarrier> make_tls_relay_carrier(const boost::asio::any_io_executor& executor,
                                                                   const RelayTarget& target,
                                                                   const std::optional<net::Address>& bind);

}  // namespace pinhole::shell
