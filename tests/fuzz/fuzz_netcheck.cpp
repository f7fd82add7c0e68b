// The input is a script for the driver of a netcheck: sockets that open, fail or do neither, answers right, wrong or
// from elsewhere, and time that jumps. What must hold: no crash, few sockets, all over in time, nothing after the end.
#include "common/stun/builder.hpp"
#include "peer/netcheck/netcheck.hpp"
#include "peer/netcheck/summary.hpp"
#include "tests/fuzz/script.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

namespace {

using namespace pinhole;
using fuzz::require;
using namespace pinhole::netcheck;
using stun::AttributeType;

class Script : public fuzz::ScriptReader {
  public:
    using ScriptReader::ScriptReader;

    /// One of few, so that they meet again.
    net::Endpoint endpoint() {
        const auto choice = byte();
        const auto last = static_cast<std::uint8_t>(choice % 3);
        const auto port = static_cast<std::uint16_t>(3478 + choice / 4 % 3);
        return {.address = choice < 224 ? net::Address::v4({192, 0, 2, last})
                                        : net::Address::v6({0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last}),
                .port = port};
    }
};

class Harness {
  public:
    explicit Harness(Script& script) : script_(script), netcheck_(config(script), rng_, now_) {}

    void run() {
        drain();
        while (!script_.done()) {
            step();
            drain();
        }
        // Without any answer from now on it must end by itself.
        for (int wakes = 0; netcheck_.next_timeout(); ++wakes) {
            require(wakes < 20000);
            sleep();
            drain();
        }
        require(completed_ == 1 && first_ == 1 && lifetimes_ == (lifetime_ > Duration{} ? 1 : 0));
        require(sockets_.empty());
        require(!summarize(netcheck_.report()).empty());
        netcheck_.handle_timeout(now_ + 1h);
        require(!netcheck_.poll_action() && !netcheck_.poll_event() && !netcheck_.next_timeout());
    }

  private:
    struct Asked {
        SocketId socket;
        net::Endpoint to;
        stun::TransactionId id;
    };

    Config config(Script& script) {
        const auto flags = script.byte();
        Config config;
        if ((flags & 1U) == 0) {
            config.servers.push_back({.endpoint = {.address = net::Address::v4({192, 0, 2, 0}), .port = 3478}});
        }
        if ((flags & 2U) != 0) {
            config.servers.push_back({.endpoint = script.endpoint(), .second_port = script.word()});
        }
        config.tcp = (flags & 4U) == 0;
        lifetime_ = (flags & 8U) == 0 ? Duration{} : Duration{std::chrono::seconds{script.byte()}};
        config.lifetime = lifetime_;
        if ((flags & 16U) != 0) {
            config.local.push_back(script.endpoint().address);
        }
        return config;
    }

    void step() {
        switch (script_.byte() % 8) {
            case 0:
                if (const auto socket = any_socket()) {
                    netcheck_.handle_opened(*socket, script_.endpoint(), now_);
                }
                break;
            case 1:
                for (const auto& [socket, tcp] : std::map{sockets_}) {
                    netcheck_.handle_opened(socket, script_.endpoint(), now_);
                    drain();
                }
                break;
            case 2:
                if (const auto socket = any_socket()) {
                    sockets_.erase(*socket);
                    netcheck_.handle_failed(*socket, now_);
                }
                break;
            case 3:
                netcheck_.handle_received(SocketId{script_.byte()}, script_.endpoint(), script_.blob(), now_);
                break;
            case 4:
            case 5:
                answer();
                break;
            case 6:
                now_ += std::chrono::milliseconds{script_.word() % 512};
                netcheck_.handle_timeout(now_);
                break;
            default:
                sleep();
                break;
        }
    }

    std::optional<SocketId> any_socket() {
        if (sockets_.empty()) {
            return std::nullopt;
        }
        return std::next(sockets_.begin(), script_.byte() % static_cast<std::ptrdiff_t>(sockets_.size()))->first;
    }

    void sleep() {
        if (const auto next = netcheck_.next_timeout()) {
            now_ = std::max(now_, *next);
            netcheck_.handle_timeout(now_);
        }
    }

    /// Answers something that was asked, rightly or nearly so.
    void answer() {
        if (asked_.empty()) {
            return;
        }
        const auto asked = asked_[script_.byte() % asked_.size()];
        const auto flags = script_.byte();
        const bool error = (flags & 7U) == 7;
        stun::MessageBuilder builder{error ? stun::MessageClass::error : stun::MessageClass::success, stun::kBinding,
                                     asked.id};
        if (error) {
            builder.error_code(420, {});
        } else {
            const auto type = (flags & 8U) != 0 ? AttributeType::mapped_address : AttributeType::xor_mapped_address;
            auto reflexive = script_.endpoint();
            reflexive.port = script_.word();
            builder.address(type, reflexive);
        }
        if ((flags & 16U) != 0) {
            builder.address(AttributeType::other_address, script_.endpoint());
        }
        const auto from = (flags & 32U) != 0 ? script_.endpoint() : asked.to;
        const auto at = (flags & 64U) != 0 ? SocketId{script_.byte()} : asked.socket;
        netcheck_.handle_received(at, from, builder.fingerprint().finish(), now_);
    }

    void drain() {
        std::size_t sent = 0;
        while (auto action = netcheck_.poll_action()) {
            if (const auto* udp = std::get_if<OpenUdp>(&*action)) {
                require(sockets_.emplace(udp->socket, false).second);
            } else if (const auto* tcp = std::get_if<OpenTcp>(&*action)) {
                require(sockets_.emplace(tcp->socket, true).second);
            } else if (const auto* send = std::get_if<Send>(&*action)) {
                require(++sent <= 8);
                note(*send);
            } else {
                sockets_.erase(std::get<Close>(*action).socket);
            }
            require(sockets_.size() <= Netcheck::kMaxSockets);
        }
        while (auto event = netcheck_.poll_event()) {
            first_ += std::holds_alternative<FirstReport>(*event) ? 1 : 0;
            completed_ += std::holds_alternative<Complete>(*event) ? 1 : 0;
            lifetimes_ += std::holds_alternative<LifetimeKnown>(*event) ? 1 : 0;
        }
        if (const auto next = netcheck_.next_timeout(); next && completed_ == 0) {
            require(*next <= TimePoint{} + kBudget);
        }
    }

    void note(const Send& send) {
        require(sockets_.contains(send.socket) && send.payload.size() <= 100);
        const auto message = stun::MessageView::parse(send.payload);
        require(message.has_value());
        if (message->message_class() == stun::MessageClass::request) {
            asked_.push_back({.socket = send.socket, .to = send.to, .id = message->transaction_id()});
            if (asked_.size() > 32) {
                asked_.pop_front();
            }
        }
    }

    Script& script_;
    SeededRng rng_{1};
    TimePoint now_{};
    Duration lifetime_{};
    Netcheck netcheck_;
    /// And whether it is TCP.
    std::map<SocketId, bool> sockets_;
    std::deque<Asked> asked_;
    int first_ = 0;
    int completed_ = 0;
    int lifetimes_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Script script{ByteView{data, size}};
    Harness{script}.run();
    return 0;
}
