// natbox-load: traffic for measuring natbox, faster than a script can make it. Two of them, one on each side, each
// behind its NAT; both send first, so that the NATs let the other in, over TCP by simultaneous open.
//
//     natbox-load udp|tcp send|receive LOCAL_PORT REMOTE_ADDRESS REMOTE_PORT SECONDS [PACKETS_PER_SECOND [BYTES]]
//
// Prints one line of JSON: packets or bytes, and the seconds between the first and the last of them.
#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr std::size_t kBatch = 32;
constexpr std::size_t kBuffer = 65536;

struct Options {
    bool udp = false;
    bool send = false;
    sockaddr_in local{};
    sockaddr_in remote{};
    Seconds duration{1};
    double packets_per_second = 100'000;
    std::size_t bytes = 1400;
};

struct Result {
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
    Clock::time_point first;
    Clock::time_point last;

    void count(std::uint64_t new_packets, std::uint64_t new_bytes) {
        last = Clock::now();
        if (packets == 0) {
            first = last;
        }
        packets += new_packets;
        bytes += new_bytes;
    }
};

int check(long result, const char* what) {
    if (result < 0) {
        throw std::system_error(errno, std::generic_category(), what);
    }
    return static_cast<int>(result);
}

int bound_socket(const Options& options, int type) {
    const int fd = check(::socket(AF_INET, type | SOCK_CLOEXEC, 0), "socket");
    const int on = 1;
    const int room = 8 << 20;
    check(::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
    if (options.udp) {
        // The receiver must not be what loses packets. More than the limit takes privileges, and less is no error.
        (void)::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    }
    check(::bind(fd, reinterpret_cast<const sockaddr*>(&options.local), sizeof options.local), "bind");
    return fd;
}

/// A batch of equal datagrams for sendmmsg, or of empty buffers for recvmmsg.
class Batch {
  public:
    explicit Batch(std::size_t size) : bytes_(size * kBatch) {
        for (std::size_t i = 0; i < kBatch; ++i) {
            parts_[i] = {.iov_base = bytes_.data() + i * size, .iov_len = size};
            messages_[i].msg_hdr.msg_iov = &parts_[i];
            messages_[i].msg_hdr.msg_iovlen = 1;
        }
    }

    mmsghdr* data() { return messages_.data(); }

  private:
    std::vector<char> bytes_;
    std::array<iovec, kBatch> parts_{};
    std::array<mmsghdr, kBatch> messages_{};
};

Result send_udp(int fd, const Options& options) {
    Batch batch{options.bytes};
    Result result;
    const auto begin = Clock::now();
    while (Clock::now() - begin < options.duration) {
        const auto due = Seconds{Clock::now() - begin}.count() * options.packets_per_second;
        if (static_cast<double>(result.packets) > due) {
            std::this_thread::sleep_for(std::chrono::microseconds{50});
            continue;
        }
        const auto sent = ::sendmmsg(fd, batch.data(), kBatch, 0);
        // A full queue or an error of the remote side's NAT: what is lost is not counted.
        if (sent > 0) {
            result.count(static_cast<std::uint64_t>(sent), static_cast<std::uint64_t>(sent) * options.bytes);
        }
    }
    return result;
}

/// Until nothing has come for half a second, once anything has.
Result receive_udp(int fd, const Options& options) {
    Batch batch{2048};
    Result result;
    const auto begin = Clock::now();
    while (Clock::now() - begin < options.duration + Seconds{5}) {
        if (result.packets == 0) {
            (void)::send(fd, "", 1, 0);  // opens our NAT
        }
        pollfd readable{fd, POLLIN, 0};
        if (::poll(&readable, 1, result.packets == 0 ? 50 : 500) == 0 && result.packets != 0) {
            break;
        }
        const auto received = ::recvmmsg(fd, batch.data(), kBatch, MSG_DONTWAIT, nullptr);
        for (int i = 0; i < received; ++i) {
            if (batch.data()[i].msg_len > 1) {
                result.count(1, batch.data()[i].msg_len);
            }
        }
    }
    return result;
}

/// Until both connect at once: whoever is alone is refused where no NAT drops its SYN.
void open_simultaneously(int fd, const Options& options) {
    const auto begin = Clock::now();
    while (::connect(fd, reinterpret_cast<const sockaddr*>(&options.remote), sizeof options.remote) != 0) {
        if (errno != ECONNREFUSED || Clock::now() - begin > Seconds{10}) {
            check(-1, "connect");
        }
    }
}

Result run_tcp(int fd, const Options& options) {
    open_simultaneously(fd, options);
    std::vector<char> buffer(kBuffer);
    Result result;
    const auto begin = Clock::now();
    for (;;) {
        if (options.send && Clock::now() - begin >= options.duration) {
            ::shutdown(fd, SHUT_WR);
            (void)::recv(fd, buffer.data(), 1, 0);  // the other side has read it all and closes
            return result;
        }
        const auto moved = options.send ? ::send(fd, buffer.data(), buffer.size(), MSG_NOSIGNAL)
                                        : ::recv(fd, buffer.data(), buffer.size(), 0);
        if (check(moved, "transfer") == 0) {
            return result;
        }
        result.count(1, static_cast<std::uint64_t>(moved));
    }
}

Result run(const Options& options) {
    const int fd = bound_socket(options, options.udp ? SOCK_DGRAM : SOCK_STREAM);
    if (!options.udp) {
        return run_tcp(fd, options);
    }
    check(::connect(fd, reinterpret_cast<const sockaddr*>(&options.remote), sizeof options.remote), "connect");
    return options.send ? send_udp(fd, options) : receive_udp(fd, options);
}

double number(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 0) {
        throw std::invalid_argument("not a number: " + std::string(text));
    }
    return value;
}

Options parse(const std::vector<std::string>& words) {
    if (words.size() < 6 || words.size() > 8) {
        throw std::invalid_argument(
            "usage: natbox-load udp|tcp send|receive LOCAL_PORT REMOTE_ADDRESS REMOTE_PORT SECONDS "
            "[PACKETS_PER_SECOND [BYTES]]");
    }
    Options options;
    options.udp = words[0] == "udp";
    options.send = words[1] == "send";
    options.local.sin_family = options.remote.sin_family = AF_INET;
    options.local.sin_port = htons(static_cast<std::uint16_t>(number(words[2])));
    options.remote.sin_port = htons(static_cast<std::uint16_t>(number(words[4])));
    if (::inet_pton(AF_INET, words[3].c_str(), &options.remote.sin_addr) != 1) {
        throw std::invalid_argument("not an IPv4 address: " + words[3]);
    }
    options.duration = Seconds{number(words[5])};
    if (words.size() > 6) {
        options.packets_per_second = number(words[6]);
    }
    if (words.size() > 7) {
        options.bytes = std::clamp<std::size_t>(static_cast<std::size_t>(number(words[7])), 2, 2048);
    }
    return options;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const auto result = run(parse({argv + 1, argv + argc}));
        (void)std::printf("{\"packets\": %llu, \"bytes\": %llu, \"seconds\": %.6f}\n",
                          static_cast<unsigned long long>(result.packets),
                          static_cast<unsigned long long>(result.bytes), Seconds{result.last - result.first}.count());
    } catch (const std::exception& error) {
        (void)std::fprintf(stderr, "natbox-load: %s\n", error.what());
        return 1;
    }
    return 0;
}
