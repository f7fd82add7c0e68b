"""Networks that two people can be in, and what has to become of every two of them.

`CLASSES` are the classes that a planner works with, as NATs of natbox, the same as in tests/sim/punch_test.cpp; kinds of
the kernel are those of kernel_nats.py. `expected` says of two truths, from arithmetic alone, whether a direct UDP path is
to be found.
"""

import dataclasses
import itertools

import kernel_nats
from kernel_nats import ADDRESS, ADDRESS_AND_PORT, BLOCK, INDEPENDENT, NONE, PRESERVING, RANDOM, SEQUENTIAL, Truth

DIRECT = "direct"  # in every run
# So many of 100 runs, and one of fewer may fail.
NEARLY = "99 of 100"
USUALLY = "97 of 100"
OFTEN = "60 of 100"
EITHER = "either"  # luck: a path may be found or not, but none is claimed that is not there
NO_PATH = "none"
NO_SERVER = "no server"
LUCKY = (NEARLY, USUALLY, OFTEN)

# A burst toward one port can take nearly all ports of such a block, and so the one that the other side aims at.
_FILLED_BLOCK = 256
# So many ports are scanned in one go.
_SCAN = 256


@dataclasses.dataclass(frozen=True)
class NatClass:
    about: str
    keys: dict
    truth: Truth


def _class(about, mapping, allocation, filtering, **keys):
    return NatClass(about, {"mapping": mapping, "allocation": allocation, "filtering": filtering, **keys},
                    Truth(mapping=mapping, allocation=allocation, filtering=filtering,
                          block=(30_000, 30_255) if allocation == BLOCK else None))


CLASSES = {
    "O": _class("open to everyone", INDEPENDENT, PRESERVING, INDEPENDENT),
    "E+": _class("one port for all; every port of a contacted address may answer", INDEPENDENT, RANDOM, ADDRESS),
    "E": _class("one port for all; only who was contacted may answer", INDEPENDENT, RANDOM, ADDRESS_AND_PORT),
    # Other traffic takes 20 ports a second between a prediction and its use.
    "S": _class("the next port for each destination", ADDRESS_AND_PORT, SEQUENTIAL, ADDRESS_AND_PORT, delta=1,
                background=20),
    "C": _class("another port for each destination, within 256", ADDRESS_AND_PORT, BLOCK, ADDRESS_AND_PORT),
    "R": _class("another port for each destination, anywhere", ADDRESS_AND_PORT, RANDOM, ADDRESS_AND_PORT),
}


def class_pairs():
    return list(itertools.combinations_with_replacement(CLASSES, 2))


def kernel_pairs():
    return list(itertools.combinations_with_replacement(kernel_nats.KINDS, 2))


def _known(truth):
    """Its port toward anybody is the one that it shows to a server."""
    return truth.mapping in (NONE, INDEPENDENT) or truth.allocation == PRESERVING


def _weak(truth):
    """What it has not sent to gets in, from an address that it has sent to."""
    return truth.filtering != ADDRESS_AND_PORT


def _certain(a, b):
    return _known(a) and (_known(b) or _weak(a))


def expected(a, b):
    """Of two truths behind independent NATs."""
    if not (a.tcp_open and b.tcp_open):
        return NO_SERVER
    if not (a.open and b.open):
        return NO_PATH
    if _certain(a, b) or _certain(b, a):
        return DIRECT
    if _known(a) or _known(b):
        # The other's port lies between two that were seen, or in a block that is searched through, or luck finds one.
        return USUALLY if (b if _known(a) else a).allocation == RANDOM else NEARLY
    allocations = {a.allocation, b.allocation}
    if allocations == {SEQUENTIAL}:
        return USUALLY
    blocks = [side for side in (a, b) if side.allocation == BLOCK]
    filled = blocks and allocations <= {SEQUENTIAL, BLOCK} and max(map(_width, blocks)) <= _FILLED_BLOCK
    return OFTEN if filled else NO_PATH


def _width(truth):
    return truth.block[1] - truth.block[0] + 1


def expected_of_classes(pair):
    return expected(*(CLASSES[name].truth for name in pair))


def expected_of_kinds(pair):
    """Some kinds add to what they translate to what they let through."""
    kinds = [kernel_nats.KINDS[name] for name in pair]
    verdict = expected(*(kind.truth for kind in kinds))
    limited = any(0 < kind.limits.quota < _SCAN for kind in kinds)
    lossy = any(kind.limits.loss for kind in kinds)
    if limited and verdict not in (DIRECT, NO_PATH, NO_SERVER):
        return EITHER  # what is scanned for needs more flows than it allows
    return NEARLY if verdict == DIRECT and lossy else verdict


def unlucky(verdict, runs):
    """How many runs may fail."""
    share = {DIRECT: 0, NEARLY: 0.01, USUALLY: 0.03, OFTEN: 0.4, EITHER: 1}[verdict]
    return max(1, round(share * runs)) if share else 0
