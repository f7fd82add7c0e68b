// The input is a plan, within its bounds or beyond them, and a script for what happens to the puncher that carries it
// out: sockets that open, fail or do neither, in any order, scans, candidates, datagrams, a path that is found, and
// time that jumps. What must hold: no crash, few sockets and all of them closed in the end, few probes and only to
// addresses of the plan that may be probed, and no timer that is due for ever.
#include "common/stun/builder.hpp"
#include "common/stun/message.hpp"
#include "peer/punch/puncher.hpp"
#include "tests/fuzz/script.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <set>
#include <vector>

namespace {

using namespace pinhole;
using fuzz::require;
using punch::SocketToken;
using std::chrono::milliseconds;

const net::Endpoint kMain{.address = net::Address::v4({192, 168, 1, 2}), .port = 5000};
const net::Endpoint kStun{.address = net::Address::v4({203, 0, 113, 10}), .port = 3478};
constexpr std::size_t kMaxSockets = net::kMaxPunchSockets + 2;
/// So many wakes a run at most: a plan has 2048 probes and little else.
constexpr int kMaxWakes = 20'000;

const std::array kTargets{
    net::Address::v4({198, 51, 100, 7}),
    net::Address::v4({198, 51, 100, 8}),
    net::Address::v6({0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7}),
    net::Address::v4({127, 0, 0, 1}),
    net::Address::v4({192, 168, 1, 1}),
    net::Address::v4({224, 0, 0, 1}),
    net::Address{},
    net::Address::v6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1}),
};
/// The first ones may be probed.
constexpr std::size_t kGoodTargets = 3;

class Script : public fuzz::ScriptReader {
  public:
    using ScriptReader::ScriptReader;

    /// Rarely more than a few, and rarely in the wrong order.
    std::vector<net::PortRange> ranges() {
        std::vector<net::PortRange> result(byte() % 11U);
        for (auto& range : result) {
            range.first = word();
            range.last = static_cast<std::uint16_t>(range.first + word());
        }
        return result;
    }

