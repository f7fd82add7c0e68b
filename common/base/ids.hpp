// Distinct types for ids and counters, so that one cannot be passed for another.
#pragma once

#include <compare>
#include <cstdint>

namespace pinhole {

/// An ordered wrapper of `T`; `Tag` makes each use its own type. No arithmetic: an id is a name, not a number.
template <class Tag, class T = std::uint64_t>
struct StrongId {
    T value{};

    friend constexpr auto operator<=>(const StrongId&, const StrongId&) = default;
};

}  // namespace pinhole
