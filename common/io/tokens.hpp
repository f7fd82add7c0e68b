// How coroutines of the shells wait and how they are started. Errors of operations are values (use_tuple); an exception
// that leaves a spawned coroutine is a bug: it is logged, and aborts where assertions are on.
#pragma once

#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace pinhole::io {

namespace asio = boost::asio;

/// `auto r = co_await op(…, use_tuple); auto& [ec, n] = r;`
inline constexpr auto use_tuple = asio::as_tuple(asio::use_awaitable);

/// Runs `task` to its end on `executor`; `name` is for the log. A task begins later than it is spawned: what it uses of
/// its `owner` lives until it has ended.
void spawn(const asio::any_io_executor& executor, std::string name, asio::awaitable<void> task,
           std::shared_ptr<const void> owner = {});

}  // namespace pinhole::io
