// How much of the relay one account, one source and all together may have: allocations, and payload per second. Whoever
// takes a place gives it back; an account that has none is forgotten, and its bytes with it.
#pragma once

#include "common/base/time.hpp"
#include "common/net/endpoint.hpp"
#include "rendezvous/core/token_bucket.hpp"

#include <cstddef>
#include <map>
#include <string>

namespace pinhole::turn {

class Quotas {
  public:
    struct Config {
        std::size_t places = 0;
        std::size_t places_per_account = 0;
        std::size_t places_per_source = 0;
        double bytes_per_second = 0;
        double account_bytes_per_second = 0;
    };

    /// Somebody with at least one place.
    struct Account {
        std::size_t places = 0;
        rendezvous::TokenBucket bytes;
    };

    using AccountRef = std::map<std::string, Account>::iterator;

    /// One place, to be released. `account` is valid as long.
    struct Place {
        AccountRef account{};
        net::Address source{};
    };

    enum class Refusal : std::uint8_t { none, account, source, total };

    explicit Quotas(const Config& config);

    /// Whether so many places are left.
    [[nodiscard]] Refusal check(const std::string& account, const net::Address& client, std::size_t places) const;
    /// After `check`.
    [[nodiscard]] Place take(const std::string& account, const net::Address& client, TimePoint now);
    void release(const Place& place);
    /// Payload in either direction.
    [[nodiscard]] bool allow_bytes(const Place& place, std::size_t bytes, TimePoint now);

    [[nodiscard]] std::size_t accounts() const { return accounts_.size(); }

    [[nodiscard]] std::size_t sources() const { return sources_.size(); }

  private:
    Config config_;
    std::size_t places_ = 0;
    std::map<std::string, Account> accounts_;
    std::map<net::Address, std::size_t> sources_;
    rendezvous::TokenBucket bytes_;
};

}  // namespace pinhole::turn
