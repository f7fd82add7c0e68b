#include "common/io/connect.hpp"

#include "common/io/clock.hpp"
#include "common/io/convert.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include <boost/asio/steady_timer.hpp>

namespace pinhole::io {

namespace {

using asio::ip::tcp;

/// Attempts under way; shared with them, so that a late one finds where to report.
struct Race {
    explicit Race(const asio::any_io_executor& executor) : wake(executor) {}

    asio::steady_timer wake;
    std::vector<std::shared_ptr<tcp::socket>> attempts;
    std::optional<tcp::socket> winner;
    boost::system::error_code last_error;
    std::size_t pending = 0;
    bool over = false;
};

/// Ends the losing attempts however the winner's coroutine is left.
class RaceEnd {
  public:
    explicit RaceEnd(std::shared_ptr<Race> race) : race_(std::move(race)) {}

    RaceEnd(const RaceEnd&) = delete;
    RaceEnd& operator=(const RaceEnd&) = delete;

    ~RaceEnd() {
        race_->over = true;
        for (const auto& socket : race_->attempts) {
            boost::system::error_code ignored;
            socket->close(ignored);
        }
    }

  private:
    std::shared_ptr<Race> race_;
};

asio::awaitable<void> attempt(std::shared_ptr<Race> race, std::shared_ptr<tcp::socket> socket, tcp::endpoint remote) {
    auto result = co_await socket->async_connect(remote, use_tuple);
    const auto ec = std::get<0>(result);
    --race->pending;
    if (race->over) {
        co_return;
    }
    if (ec) {
        race->last_error = ec;
    } else if (!race->winner) {
        race->winner.emplace(std::move(*socket));
    }
    race->wake.cancel();
}

}  // namespace

asio::awaitable<Result<tcp::socket>> tcp_connect(asio::any_io_executor executor, std::vector<net::Endpoint> endpoints,
                                                 Duration timeout) {
    const auto race = std::make_shared<Race>(executor);
    const RaceEnd end{race};
    const auto deadline = now() + timeout;
    auto next_start = now();
    std::size_t next = 0;
    while (!race->winner) {
        const auto time = now();
        if (time >= deadline) {
            co_return fail(make_error_code(boost::system::errc::timed_out));
        }
        const bool more = next < endpoints.size();
        if (more && (race->pending == 0 || time >= next_start)) {
            auto socket = std::make_shared<tcp::socket>(executor);
            race->attempts.push_back(socket);
            ++race->pending;
            next_start = time + kConnectStagger;
            spawn(executor, "connect", attempt(race, std::move(socket), to_tcp(endpoints[next++])));
            continue;
        }
        if (!more && race->pending == 0) {
            co_return fail(race->last_error ? std::error_code{race->last_error}
                                            : make_error_code(Errc::invalid_argument));
        }
        race->wake.expires_at(to_steady(more ? std::min(deadline, next_start) : deadline));
        co_await race->wake.async_wait(use_tuple);
    }
    co_return std::move(*race->winner);
}

asio::awaitable<Result<std::vector<net::Endpoint>>> resolve(asio::any_io_executor executor, std::string host,
                                                            std::uint16_t port) {
    if (const auto literal = net::Address::parse(host)) {
        co_return std::vector<net::Endpoint>{{.address = *literal, .port = port}};
    }
    tcp::resolver resolver{executor};
    const auto service = std::to_string(port);
    auto result = co_await resolver.async_resolve(host, service, tcp::resolver::numeric_service, use_tuple);
    const auto& [ec, entries] = result;
    if (ec) {
        co_return fail(ec, host);
    }
    std::vector<net::Endpoint> endpoints;
    for (const auto& entry : entries) {
        endpoints.push_back(from_asio(entry.endpoint()));
    }
    if (endpoints.empty()) {
        co_return fail(asio::error::make_error_code(asio::error::host_not_found), host);
    }
    co_return endpoints;
}

}  // namespace pinhole::io
