"""NATs of the model: every cell of mapping and filtering, and what else it can be set to, each with its truth."""

import dataclasses

from classifiers import Side
from kernel_nats import (ADDRESS, ADDRESS_AND_PORT, BLOCK, INDEPENDENT, KINDS, PRESERVING, PUBLIC, RANDOM, SEQUENTIAL,
                         Truth)
from natbox import NatBox

_SHORT = {INDEPENDENT: "EI", ADDRESS: "AD", ADDRESS_AND_PORT: "APD"}
_STRICTER = (INDEPENDENT, ADDRESS, ADDRESS_AND_PORT)


@dataclasses.dataclass(frozen=True)
class Cell:
    """Settings of one NAT as in a topology file; `layers` has several, from the inside out."""

    name: str
    truth: Truth
    layers: tuple
    kernel: str = ""  # the kernel's kind that is the same


def _cell(name, kernel="", **keys):
    """The truth of a NAT follows from its settings."""
    mapping = keys.get("mapping", INDEPENDENT)
    allocation = keys.get("allocation", PRESERVING)
    tcp = keys.get("tcp", {})
    blocked = "udp" in keys.get("blocked", ())
    ports = tuple(keys["ports"]) if allocation == BLOCK and "ports" in keys else None
    return Cell(name, Truth(
        mapping=mapping, filtering=keys.get("filtering", ADDRESS_AND_PORT), allocation=allocation,
        delta=keys.get("delta", 1) if allocation == SEQUENTIAL else None, block=ports,
        hairpin=keys.get("hairpin", False), open=not blocked, tcp_mapping=tcp.get("mapping", mapping),
        tcp_allocation=tcp.get("allocation", allocation)), (keys,), kernel)


def _matrix():
    """The nine cells; a port of its own for each destination is drawn at random, as most such NATs do."""
    same = {(INDEPENDENT, INDEPENDENT): "fullcone", (INDEPENDENT, ADDRESS): "adf", (INDEPENDENT, ADDRESS_AND_PORT): "eim",
            (ADDRESS, ADDRESS_AND_PORT): "adm", (ADDRESS_AND_PORT, ADDRESS_AND_PORT): "symmetric-tcp"}
    for mapping in _STRICTER:
        for filtering in _STRICTER:
            yield _cell(f"{_SHORT[mapping]}-{_SHORT[filtering]}", same.get((mapping, filtering), ""), mapping=mapping,
                        filtering=filtering, allocation=PRESERVING if mapping == INDEPENDENT else RANDOM)


_UDP_ONLY = {"tcp": {"mapping": INDEPENDENT, "allocation": PRESERVING}}
_EACH = {"mapping": ADDRESS_AND_PORT}

CELLS = (
    *_matrix(),
    _cell("hairpin", "fullcone-hairpin", filtering=INDEPENDENT, hairpin=True),
    _cell("ei-random", "eim-random", allocation=RANDOM, **_UDP_ONLY),
    _cell("ei-seq", allocation=SEQUENTIAL, **_UDP_ONLY),
    _cell("seq", "sequential", allocation=SEQUENTIAL, **_EACH, **_UDP_ONLY),
    _cell("seq-256", "sequential-256", allocation=SEQUENTIAL, delta=256, **_EACH, **_UDP_ONLY),
    _cell("seq-down", "sequential-down", allocation=SEQUENTIAL, delta=-2, **_EACH, **_UDP_ONLY),
    _cell("block", "chunked", allocation=BLOCK, block_size=256, ports=[30_000, 30_255], **_EACH,
          tcp={"mapping": INDEPENDENT, "allocation": BLOCK}),
    _cell("sym-tcp", "symmetric-tcp", allocation=RANDOM, **_EACH),
    _cell("sym-udp", "symmetric", allocation=RANDOM, **_EACH, **_UDP_ONLY),
    _cell("reject", "", unsolicited="reject"),
    _cell("clash", "clash", unsolicited="clash"),
    _cell("no-udp", "udp-blocked", blocked=["udp"]),
    Cell("cgn", KINDS["cgn"].truth, (
        {}, {"allocation": RANDOM, **_UDP_ONLY}), "cgn"),
    Cell("cgn-hair", KINDS["cgn-hairpin"].truth, (
        {"filtering": INDEPENDENT}, {"filtering": INDEPENDENT, "hairpin": True}), "cgn-hairpin"),
    Cell("cgn-seq", KINDS["cgn-sequential"].truth, (
        {"filtering": ADDRESS}, {"allocation": SEQUENTIAL, **_EACH, **_UDP_ONLY}), "cgn-sequential"),
    Cell("public", KINDS[PUBLIC].truth, (), PUBLIC),
)


def topology(cells, seed=1):
    """Two servers with two addresses, and a host behind each of the cells."""
    nats, hosts = [], [{"name": name, "addresses": 2} for name in ("coturn", "ours")]
    for index, cell in enumerate(cells):
        behind = "internet"
        for layer, keys in reversed(list(enumerate(cell.layers))):
            nats.append({"name": f"n{index}-{layer}", "behind": behind, **keys})
            behind = nats[-1]["name"]
        hosts.append({"name": f"h{index}", "behind": behind})
    return {"seed": seed, "nat": nats, "host": hosts}


def start(binaries, cells=CELLS, **options):
    """(the box, a side for each cell). The box has the hosts `coturn` and `ours` besides."""
    box = NatBox(binaries, topology(cells), **options)
    return box, [Side(cell.name, box.hosts[f"h{index}"], cell.truth) for index, cell in enumerate(cells)]
