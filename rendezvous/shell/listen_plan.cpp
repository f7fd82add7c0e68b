#include "rendezvous/shell/listen_plan.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace pinhole::rendezvous {

namespace {

const char* name_of(net::Family family) {
    return family == net::Family::v4 ? "IPv4" : "IPv6";
}

/// The address that clients are to use where the server listens on all: the only one that there is besides `alternate`.
Result<net::Address> only_other(const net::Address& alternate, const std::vector<net::Address>& local) {
    std::optional<net::Address> found;
    for (const auto& address : local) {
        if (address.family() != alternate.family() || address.is_loopback() || address == alternate) {
            continue;
        }
        if (found) {
            return fail({},
                        fmt::format("this machine has several {} addresses besides the alternate {}; say with --listen "
                                    "which is the primary one",
                                    name_of(alternate.family()), alternate.text()));
        }
        found = address;
    }
    if (!found) {
        return fail({}, fmt::format("this machine has no {} address besides the alternate {}",
                                    name_of(alternate.family()), alternate.text()));
    }
    return *found;
}

/// The place that an alternate address belongs to.
Result<Place*> partner_of(const net::Address& alternate, std::vector<Place>& places) {
    Place* found = nullptr;
    for (auto& place : places) {
        if (place.at.address.family() != alternate.family()) {
            continue;
        }
        if (found != nullptr) {
            return fail({},
                        fmt::format("--alternate {} needs one --listen of its family, not several", alternate.text()));
        }
        found = &place;
    }
    if (found == nullptr) {
        return fail({}, fmt::format("--alternate {} needs a --listen of its family: {}", alternate.text(),
                                    name_of(alternate.family())));
    }
    if (found->alternate) {
        return fail({}, fmt::format("there can be one --alternate of {} only", name_of(alternate.family())));
    }
    return found;
}

}  // namespace

Result<std::vector<Place>> plan_places(const std::vector<net::Endpoint>& listen,
                                       const std::vector<net::Address>& alternates,
                                       const std::vector<net::Address>& local) {
    std::vector<Place> places;
    places.reserve(listen.size());
    for (const auto& endpoint : listen) {
        places.push_back({.at = endpoint});
    }
    for (const auto& alternate : alternates) {
        const auto place = partner_of(alternate, places);
        if (!place) {
            return std::unexpected(place.error());
        }
        const auto& at = (*place)->at.address;
        const auto primary = at.is_unspecified() ? only_other(alternate, local) : Result<net::Address>{at};
        if (!primary) {
            return std::unexpected(primary.error());
        }
        if (*primary == alternate) {
            return fail(
                Errc::invalid_argument,
                fmt::format("--alternate {} is the address of --listen; it has to be another one", alternate.text()));
        }
        (*place)->alternate = Place::Alternate{.primary = *primary, .address = alternate};
    }
    return places;
}

}  // namespace pinhole::rendezvous
