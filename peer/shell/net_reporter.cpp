#include "peer/shell/net_reporter.hpp"

#include "common/base/limits.hpp"
#include "common/base/log.hpp"
#include "common/io/clock.hpp"
#include "common/io/interfaces.hpp"
#include "common/io/routes.hpp"
#include "peer/shell/candidates.hpp"

#include <algorithm>
#include <set>

namespace pinhole::shell {

std::string network_name(const std::vector<net::Endpoint>& servers) {
    const auto route = servers.empty() ? std::nullopt : io::route_to(servers.front().address);
    if (!route) {
        return {};
    }
    return (route->gateway ? route->gateway->text() : std::string{"direct"}) + '%' + route->interface;
}

std::vector<netcheck::StunServer> stun_servers(const std::vector<net::Endpoint>& endpoints,
                                               std::optional<std::uint16_t> second_port,
                                               const std::optional<net::Address>& bind) {
    std::vector<netcheck::StunServer> all;
    std::vector<netcheck::StunServer> usable;
    std::set<net::Family> families;
    for (const auto& endpoint : endpoints) {
        const auto family = endpoint.address.family();
        if (!families.insert(family).second) {
            continue;
        }
        all.push_back({.endpoint = endpoint, .second_port = second_port});
        if (bind ? bind->family() == family : source_address_for(endpoint).has_value()) {
            usable.push_back(all.back());
        }
    }
    return usable.empty() ? all : usable;
}

std::optional<std::uint8_t> NetReporter::opening_ttl() const {
    return newest_ ? newest_->udp.opening_ttl : std::nullopt;
}

NetReporter::NetReporter(const boost::asio::any_io_executor& executor, Config config, Rng& rng, Callbacks callbacks)
    : executor_(executor), config_(std::move(config)), rng_(rng), callbacks_(std::move(callbacks)), timer_(executor) {}

void NetReporter::handle_servers(const std::vector<net::Endpoint>& servers) {
    servers_ = servers;
}

void NetReporter::handle_online(const session::SignalingClient::Online& online) {
    online_ = online;
    if (known() || driver_) {
        return;
    }
    if (measured_at_) {
        wait();
    } else {
        measure();
    }
}

void NetReporter::handle_offline() {
    online_.reset();
    sent_.reset();
    driver_.reset();
    timer_.cancel();
}

void NetReporter::handle_network_changed() {
    forget();
    reflexive_.reset();
    if (online_) {
        wait();
    }
}

void NetReporter::handle_reflexive(const std::optional<net::Endpoint>& reflexive) {
    if (!reflexive) {
        return;
    }
    // Over the other family the address is another without any news.
    const bool changed =
        reflexive_ && reflexive_->family() == reflexive->address.family() && *reflexive_ != reflexive->address;
    // What is too soon to act on is still news the next time.
    if (changed && measured_at_ && io::now() - *measured_at_ < kReflexiveInterval) {
        return;
    }
    reflexive_ = reflexive->address;
    if (!changed) {
        return;
    }
    log::debug("the public address has changed");
    forget();
    if (online_) {
        online_->observed.address = *reflexive_;
        wait();
    }
}

void NetReporter::stop() {
    online_.reset();
    timer_.cancel();
    driver_.reset();
}

void NetReporter::forget() {
    driver_.reset();
    report_.reset();
    newest_.reset();
    measured_for_ = {};
}

ReportKey NetReporter::key() const {
    return {.server = config_.server,
            .network = network_name(servers_),
            .public_address = online_ ? online_->observed.address.text() : std::string{}};
}

std::vector<net::Address> NetReporter::local_addresses() const {
    if (servers_.empty()) {
        return {};
    }
    auto addresses =
        usable_addresses(io::local_addresses(/*include_loopback=*/true), servers_.front().address, config_.bind);
    addresses.resize(std::min(addresses.size(), limits::kMaxReportAddresses));
    return addresses;
}

std::optional<net::NetReport> NetReporter::cached(const ReportKey& place) const {
    auto report = config_.cache == nullptr ? std::nullopt : config_.cache->find(place);
    // With other addresses than now it is about another place, whatever the gateway.
    return report && report->local == local_addresses() ? report : std::nullopt;
}

bool NetReporter::known() {
    const auto place = key();
    if (place != measured_for_) {
        forget();
        measured_for_ = place;
        report_ = cached(place);
    }
    if (report_) {
        tell(*report_);
    }
    return report_.has_value();
}

void NetReporter::tell(const net::NetReport& report) {
    newest_ = report;
    if (sent_ != report) {
        sent_ = report;
        callbacks_.send(signaling::Report{report});
    }
    callbacks_.reported(report);
}

void NetReporter::wait() {
    auto due = io::now() + kGrace;
    if (measured_at_) {
        due = std::max(due, *measured_at_ + kInterval);
    }
    timer_.expires_at(io::to_steady(due));
    timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& cancelled) {
        if (const auto self = weak.lock(); self && !cancelled) {
            self->measure();
        }
    });
}

void NetReporter::measure() {
    if (!online_ || driver_) {
        return;
    }
    if (measured_at_ && callbacks_.busy()) {
        wait();
        return;
    }
    if (known()) {
        return;
    }
    measured_at_ = io::now();
    driver_ = std::make_unique<NetcheckDriver>(
        executor_,
        NetcheckDriver::Config{.check = {.servers = stun_servers(servers_, online_->second_stun_port, config_.bind),
                                         .local = local_addresses(),
                                         .tcp = true,
                                         .lifetime = {}},
                               .bind = config_.bind},
        rng_, [this](const netcheck::Event& event) { handle_event(event); });
    driver_->start();
}

void NetReporter::handle_event(const netcheck::Event& event) {
    const auto report = driver_->report();
    tell(report);
    if (!std::holds_alternative<netcheck::Complete>(event)) {
        return;
    }
    driver_.reset();
    report_ = report;
    // That nothing came back may be over in a moment.
    if (config_.cache != nullptr && report.udp.open == true) {
        config_.cache->store(measured_for_, report);
    }
}

}  // namespace pinhole::shell
