#include "common/io/connect.hpp"

#include "common/io/clock.hpp"
#include "common/io/convert.hpp"

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
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

/// A local address, and a port by chance.
boost::system::error_code bind_to(tcp::socket& socket, const net::Address& from) {
    const auto local = to_tcp({.address = from, .port = 0});
    boost::system::error_code error;
    socket.open(local.protocol(), error);
    if (!error) {
        socket.bind(local, error);
    }
    return error;
}

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

/// A question to the system's resolver, which cannot be interrupted: whoever asked may be gone when the answer comes.
struct Lookup {
    struct Answer {
        boost::system::error_code error;
        tcp::resolver::results_type entries;
    };

    std::mutex mutex;
    asio::steady_timer* wake = nullptr;  ///< of the one who asked; null when nobody waits any more
    std::optional<Answer> answer;
};

/// Lets a timer wait for a lookup, and takes it away however the waiting coroutine is left.
class LookupWait {
  public:
    LookupWait(std::shared_ptr<Lookup> lookup, asio::steady_timer& timer) : lookup_(std::move(lookup)) {
        lookup_->wake = &timer;
    }

    LookupWait(const LookupWait&) = delete;
    LookupWait& operator=(const LookupWait&) = delete;

    ~LookupWait() {
        const std::lock_guard lock{lookup_->mutex};
        lookup_->wake = nullptr;
    }

    [[nodiscard]] std::optional<Lookup::Answer> take() {
        const std::lock_guard lock{lookup_->mutex};
        return std::exchange(lookup_->answer, std::nullopt);
    }

  private:
    std::shared_ptr<Lookup> lookup_;
};

void wake_up(const std::shared_ptr<Lookup>& lookup) {
    const std::lock_guard lock{lookup->mutex};
    if (lookup->wake != nullptr) {
        lookup->wake->cancel();
    }
}

void look_up(const std::shared_ptr<Lookup>& lookup, const std::string& host, std::uint16_t port) {
    Lookup::Answer answer;
    {
        asio::io_context context;
        tcp::resolver resolver{context};
        answer.entries = resolver.resolve(host, std::to_string(port), tcp::resolver::numeric_service, answer.error);
    }
    const std::lock_guard lock{lookup->mutex};
    if (lookup->wake != nullptr) {
        lookup->answer = std::move(answer);
        // A timer may be touched on its own executor only.
        asio::post(lookup->wake->get_executor(), [lookup] { wake_up(lookup); });
    }
}

/// A thread of its own rather than Asio's: that one is waited for when the program ends.
bool start_thread(const std::shared_ptr<Lookup>& lookup, const std::string& host, std::uint16_t port) {
    try {
        std::thread([lookup, host, port] { look_up(lookup, host, port); }).detach();
        return true;
    } catch (const std::system_error&) {
        return false;
    }
}

}  // namespace

asio::awaitable<Result<tcp::socket>> tcp_connect(asio::any_io_executor executor, std::vector<net::Endpoint> endpoints,
                                                 Duration timeout, std::optional<net::Address> from) {
    if (from) {
        std::erase_if(endpoints, [&](const auto& endpoint) { return endpoint.address.family() != from->family(); });
    }
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
            if (const auto error = from ? bind_to(*socket, *from) : boost::system::error_code{}) {
                co_return fail(error, from->text());
            }
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
                                                            std::uint16_t port, Duration timeout) {
    if (const auto literal = net::Address::parse(host)) {
        co_return std::vector<net::Endpoint>{{.address = *literal, .port = port}};
    }
    const auto lookup = std::make_shared<Lookup>();
    asio::steady_timer timer{executor, timeout};
    LookupWait wait{lookup, timer};
    if (!start_thread(lookup, host, port)) {
        co_return fail(make_error_code(std::errc::resource_unavailable_try_again), host);
    }
    co_await timer.async_wait(use_tuple);
    const auto answer = wait.take();
    if (!answer) {
        co_return fail(make_error_code(std::errc::timed_out), "the name " + host);
    }
    if (answer->error) {
        co_return fail(answer->error, host);
    }
    std::vector<net::Endpoint> endpoints;
    for (const auto& entry : answer->entries) {
        endpoints.push_back(from_asio(entry.endpoint()));
    }
    if (endpoints.empty()) {
        co_return fail(asio::error::make_error_code(asio::error::host_not_found), host);
    }
    co_return endpoints;
}

}  // namespace pinhole::io
