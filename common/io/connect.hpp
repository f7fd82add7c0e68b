// Names to addresses and addresses to a TCP connection. What is said on the connection is the caller's business.
#pragma once

#include "common/base/error.hpp"
#include "common/base/time.hpp"
#include "common/io/tokens.hpp"
#include "common/net/endpoint.hpp"

#include <optional>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

namespace pinhole::io {

/// How long a name may take: two tries of the system's resolver at its 5 s each (resolv.conf(5)).
inline constexpr Duration kResolveTimeout = 10s;

/// The addresses of `host` in the system's order of preference (RFC 6724); a literal address asks nobody. Never empty.
/// The executor must be single-threaded or a strand.
[[nodiscard]] asio::awaitable<Result<std::vector<net::Endpoint>>> resolve(asio::any_io_executor executor,
                                                                          std::string host, std::uint16_t port,
                                                                          Duration timeout = kResolveTimeout);

/// The first connection that comes up; the next address is tried when one fails or after kConnectStagger. `from`: of
/// this local address only. The executor must be single-threaded or a strand.
[[nodiscard]] asio::awaitable<Result<asio::ip::tcp::socket>> tcp_connect(asio::any_io_executor executor,
                                                                         std::vector<net::Endpoint> endpoints,
                                                                         Duration timeout,
                                                                         std::optional<net::Address> from = {});

/// RFC 8305 §8: Connection Attempt Delay, 250 ms recommended.
inline constexpr Duration kConnectStagger = 250ms;

}  // namespace pinhole::io
