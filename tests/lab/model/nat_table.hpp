// The mappings of a NAT and what each has sent to, found from either side, with their timers. Knows no policy: which
// port, how long and who may come in is decided by NatModel. IPv6 flows are mappings onto themselves.
#pragma once

#include "common/base/time.hpp"
#include "tests/lab/model/endpoint_key.hpp"
#include "tests/lab/model/nat_model.hpp"
#include "tests/lab/model/packet.hpp"

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace pinhole::lab {

/// The part of the remote side that a mapping belongs to; what does not matter is zero.
struct RemoteScope {
    EndpointKey remote;
    Dependence dependence = Dependence::endpoint_independent;

    friend auto operator<=>(const RemoteScope&, const RemoteScope&) = default;

    [[nodiscard]] static RemoteScope of(Dependence dependence, EndpointKey remote);
};

struct MappingKey {
    Protocol protocol = Protocol::udp;
    EndpointKey internal;
    RemoteScope scope;

    friend auto operator<=>(const MappingKey&, const MappingKey&) = default;
};

/// One remote endpoint of a mapping.
struct Session {
    TimePoint expires;
    /// The inside has sent to it: only then it opens the filter.
    bool sent = false;
    bool syn_out = false;
    bool syn_in = false;
    /// A FIN or RST was seen.
    bool closing = false;
};

struct Mapping {
    MappingKey key;
    EndpointKey external;
    /// Made beside the mapping of its internal endpoint, because a clash holds that one's port for this remote.
    bool exception = false;
    TimePoint expires;
    std::map<EndpointKey, Session> sessions;
    /// When the timer queue looks at it next.
    TimePoint due;
};

class NatTable {
  public:
    /// nf_conntrack_max of a small router.
    static constexpr std::size_t kMaxMappings = 1U << 18U;
    /// Remote endpoints of one mapping: what one address can have.
    static constexpr std::size_t kMaxSessions = 1U << 16U;

    /// Removes what has run out; cheap if nothing has.
    void expire(TimePoint now);
    void clear();

    [[nodiscard]] Mapping* find(const MappingKey& key);
    Mapping& add(const MappingKey& key, EndpointKey external, bool exception);

    /// The session of a remote endpoint, new if it was gone; nullptr if the mapping has too many.
    [[nodiscard]] Session* session(Mapping& mapping, EndpointKey remote, TimePoint now);
    void set_expiry(Mapping& mapping, Session& session, TimePoint expires);
    /// Keeps a mapping without a session of its own for this.
    void prolong(Mapping& mapping, TimePoint expires);

    /// The mapping, and its session if there is one, by which `remote` may send to `external`.
    struct Admission {
        Mapping* mapping = nullptr;
        Session* session = nullptr;
    };

    [[nodiscard]] Admission admit(Protocol protocol, EndpointKey external, EndpointKey remote, Dependence filtering,
                                  TimePoint now);
    /// The mapping that has sent from `external` to `remote`.
    [[nodiscard]] Mapping* sender(Protocol protocol, EndpointKey external, EndpointKey remote, TimePoint now);

    [[nodiscard]] bool in_use(Protocol protocol, EndpointKey external) const;
    /// No other internal endpoint has this external one for a remote in the scope.
    [[nodiscard]] bool can_share(const MappingKey& key, EndpointKey external) const;
    [[nodiscard]] std::size_t ports_in_use(Protocol protocol, AddressKey external) const;

    [[nodiscard]] std::size_t size() const { return mappings_.size(); }

    /// Of IPv4, of one internal address.
    [[nodiscard]] std::size_t count_of(AddressKey internal) const;

    [[nodiscard]] std::size_t count_v4() const { return count_v4_; }

    /// Mappings that are exceptions.
    [[nodiscard]] std::size_t exceptions() const { return exceptions_; }

    [[nodiscard]] const std::map<MappingKey, Mapping>& all() const { return mappings_; }

  private:
    struct ExternalKey {
        Protocol protocol = Protocol::udp;
        EndpointKey external;
        RemoteScope scope;
        EndpointKey internal;

        friend auto operator<=>(const ExternalKey&, const ExternalKey&) = default;
    };

    using ByExternal = std::map<ExternalKey, Mapping*>;

    struct Due {
        TimePoint at;
        MappingKey key;

        friend auto operator<=>(const Due&, const Due&) = default;
    };

    struct PortUse {
        /// Mappings by external port; a port may be shared.
        std::vector<std::uint32_t> mappings = std::vector<std::uint32_t>(1U << 16U);
        std::size_t ports = 0;
    };

    [[nodiscard]] Mapping* at(Protocol protocol, EndpointKey external, const RemoteScope& scope) const;
    [[nodiscard]] Admission admit_any(Protocol protocol, EndpointKey external, EndpointKey remote, Dependence filtering,
                                      TimePoint now) const;
    void watch(Mapping& mapping);
    void remove(std::map<MappingKey, Mapping>::iterator where);
    void count(const Mapping& mapping, bool added);

    std::map<MappingKey, Mapping> mappings_;
    ByExternal by_external_;
    /// A heap; entries whose time is not their mapping's `due` are stale.
    std::vector<Due> due_;
    std::map<std::pair<Protocol, AddressKey>, PortUse> port_use_;
    std::map<AddressKey, std::size_t> per_host_;
    std::size_t count_v4_ = 0;
    std::size_t exceptions_ = 0;
};

}  // namespace pinhole::lab
