// The input is a script for one agent: candidates, datagrams (raw, sealed with the right keys, or answers to what the
// agent sent), credentials, and time that jumps. What must hold: no crash, bounded output, no output after the end.
#include "common/stun/builder.hpp"
#include "peer/ice/agent.hpp"
#include "tests/fuzz/script.hpp"

#include <cstdint>
#include <cstdlib>
#include <deque>
#include <vector>

namespace {

using namespace pinhole;
using fuzz::require;
using stun::AttributeType;

/// From here on a step is about TCP.
constexpr std::uint8_t kTcpSteps = 252;

const ice::Credentials kTheirs{.ufrag = "them", .pwd = "twenty-two characters!"};

class Script : public fuzz::ScriptReader {
  public:
    using ScriptReader::ScriptReader;

    /// One of few addresses, so that paths meet again.
    net::Endpoint endpoint() {
        const auto choice = byte();
        const auto port = static_cast<std::uint16_t>(choice % 5);
        switch (choice >> 6) {
            case 0:
                return {.address = net::Address::v4({10, 0, 0, static_cast<std::uint8_t>(choice % 7)}), .port = port};
            case 1:
                return {.address = net::Address::v4({203, 0, 113, static_cast<std::uint8_t>(choice % 7)}),
                        .port = port};
            case 2:
                return {.address =
                            net::Address::v6({0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, choice}, choice % 3U),
                        .port = port};
            default:
                return {.address = net::Address::v6({0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, choice}),
                        .port = port};
        }
    }

    net::Candidate candidate() {
        net::Candidate candidate;
        const auto kind = byte();
        candidate.type = static_cast<net::CandidateType>(kind % 4);
        candidate.tcp_type = static_cast<net::TcpType>(kind >> 6);
        candidate.transport = kind >> 6 == 0 ? net::Transport::udp : net::Transport::tcp;
        candidate.endpoint = endpoint();
        candidate.base = byte() % 2 == 0 ? candidate.endpoint : endpoint();
        candidate.priority = static_cast<std::uint32_t>(word()) << 12;
        candidate.foundation = std::to_string(byte() % 4);
        return candidate;
    }
};

class Harness {
  public:
    explicit Harness(Script& script)
        : script_(script),
          agent_(ice::Config{.role = script.byte() % 2 == 0 ? ice::Role::controlling : ice::Role::controlled,
                             .local = ice::Credentials::generate(rng_)},
                 rng_) {}

    void run() {
        while (!script_.done()) {
            step();
            drain();
        }
        agent_.close();
        agent_.handle_timeout(now_ + 1h);
        require(!agent_.poll_transmit() && !agent_.poll_event() && !agent_.next_timeout());
    }

  private:
    void step() {
        const auto choice = script_.byte();
        if (choice >= kTcpSteps) {
            tcp_step(choice);
            return;
        }
        switch (choice % 12) {
            case 0:
                agent_.add_local_candidate(script_.candidate(), now_);
                break;
            case 1:
                agent_.add_remote_candidate(script_.candidate(), now_);
                break;
            case 2:
                agent_.set_remote_credentials(kTheirs);
                break;
            case 3:
                agent_.start(now_);
                break;
            case 4:
                agent_.end_of_remote_candidates(now_);
                break;
            case 5:
                agent_.handle_datagram({.local = script_.endpoint(), .remote = script_.endpoint()}, script_.blob(),
                                       now_);
                break;
            case 6:
            case 7:
                request();
                break;
            case 8:
            case 9:
                answer();
                break;
            case 10:
                now_ += std::chrono::milliseconds{script_.word()};
                agent_.handle_timeout(now_);
                break;
            default:
                sleep();
                break;
        }
    }

    void tcp_step(std::uint8_t choice) {
        if (choice % 2 == 0) {
            agent_.admit_tcp(now_ + std::chrono::milliseconds{script_.byte()});
            return;
        }
        const net::PathAddresses any{
            .local = script_.endpoint(), .remote = script_.endpoint(), .transport = net::Transport::tcp};
        const auto path = asked_.empty() || choice == kTcpSteps + 1 ? any : asked_.back().path;
        agent_.handle_path_failed(path, now_);
        require(!agent_.heard_on(path) || agent_.uses(path));
    }