    net::PunchStep step() {
        const auto kind = byte();
        net::PunchStep step;
        step.act = static_cast<net::PunchAct>(1 + kind % 3);
        step.strategy = static_cast<net::Strategy>(1 + kind / 3 % 5);
        step.sample = (kind & 0x40U) != 0;
        step.shuffled = (kind & 0x80U) != 0;
        step.start = milliseconds{static_cast<std::int16_t>(word())};
        step.budget = milliseconds{static_cast<std::int16_t>(word())};
        step.sockets = word();
        step.probes = word();
        step.first_ttl = byte();
        const auto target = byte();
        step.target = {.address = kTargets.at(target % kTargets.size()),
                       .port = static_cast<std::uint16_t>(target < 128 ? 0 : 40'000 + target)};
        step.ranges = ranges();
        return step;
    }

    net::PunchPlan plan() {
        net::PunchPlan plan;
        const auto steps = byte() % 20U;
        for (unsigned i = 0; i < steps; ++i) {
            plan.steps.push_back(step());
            named_.insert(plan.steps.back().target.address);
        }
        return plan;
    }

    [[nodiscard]] bool names(const net::Address& address) const { return named_.contains(address); }

  private:
    std::set<net::Address> named_;
};

class Harness {
  public:
    explicit Harness(Script& script)
        : script_(script),
          puncher_({.stun = (script.byte() & 1U) != 0 ? std::optional{kStun} : std::nullopt,
                    .main = kMain,
                    .budget = &budget_},
                   rng_) {}

    void run() {
        puncher_.start(script_.plan(), now_ + milliseconds{static_cast<std::int16_t>(script_.word())});
        drain();
        while (!script_.done()) {
            step(script_.byte());
            drain();
        }
        // Left alone it comes to an end by itself.
        while (wake()) {}
        puncher_.close();
        drain();
        require(!puncher_.next_timeout());
        while (!waiting_.empty()) {
            settle(0, true);
        }
        require(open_.empty());
        puncher_.handle_timeout(now_ + 1h);
        require(!puncher_.poll_action() && !puncher_.next_timeout());
    }

  private:
    void step(std::uint8_t what) {
        switch (what % 10U) {
            case 0:
                wake();
                break;
            case 1:
                run_for(milliseconds{script_.word() % 6000U});
                break;
            case 2:
                settle_some(script_.byte(), true);
                break;
            case 3:
                settle_some(1, false);
                break;
            case 4:
                puncher_.handle_scan(script_.byte() % 20U, script_.ranges(), now_);
                break;
            case 5:
                receive();
                break;
            case 6:
                puncher_.handle_candidate({.address = kTargets.at(what % kTargets.size()), .port = script_.word()});
                break;
            case 7:
                puncher_.handle_success({.local = local(script_.byte()), .remote = remote(what)}, now_);
                break;
            case 8:
                answer(script_.byte());
                break;
            default:
                odd(what);
        }
    }

    /// What no shell does, or does once.
    void odd(std::uint8_t what) {
        if (what > 200) {
            puncher_.close();
        } else if (what > 150) {
            puncher_.start(script_.plan(), now_);  // one puncher, one plan
        } else if (what > 100) {
            // A token that was settled before, or that there never was.
            puncher_.handle_socket(settled_.empty() ? SocketToken{} : settled_[script_.word() % settled_.size()], kMain,
                                   now_);
        } else {
            now_ += milliseconds{script_.word()};  // the timers are late
            puncher_.handle_timeout(now_);
        }
    }

    /// False if nothing is due any more.
    bool wake() {
        const auto next = puncher_.next_timeout();
        if (!next) {
            return false;
        }
        now_ = std::max(now_, *next);
        puncher_.handle_timeout(now_);
        const auto acted = drain();
        const auto after = puncher_.next_timeout();
        // Either something was done or it does not ask for the same instant again.
        require(acted || !after || *after > now_);
        require(++wakes_ < kMaxWakes);
        return true;
    }

    void run_for(Duration time) {
        const auto end = now_ + time;
        for (auto next = puncher_.next_timeout(); next && *next <= end; next = puncher_.next_timeout()) {
            wake();
        }
        now_ = std::max(now_, end);
    }

    void settle_some(std::uint8_t count, bool works) {
        for (unsigned i = 0; i < count && !waiting_.empty(); ++i) {
            settle(i * count % waiting_.size(), works);
        }
    }

    void settle(std::size_t which, bool works) {
        const auto at = waiting_.begin() + static_cast<std::ptrdiff_t>(which);
        const auto asked = *at;
        waiting_.erase(at);
        settled_.push_back(asked.token);
        if (works) {
            const net::Endpoint place{.address = asked.family == net::Family::v4 ? kMain.address : kTargets.at(2),
                                      .port = next_port_++};
            open_.insert(place);
            puncher_.handle_socket(asked.token, place, now_);
        } else {
            puncher_.handle_socket_failed(asked.token, now_);
        }
        drain();
    }

    net::Endpoint local(std::uint8_t which) {
        return open_.empty() || which > 250 ? kMain : *std::next(open_.begin(), which % std::ssize(open_));
    }

    net::Endpoint remote(std::uint8_t which) {
        return {.address = kTargets.at(which % kTargets.size()), .port = script_.word()};
    }

    void receive() {
        const auto what = script_.byte();
        const net::PathAddresses path{.local = local(what), .remote = (what & 1U) != 0 ? remote(what) : kStun};
        const auto raw = script_.blob();
        puncher_.handle_datagram(path, raw.empty() ? ByteView{punch::make_probe(rng_)} : raw, now_);
    }

    /// As the STUN server would.
    void answer(std::uint8_t which) {
        if (asked_.empty()) {
            return;
        }
        const auto& [path, id] = asked_.at(which % asked_.size());
        stun::MessageBuilder message{stun::MessageClass::success, stun::kBinding, id};
        message.address(stun::AttributeType::xor_mapped_address,
                        {.address = kTargets.at(which % kTargets.size()), .port = script_.word()});
        puncher_.handle_datagram(path, message.finish(), now_);
    }

    bool drain() {
        bool any = false;
        while (const auto action = puncher_.poll_action()) {
            any = true;
            if (const auto* open = std::get_if<punch::OpenSocket>(&*action)) {
                waiting_.push_back(*open);
            } else if (const auto* close = std::get_if<punch::CloseSocket>(&*action)) {
                require(open_.erase(close->local) == 1);
            } else if (const auto* probe = std::get_if<punch::SendProbe>(&*action)) {
                note(*probe);
            } else if (const auto* promote = std::get_if<punch::Promote>(&*action)) {
                require(open_.contains(promote->path.local) && script_.names(promote->path.remote.address));
                require(++promoted_ <= 8);
            } else {
                const auto& samples = std::get<punch::Samples>(*action);
                require(samples.step < net::kMaxPunchSteps && samples.before.size() + samples.after.size() > 0);
            }
        }
        require(waiting_.size() + open_.size() <= kMaxSockets);
        return any;
    }

    void note(const punch::SendProbe& probe) {
        require(probe.path.local == kMain || open_.contains(probe.path.local));
        require(probe.payload.size() <= net::kMaxProbeSize);
        const auto message = stun::MessageView::parse(probe.payload);
        require(message.has_value());
        if (message->message_class() == stun::MessageClass::request) {
            require(probe.path.remote == kStun && probe.path.local != kMain);
            asked_.push_back({.path = probe.path, .id = message->transaction_id()});
            require(asked_.size() <= net::kMaxPunchSteps * 6);  // two samples of three asks each
            return;
        }
        const auto& target = probe.path.remote.address;
        require(script_.names(target) && std::ranges::find(kTargets, target) < kTargets.begin() + kGoodTargets);
        require(++probes_ <= net::kMaxScanProbes);
    }

    struct Asked {
        net::PathAddresses path;
        stun::TransactionId id;
    };

    Script& script_;
    SeededRng rng_{1};
    TimePoint now_{1h};
    punch::ProbeBudget budget_;
    punch::Puncher puncher_;
    std::deque<punch::OpenSocket> waiting_;
    std::vector<SocketToken> settled_;
    std::set<net::Endpoint> open_;
    std::vector<Asked> asked_;
    std::uint16_t next_port_ = 1;
    std::size_t probes_ = 0;
    int promoted_ = 0;
    int wakes_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Script script{ByteView{data, size}};
    Harness{script}.run();
    return 0;
}
