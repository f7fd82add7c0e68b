#include "common/io/network_watch.hpp"

#include "common/io/clock.hpp"
#include "common/io/interfaces.hpp"

#include <cstdlib>
#include <string>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <gtest/gtest.h>
#include <sched.h>

namespace pinhole::io {
namespace {

net::Address address(const char* text) {
    return *net::Address::parse(text);
}

/// Runs `body` on a thread with a network namespace of its own, which has nothing but a loopback interface.
template <class Body>
void in_a_namespace(Body body) {
    bool possible = true;
    std::thread{[&] {
        possible = ::unshare(CLONE_NEWNET) == 0;
        if (possible) {
            body();
        }
    }}.join();
    if (!possible) {
        GTEST_SKIP() << "network namespaces cannot be made here";
    }
}

void ip(const std::string& command) {
    ASSERT_EQ(std::system(("ip " + command).c_str()), 0) << command;  // NOLINT(concurrency-mt-unsafe)
}

/// A watch and the time to let it work.
struct Watched {
    Watched() { EXPECT_TRUE(watch.start()); }

    /// True as soon as the watch calls back; false if it does not within the time that it may take.
    bool changes() {
        const auto before = calls;
        const auto deadline = now() + NetworkWatch::kPatience + 1s;
        while (calls == before && now() < deadline) {
            context.run_for(10ms);
        }
        return calls > before;
    }

    /// False if the watch calls back before everything has settled.
    bool stays_quiet() {
        const auto before = calls;
        context.run_for(NetworkWatch::kSettle + 100ms);
        return calls == before;
    }

    asio::io_context context{1};
    int calls = 0;
    NetworkWatch watch{context.get_executor(), [this] { ++calls; }};
};

TEST(NetworkWatch, TellsOfAnAddressThatCameAndWent) {
    in_a_namespace([] {
        ip("link set lo up");
        Watched watched;
        ip("address add 10.9.9.9/32 dev lo");
        EXPECT_TRUE(watched.changes());
        EXPECT_EQ(local_addresses(), std::vector{address("10.9.9.9")});
        ip("address del 10.9.9.9/32 dev lo");
        EXPECT_TRUE(watched.changes());
    });
}

TEST(NetworkWatch, TellsOfALinkAndOfARoute) {
    in_a_namespace([] {
        ip("address add 10.9.9.9/24 dev lo");
        Watched watched;
        ip("link set lo up");
        EXPECT_TRUE(watched.changes());
        ip("route add 192.0.2.0/24 via 10.9.9.1");
        EXPECT_TRUE(watched.changes());
        ip("link set lo down");
        EXPECT_TRUE(watched.changes());
    });
}

TEST(NetworkWatch, TellsOncePerBurst) {
    in_a_namespace([] {
        ip("link set lo up");
        Watched watched;
        for (int i = 1; i < 6; ++i) {
            ip("address add 10.9.9." + std::to_string(i) + "/32 dev lo");
        }
        EXPECT_TRUE(watched.changes());
        EXPECT_TRUE(watched.stays_quiet());
        EXPECT_EQ(watched.calls, 1);
    });
}

TEST(NetworkWatch, IgnoresWhatChangesNothing) {
    in_a_namespace([] {
        ip("link set lo up");
        Watched watched;
        ip("link set lo alias something");
        ip("address add 10.9.9.9/32 dev lo");
        ip("address del 10.9.9.9/32 dev lo");
        ip("route add 198.51.100.0/24 dev lo");
        EXPECT_TRUE(watched.stays_quiet());
    });
}

TEST(NetworkWatch, CountsTheRoutesThatItWasAskedFor) {
    in_a_namespace([] {
        ip("link set lo up");
        Watched watched;
        watched.watch.set_destinations({address("198.51.100.1")});
        EXPECT_TRUE(watched.stays_quiet());
        ip("route add 198.51.100.0/24 dev lo");
        EXPECT_TRUE(watched.changes());
    });
}

TEST(NetworkWatch, SurvivesMoreThanItsSocketHolds) {
    in_a_namespace([] {
        ip("link set lo up");
        Watched watched;
        // Nobody reads meanwhile: thousands of messages overrun the socket's buffer.
        ASSERT_EQ(std::system("for i in $(seq 0 9); do for j in $(seq 1 250); do"  // NOLINT(concurrency-mt-unsafe)
                              " echo address add 10.8.$i.$j/32 dev lo; done; done | ip -batch -"),
                  0);
        EXPECT_TRUE(watched.changes());
        ip("address add 10.9.9.9/32 dev lo");
        EXPECT_TRUE(watched.changes());
    });
}

TEST(NetworkWatch, StaysSilentAfterStop) {
    in_a_namespace([] {
        ip("link set lo up");
        Watched watched;
        ip("address add 10.9.9.9/32 dev lo");
        watched.context.run_for(50ms);
        watched.watch.stop();
        EXPECT_TRUE(watched.stays_quiet());
    });
}

TEST(Routes, SayGatewayInterfaceAndSource) {
    in_a_namespace([] {
        ip("link add wan0 type veth peer name wan1");
        ip("address add 10.9.9.9/24 dev wan0");
        ip("link set wan0 up");
        ip("route add 203.0.113.0/24 via 10.9.9.1");
        const auto route = route_to(address("203.0.113.7"));
        ASSERT_TRUE(route);
        EXPECT_EQ(route->gateway, address("10.9.9.1"));
        EXPECT_EQ(route->interface, "wan0");
        EXPECT_EQ(route->source, address("10.9.9.9"));
        EXPECT_FALSE(route_to(address("198.51.100.1")));
        EXPECT_FALSE(route_to(address("2001:db8::1")));
    });
}

}  // namespace
}  // namespace pinhole::io
