// pinhole-delay-link: one emulated link between two network namespaces, for kernels without netem. It owns a TUN
// device at each end and passes IP packets between them; each direction has a rate, a one-way delay, a byte-limited
// tail-drop queue and a seeded random loss. It assigns no addresses: the lab does that after the line "ready".
// It ends on SIGINT, SIGTERM or when its parent dies, and the devices go with it.

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;
using Nanoseconds = std::chrono::nanoseconds;
using Packet = std::vector<char>;

/// Packets read from one device before the clock is looked at again.
constexpr int kBatch = 64;
/// A TUN device without offloads hands over at most one MTU; jumbo frames leave room.
constexpr std::size_t kMaxPacket = 10000;

struct LinkConfig {
    std::string namespace_path;
    std::string interface;
};

struct DirectionConfig {
    double rate_bits_per_second = 0;  ///< 0 is unlimited
    Nanoseconds delay{0};             ///< one way, after serialisation
    std::size_t queue_bytes = 0;      ///< waiting for the transmitter; 0 is unlimited
    double loss = 0;                  ///< probability, independent for each packet
};

struct Options {
    LinkConfig a;
    LinkConfig b;
    DirectionConfig direction;
    std::uint64_t seed = 1;
};

/// One direction: serialises at the rate, drops at the end of a full queue, delivers after the delay.
class Direction {
  public:
    Direction(DirectionConfig config, std::uint64_t seed) : config_(config), random_(seed) {}

    void accept(Packet packet, Clock::time_point now) {
        ++seen_;
        if (lost() || (config_.queue_bytes != 0 && backlog(now) + packet.size() > config_.queue_bytes)) {
            ++dropped_;
            return;
        }
        link_free_ = std::max(now, link_free_) + serialisation(packet.size());
        in_flight_.push_back({link_free_ + config_.delay, std::move(packet)});
    }

    /// The next packet whose time has come.
    std::optional<Packet> take(Clock::time_point now) {
        if (in_flight_.empty() || in_flight_.front().due > now) {
            return std::nullopt;
        }
        Packet packet = std::move(in_flight_.front().packet);
        in_flight_.pop_front();
        return packet;
    }

    [[nodiscard]] std::optional<Clock::time_point> next_due() const {
        return in_flight_.empty() ? std::nullopt : std::optional(in_flight_.front().due);
    }

    void report(const char* name) const {
        std::fprintf(stderr, "%s: %llu packets, %llu dropped\n", name, seen_, dropped_);
    }

  private:
    struct InFlight {
        Clock::time_point due;
        Packet packet;
    };

    bool lost() { return config_.loss > 0 && static_cast<double>(random_() >> 11U) * 0x1.0p-53 < config_.loss; }

    [[nodiscard]] Nanoseconds serialisation(std::size_t bytes) const {
        if (config_.rate_bits_per_second <= 0) {
            return Nanoseconds{0};
        }
        return Nanoseconds{static_cast<std::int64_t>(static_cast<double>(bytes) * 8e9 / config_.rate_bits_per_second)};
    }

    /// Bytes that wait for the transmitter: what it still needs time for, at its rate.
    [[nodiscard]] std::size_t backlog(Clock::time_point now) const {
        if (link_free_ <= now) {
            return 0;
        }
        const std::chrono::duration<double> busy = link_free_ - now;
        return static_cast<std::size_t>(busy.count() * config_.rate_bits_per_second / 8);
    }

    DirectionConfig config_;
    std::mt19937_64 random_;
    Clock::time_point link_free_{};
    std::deque<InFlight> in_flight_;
    unsigned long long seen_ = 0;
    unsigned long long dropped_ = 0;
};

/// A TUN device inside a namespace; closing it removes the device.
class Tun {
  public:
    explicit Tun(const LinkConfig& config) {
        const int namespace_fd = ::open(config.namespace_path.c_str(), O_RDONLY | O_CLOEXEC);
        check(namespace_fd, config.namespace_path);
        check(::setns(namespace_fd, CLONE_NEWNET), "setns " + config.namespace_path);
        ::close(namespace_fd);
        fd_ = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
        check(fd_, "/dev/net/tun");
        ifreq request{};
        if (config.interface.empty() || config.interface.size() >= sizeof request.ifr_name) {
            throw std::invalid_argument("interface name '" + config.interface + "' is empty or too long");
        }
        std::memcpy(request.ifr_name, config.interface.data(), config.interface.size());
        request.ifr_flags = IFF_TUN | IFF_NO_PI;
        check(::ioctl(fd_, TUNSETIFF, &request), "TUNSETIFF " + config.interface);
    }

    Tun(const Tun&) = delete;
    Tun& operator=(const Tun&) = delete;

    ~Tun() { ::close(fd_); }

    [[nodiscard]] int fd() const { return fd_; }

    /// Empty when nothing waits, or the device is down.
    [[nodiscard]] Packet read() const {
        std::array<char, kMaxPacket> buffer;  // NOLINT(*-member-init): filled by read
        const ssize_t size = ::read(fd_, buffer.data(), buffer.size());
        return size <= 0 ? Packet{} : Packet(buffer.begin(), buffer.begin() + size);
    }

