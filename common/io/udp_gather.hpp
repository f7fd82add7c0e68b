// Sends many datagrams with few system calls, for whoever forwards what it has just received: datagrams of one size
// between the same two endpoints leave as one GSO send that is gathered from where they lie, and sends of one socket in
// one sendmmsg. The order within a flow is kept. What would block is lost, never queued. Linux.
#pragma once

#include "common/net/datagram.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace pinhole::io {

class UdpGather {
  public:
    /// Written in front of a payload; zero bytes of it or all.
    using Header = std::array<std::uint8_t, 4>;

    UdpGather();
    UdpGather(UdpGather&&) noexcept;
    UdpGather& operator=(UdpGather&&) noexcept;
    ~UdpGather();

    /// From `path.local`'s address unless that is unspecified. The payload is borrowed until `flush`, and the
    /// descriptor must stay open until then. Flushes by itself when it is full.
    void add(int descriptor, const net::PathAddresses& path, ByteView payload);
    void add(int descriptor, const net::PathAddresses& path, const Header& header, ByteView payload);
    void flush();

    /// Datagrams that could not be sent, since the beginning.
    [[nodiscard]] std::uint64_t lost() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace pinhole::io
