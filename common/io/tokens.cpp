#include "common/io/tokens.hpp"

#include "common/base/log.hpp"

#include <cstdlib>
#include <exception>
#include <utility>

#include <boost/asio/co_spawn.hpp>

namespace pinhole::io {

namespace {

std::string describe(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const std::exception& error) {
        return error.what();
    } catch (...) {
        return "unknown exception";
    }
}

}  // namespace

void spawn(const asio::any_io_executor& executor, std::string name, asio::awaitable<void> task,
           std::shared_ptr<const void> owner) {
    asio::co_spawn(executor, std::move(task),
                   [name = std::move(name), owner = std::move(owner)](const std::exception_ptr& failure) {
                       if (!failure) {
                           return;
                       }
                       log::error("{}: {}", name, describe(failure));
#ifndef NDEBUG
                       std::abort();
#endif
                   });
}

}  // namespace pinhole::io