    void sleep() {
        if (const auto next = agent_.next_timeout()) {
            now_ = std::max(now_, *next);
            agent_.handle_timeout(now_);
        }
    }

    void request() {
        const auto flags = script_.byte();
        stun::MessageBuilder builder{stun::MessageClass::request, stun::kBinding, stun::TransactionId::generate(rng_)};
        builder.text(AttributeType::username, agent_.local_credentials().ufrag + ":them");
        if ((flags & 1U) == 0) {
            builder.u32(AttributeType::priority, script_.word());
        }
        if ((flags & 2U) != 0) {
            builder.flag(AttributeType::use_candidate);
        }
        if ((flags & 12U) != 0) {
            builder.u64((flags & 4U) != 0 ? AttributeType::ice_controlling : AttributeType::ice_controlled,
                        static_cast<std::uint64_t>(script_.byte()) << 56);
        }
        if ((flags & 16U) != 0) {
            const auto type = script_.word();
            builder.attribute(AttributeType{type}, script_.blob());
        }
        const auto transport = (flags & 64U) != 0 ? net::Transport::tcp : net::Transport::udp;
        const net::PathAddresses path{
            .local = script_.endpoint(), .remote = script_.endpoint(), .transport = transport};
        agent_.handle_datagram(path, builder.integrity(as_bytes(agent_.local_credentials().pwd)).fingerprint().finish(),
                               now_);
    }

    /// Answers something that the agent sent, rightly or nearly so.
    void answer() {
        if (asked_.empty()) {
            return;
        }
        const auto& asked = asked_[script_.byte() % asked_.size()];
        const auto flags = script_.byte();
        const auto id = stun::MessageView::parse(asked.payload).value().transaction_id();
        const bool error = (flags & 3U) == 3;
        stun::MessageBuilder builder{error ? stun::MessageClass::error : stun::MessageClass::success, stun::kBinding,
                                     id};
        if (error) {
            builder.error_code((flags & 4U) != 0 ? 487 : 400, {});
        } else if ((flags & 8U) == 0) {
            builder.address(AttributeType::xor_mapped_address,
                            (flags & 16U) != 0 ? script_.endpoint() : asked.path.local);
        }
        auto path = asked.path;
        if ((flags & 32U) != 0) {
            path.remote = script_.endpoint();
        }
        agent_.handle_datagram(path, builder.integrity(as_bytes(kTheirs.pwd)).fingerprint().finish(), now_);
    }

    void drain() {
        std::size_t sent = 0;
        while (auto transmit = agent_.poll_transmit()) {
            require(++sent <= 64);
            const auto message = stun::MessageView::parse(transmit->payload);
            require(message.has_value() && transmit->payload.size() <= 1200);
            if (message->message_class() == stun::MessageClass::request) {
                asked_.push_back(*std::move(transmit));
                if (asked_.size() > 16) {
                    asked_.pop_front();
                }
            }
        }
        while (agent_.poll_event()) {}
        if (const auto next = agent_.next_timeout(); next && *next <= now_) {
            settle();
        }
    }

    /// A timeout that is due must be served: handle_timeout may not leave it standing for ever.
    void settle() {
        for (int i = 0; i < 300; ++i) {
            const auto next = agent_.next_timeout();
            if (!next || *next > now_) {
                return;
            }
            agent_.handle_timeout(now_);
            while (agent_.poll_transmit()) {}
        }
        std::abort();
    }

    Script& script_;
    SeededRng rng_{1};
    TimePoint now_{};
    ice::Agent agent_;
    std::deque<net::Transmit> asked_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Script script{ByteView{data, std::min<std::size_t>(size, 4096)}};
    Harness{script}.run();
    return 0;
}
