#include "tests/lab/natbox/server.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <utility>

#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

namespace pinhole::natbox {

namespace {

/// Packets read from one device before others have their turn and what is due is delivered.
constexpr int kBatch = 64;
/// A TUN device hands over at most its MTU, and that is below 64 KiB.
constexpr std::size_t kBuffer = 65536;
constexpr std::size_t kMaxLine = 16 * 1024;
constexpr std::uint64_t kCommands = ~std::uint64_t{0};
constexpr std::uint64_t kSignals = kCommands - 1;
/// So that whoever kills natbox still finds nearly all of a capture.
constexpr Duration kFlushInterval = 1s;

TimePoint now() {
    return TimePoint{std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch())};
}

std::optional<timespec> until(std::optional<TimePoint> due) {
    if (!due) {
        return std::nullopt;
    }
    const auto left = std::max(Duration{0}, *due - now()).count();
    return timespec{.tv_sec = left / 1'000'000'000, .tv_nsec = left % 1'000'000'000};
}

}  // namespace

Status Server::prepare() {
    buffer_.resize(kBuffer);
    // The default slack of 50 µs would show in a delay of milliseconds; a late link would be measured as a slow peer.
    ::prctl(PR_SET_TIMERSLACK, 1000UL);
    ::setpriority(PRIO_PROCESS, 0, -20);
    (void)std::signal(SIGPIPE, SIG_IGN);
    sigset_t handled;
    sigemptyset(&handled);
    sigaddset(&handled, SIGINT);
    sigaddset(&handled, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &handled, nullptr);
    signals_ = Fd{::signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK)};
    epoll_ = Fd{::epoll_create1(EPOLL_CLOEXEC)};
    if (!signals_ || !epoll_) {
        return fail_errno("waiting for events");
    }
    auto status = watch(signals_.get(), kSignals);
    for (std::size_t i = 0; status && i < devices_->size(); ++i) {
        status = watch((*devices_)[i].fd(), i);
    }
    return status;
}

Status Server::watch(int fd, std::uint64_t tag) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = tag;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
        return fail_errno("waiting for events");
    }
    return {};
}

Status Server::run() {
    // A file or /dev/null cannot be waited for: it is at its end as soon as what it holds is read.
    if (!watch(STDIN_FILENO, kCommands)) {
        while (!stop_) {
            read_commands();
        }
    }
    while (!stop_) {
        if (auto status = wait(); !status) {
            return status;
        }
        write_packets();
        flush_captures();
    }
    return {};
}

Status Server::wait() {
    std::array<epoll_event, 16> events{};
    const auto timeout = until(engine_->next_timeout());
    const auto ready = ::epoll_pwait2(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                      timeout ? &*timeout : nullptr, nullptr);
    if (ready < 0 && errno != EINTR) {
        return fail_errno("waiting for events");
    }
    for (int i = 0; i < ready; ++i) {
        const auto tag = events[static_cast<std::size_t>(i)].data.u64;
        if (tag == kSignals) {
            stop_ = true;
        } else if (tag == kCommands) {
            read_commands();
        } else {
            read_device(tag);
        }
    }
    return {};
}

void Server::read_device(std::size_t device) {
    const auto time = now();
    for (int i = 0; i < kBatch; ++i) {
        const auto packet = (*devices_)[device].read(buffer_);
        if (packet.empty()) {
            return;
        }
        if (!captures_.empty()) {
            captures_[device].add(packet);
        }
        engine_->handle_packet(device, packet, time);
    }
}

void Server::write_packets() {
    const auto time = now();
    while (const auto out = engine_->poll_packet(time)) {
        if (!captures_.empty()) {
            captures_[out->device].add(out->packet);
        }
        (*devices_)[out->device].write(out->packet);
    }
}

void Server::read_commands() {
    std::array<char, 4096> buffer{};
    const auto size = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (size <= 0) {
        stop_ = size == 0 || (errno != EINTR && errno != EAGAIN);
        return;
    }
    for (const auto byte : std::string_view{buffer.data(), static_cast<std::size_t>(size)}) {
        if (byte == '\n') {
            execute(std::exchange(unfinished_line_, {}));
        } else if (unfinished_line_.size() <= kMaxLine) {
            unfinished_line_ += byte;
        }
    }
}

void Server::execute(std::string_view line) {
    auto answer = line.size() > kMaxLine ? "error: the line is too long" : engine_->handle_command(line, now());
    while (const auto change = engine_->poll_change()) {
        auto& device = (*devices_)[change->device];
        auto status = change->addresses.empty() ? Status{} : device.change_addresses(change->addresses);
        if (status && change->mtu) {
            status = device.set_mtu(*change->mtu);
        }
        if (!status) {
            answer = "error: " + status.error().message();
        }
    }
    (void)std::printf("%s\n", answer.c_str());
    (void)std::fflush(stdout);
}

void Server::flush_captures() {
    if (captures_.empty()) {
        return;
    }
    if (const auto time = now(); time >= flush_at_) {
        flush_at_ = time + kFlushInterval;
        for (auto& capture : captures_) {
            capture.flush();
        }
    }
}

}  // namespace pinhole::natbox
