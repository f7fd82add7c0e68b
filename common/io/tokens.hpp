// How coroutines of the shells wait and how they are started. Errors of operations are values (use_tuple); an exception
// that leaves a spawned coroutine is a bug: it is logged, and aborts where assertions are on.
#pragma once

#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace pinhole::io {

namespace asio = boost::asio;

/// `auto r = co_await op(…, use_tuple); auto& [ec, n] = r;`
inline constexpr auto use_tuple = asio::as_tuple(asio::use_awaitable);

/// Runs `task` to its end on `executor`; `name` is for the log.
void spawn(const asio::any_io_executor& executor, std::string name, asio::awaitable<void> task);

}  // namespace pinhole::io
