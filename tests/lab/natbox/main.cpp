// natbox: the model's network between real network namespaces. `natbox --help`.
#include "tests/lab/model/topology_file.hpp"
#include "tests/lab/natbox/link_engine.hpp"
#include "tests/lab/natbox/network_engine.hpp"
#include "tests/lab/natbox/options.hpp"
#include "tests/lab/natbox/server.hpp"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace pinhole::natbox {
namespace {

using Json = nlohmann::ordered_json;

void announce(const std::string& line) {
    (void)std::printf("%s\n", line.c_str());
    (void)std::fflush(stdout);
}

Status run_link(const LinkOptions& options) {
    LinkEngine engine{options.link, options.seed};
    std::vector<Device> devices;
    for (const auto& end : {options.a, options.b}) {
        auto device = Device::open(end.netns, end.name);
        if (!device) {
            return std::unexpected{device.error()};
        }
        if (auto status = device->set_mtu(engine.device_mtu(devices.size())); !status) {
            return status;
        }
        devices.push_back(std::move(*device));
    }
    Server server{engine, devices};
    if (auto status = server.prepare(); !status) {
        return status;
    }
    announce("ready");
    return server.run();
}

/// Each name is a host of the topology, once.
Status check_hosts(const lab::Topology& topology, const std::vector<NamedNamespace>& hosts) {
    for (auto host = hosts.begin(); host != hosts.end(); ++host) {
        if (std::ranges::find(topology.hosts, host->name, &lab::HostNode::name) == topology.hosts.end()) {
            return fail(Errc::invalid_argument, fmt::format("the topology has no host '{}'", host->name));
        }
        if (std::ranges::find(hosts.begin(), host, host->name, &NamedNamespace::name) != host) {
            return fail(Errc::invalid_argument, fmt::format("host '{}' is named twice", host->name));
        }
    }
    return {};
}

Result<std::vector<Device>> open_devices(const NetworkOptions& options, const NetworkEngine& engine) {
    std::vector<Device> devices;
    for (const auto& host : options.hosts) {
        auto device = Device::open(host.netns, options.device);
        if (!device) {
            return std::unexpected{device.error()};
        }
        if (auto status = device->configure(engine.addresses(devices.size()), engine.mtu(devices.size())); !status) {
            return std::unexpected{status.error()};
        }
        devices.push_back(std::move(*device));
    }
    return devices;
}

Result<std::vector<Capture>> open_captures(const NetworkOptions& options) {
    std::vector<Capture> captures;
    if (options.capture.empty()) {
        return captures;
    }
    std::error_code failure;
    std::filesystem::create_directories(options.capture, failure);
    if (failure) {
        return fail(failure, options.capture);
    }
    for (const auto& host : options.hosts) {
        auto capture =
            Capture::create(std::filesystem::path{options.capture} / (host.name + ".pcap"), options.snap_length);
        if (!capture) {
            return std::unexpected{capture.error()};
        }
        captures.push_back(std::move(*capture));
    }
    return captures;
}

std::string ready_line(const NetworkOptions& options, const NetworkEngine& engine) {
    auto hosts = Json::object();
    for (std::size_t device = 0; device < options.hosts.size(); ++device) {
        auto addresses = Json::array();
        for (const auto& address : engine.addresses(device)) {
            addresses.push_back(address.address.text());
        }
        hosts[options.hosts[device].name] = {
            {"device", options.device}, {"addresses", addresses}, {"public", engine.public_address(device)}};
    }
    return Json{{"ready", hosts}}.dump();
}

Status run_network(const NetworkOptions& options) {
    auto topology = lab::load_topology(options.topology);
    if (!topology) {
        return std::unexpected{topology.error()};
    }
    if (auto status = check_hosts(*topology, options.hosts); !status) {
        return status;
    }
    std::vector<std::string> names;
    names.reserve(options.hosts.size());
    for (const auto& host : options.hosts) {
        names.push_back(host.name);
    }
    NetworkEngine engine{std::move(*topology), names};
    auto devices = open_devices(options, engine);
    if (!devices) {
        return std::unexpected{devices.error()};
    }
    auto captures = open_captures(options);
    if (!captures) {
        return std::unexpected{captures.error()};
    }
    Server server{engine, *devices, std::move(*captures)};
    if (auto status = server.prepare(); !status) {
        return status;
    }
    announce(ready_line(options, engine));
    return server.run();
}

/// What is wrong with an argument or a topology is said in the detail, whole.
std::string sentence_of(const Error& error) {
    return error.code == Errc::invalid_argument && !error.detail.empty() ? error.detail : error.message();
}

int run(int argc, char** argv) {
    const auto parsed = parse_options(argc, argv);
    if (const auto* code = std::get_if<int>(&parsed)) {
        return *code;
    }
    const auto& options = std::get<Options>(parsed);
    const auto* link = std::get_if<LinkOptions>(&options);
    const auto status = link != nullptr ? run_link(*link) : run_network(std::get<NetworkOptions>(options));
    if (!status) {
        (void)std::fprintf(stderr, "natbox: %s\n", sentence_of(status.error()).c_str());
        return 1;
    }
    return 0;
}

}  // namespace
}  // namespace pinhole::natbox

int main(int argc, char** argv) {
    try {
        return pinhole::natbox::run(argc, argv);
    } catch (const std::exception& error) {
        (void)std::fprintf(stderr, "natbox: %s\n", error.what());
        return 1;
    }
}