    /// A packet that the kernel refuses is lost, as on any link.
    void write(const Packet& packet) const {
        [[maybe_unused]] const ssize_t written = ::write(fd_, packet.data(), packet.size());
    }

  private:
    static void check(int result, const std::string& what) {
        if (result < 0) {
            throw std::system_error(errno, std::generic_category(), what);
        }
    }

    int fd_ = -1;
};

volatile std::sig_atomic_t stop_requested = 0;  // NOLINT(*-avoid-non-const-global-variables): a signal handler's flag

void pump_in(const Tun& from, Direction& direction) {
    const auto now = Clock::now();
    for (int i = 0; i < kBatch; ++i) {
        Packet packet = from.read();
        if (packet.empty()) {
            return;
        }
        direction.accept(std::move(packet), now);
    }
}

void pump_out(Direction& direction, const Tun& to, Clock::time_point now) {
    while (auto packet = direction.take(now)) {
        to.write(*packet);
    }
}

/// Waits for a packet on either side, the next delivery, or a signal; signals are let in only here, so none is missed.
void wait(const Tun& a, const Tun& b, std::optional<Clock::time_point> due) {
    std::array<pollfd, 2> fds{{{a.fd(), POLLIN, 0}, {b.fd(), POLLIN, 0}}};
    timespec timeout{};
    if (due) {
        const auto left = std::max(Nanoseconds{0}, std::chrono::duration_cast<Nanoseconds>(*due - Clock::now()));
        timeout.tv_sec = static_cast<time_t>(left.count() / 1'000'000'000);
        timeout.tv_nsec = static_cast<long>(left.count() % 1'000'000'000);
    }
    sigset_t none;
    sigemptyset(&none);
    ::ppoll(fds.data(), fds.size(), due ? &timeout : nullptr, &none);
}

void stop_on_signals() {
    sigset_t handled;
    sigemptyset(&handled);
    for (const int signal : {SIGINT, SIGTERM}) {
        sigaddset(&handled, signal);
        struct sigaction action{};
        action.sa_handler = [](int) { stop_requested = 1; };
        ::sigaction(signal, &action, nullptr);
    }
    ::sigprocmask(SIG_BLOCK, &handled, nullptr);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
}

void run(const Options& options) {
    const Tun a(options.a);
    const Tun b(options.b);
    Direction a_to_b(options.direction, options.seed);
    Direction b_to_a(options.direction, options.seed ^ 0x9e3779b97f4a7c15U);
    std::puts("ready");
    std::fflush(stdout);
    while (stop_requested == 0) {
        auto due = a_to_b.next_due();
        if (const auto other = b_to_a.next_due(); other && (!due || *other < *due)) {
            due = other;
        }
        wait(a, b, due);
        pump_in(a, a_to_b);
        pump_in(b, b_to_a);
        const auto now = Clock::now();
        pump_out(a_to_b, b, now);
        pump_out(b_to_a, a, now);
    }
    a_to_b.report("a to b");
    b_to_a.report("b to a");
}

double number(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 0) {
        throw std::invalid_argument("not a number: " + std::string(text));
    }
    return value;
}

LinkConfig end_of_link(std::string_view text) {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) {
        throw std::invalid_argument("an end is NAMESPACE_PATH:INTERFACE, not " + std::string(text));
    }
    return {std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
}

Options parse(const std::vector<std::string_view>& words) {
    Options options;
    if (words.size() % 2 != 0) {
        throw std::invalid_argument("every option takes a value");
    }
    for (std::size_t i = 0; i < words.size(); i += 2) {
        const auto name = words[i];
        const auto value = words[i + 1];
        if (name == "--a") {
            options.a = end_of_link(value);
        } else if (name == "--b") {
            options.b = end_of_link(value);
        } else if (name == "--delay-ms") {
            options.direction.delay = Nanoseconds{static_cast<std::int64_t>(number(value) * 1e6)};
        } else if (name == "--rate-mbit") {
            options.direction.rate_bits_per_second = number(value) * 1e6;
        } else if (name == "--queue-bytes") {
            options.direction.queue_bytes = static_cast<std::size_t>(number(value));
        } else if (name == "--loss") {
            options.direction.loss = number(value);
        } else if (name == "--seed") {
            options.seed = static_cast<std::uint64_t>(number(value));
        } else {
            throw std::invalid_argument("unknown option " + std::string(name));
        }
    }
    return options;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const Options options = parse({argv + 1, argv + argc});
        stop_on_signals();
        ::prctl(PR_SET_TIMERSLACK, 1000UL);   // 1 µs: the default 50 µs would show in a delay of milliseconds
        ::setpriority(PRIO_PROCESS, 0, -20);  // a late link would be measured as a slow peer
        run(options);
    } catch (const std::exception& error) {
        std::fprintf(stderr,
                     "pinhole-delay-link: %s\n"
                     "usage: pinhole-delay-link --a NETNS_PATH:IF --b NETNS_PATH:IF [--delay-ms ONE_WAY] "
                     "[--rate-mbit R] [--queue-bytes Q] [--loss P] [--seed N]\n",
                     error.what());
        return 1;
    }
    return 0;
}
