#include "tests/sim/cells.hpp"

namespace pinhole::sim {

namespace {

bool sequential(const Side& s) {
    return s && s->allocation == Allocation::sequential;
}

bool by_address(const Side& s) {
    return s && s->mapping == Dependence::address_dependent;
}

/// Its port toward anybody is the one that STUN shows.
bool known(const Side& s) {
    return !s || s->mapping == Dependence::endpoint_independent || s->allocation == Allocation::preserving;
}

bool open_filter(const Side& s) {
    return !s || s->filtering == Dependence::endpoint_independent;
}

bool any_port(const Side& s) {
    return !s || s->filtering != Dependence::address_and_port_dependent;
}

/// A public host, or a mapping that is everybody's with a filter that is nobody's.
bool reachable(const Side& s) {
    return !s || (s->mapping == Dependence::endpoint_independent && open_filter(s));
}

/// `opener`'s fresh ports can be found by `scanner`, whose own port changes with each of them: either both directions
/// meet in one mapping, or the path differs by direction.
bool found(const Side& opener, const Side& scanner) {
    return any_port(opener) && (by_address(opener) || any_port(scanner));
}

Cell cell_of_unknown(const Side& a, const Side& b) {
    const bool either = found(a, b) || found(b, a);
    if (sequential(a) && sequential(b)) {
        return either ? Cell::near : Cell::mutual;
    }
    // What is sent to the port that the server saw gets in, and the answer, too.
    const auto lets_in = [](const Side& x, const Side& y) { return !sequential(x) && open_filter(x) && any_port(y); };
    if (lets_in(a, b) || lets_in(b, a)) {
        return Cell::sure;
    }
    if ((sequential(a) && found(a, b)) || (sequential(b) && found(b, a))) {
        return Cell::near;
    }
    // One port toward the whole address, once it is counted out, is as good as a known one.
    const auto countable = [](const Side& s) { return sequential(s) && by_address(s); };
    return either || countable(a) || countable(b) ? Cell::birthday : Cell::hopeless;
}

}  // namespace

Cell cell_of(const Side& a, const Side& b) {
    if (reachable(a) || reachable(b)) {
        return Cell::open;
    }
    if ((known(a) && known(b)) || (known(a) && any_port(a)) || (known(b) && any_port(b))) {
        return Cell::sure;
    }
    if (known(a) || known(b)) {
        return sequential(known(a) ? b : a) ? Cell::near : Cell::birthday;
    }
    return cell_of_unknown(a, b);
}

char letter(Cell cell) {
    constexpr std::string_view kLetters = "DSNMBX";
    return kLetters[static_cast<std::size_t>(cell)];
}

std::uint64_t least_direct(Cell cell, bool lossy) {
    switch (cell) {
        case Cell::open:
        case Cell::sure:
            return lossy ? 97 : 100;
        case Cell::near:
            return lossy ? 97 : 99;
        case Cell::mutual:
            return lossy ? 90 : 97;
        case Cell::birthday:
            return 97;
        case Cell::hopeless:
            break;
    }
    return 0;
}

std::vector<Side> all_sides() {
    std::vector<Side> sides{std::nullopt};
    for (const auto& kind : all_kinds()) {
        sides.emplace_back(kind);
    }
    return sides;
}

}  // namespace pinhole::sim
