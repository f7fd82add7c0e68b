"""The topology part of a scenario file, as far as steps and the kernel engine look at it; natbox reads it by itself.

The format is README.md's. Nothing is resolved here: an engine assigns addresses.
"""

import dataclasses
import ipaddress
import re

import reading

INTERNET = "internet"
KINDS = ("endpoint-independent", "address-dependent", "address-and-port-dependent")
ALLOCATIONS = ("preserving", "sequential", "block", "random")
_RESERVED = ("internet", "core", "wan", "lan", "lo", "all", "default")  # names of interfaces and namespaces


@dataclasses.dataclass
class Line:
    """One direction of a link; keys as in the file, read."""

    values: dict

    def get(self, key, default=0):
        return self.values.get(key, default)


def setting(key, value):
    """A read value of a link in the words of a file, as natbox takes it."""
    if key in ("delay", "jitter", "reorder_delay"):
        return f"{value * 1000:g}ms"
    if key == "rate":
        return f"{value:.0f}bit"
    if key == "queue":
        return f"{value}B"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


@dataclasses.dataclass
class Node:
    """A NAT or a host: `values` are the keys that the file gives, read."""

    name: str
    behind: str
    values: dict
    up: Line
    down: Line
    is_nat: bool

    def get(self, key, default=None):
        return self.values.get(key, default)


@dataclasses.dataclass
class Topology:
    nats: dict
    hosts: dict
    seed: int = 1

    def node(self, name):
        return self.nats.get(name) or self.hosts[name]

    def layers(self, name):
        """The NATs between a node and the internet, from the inside out."""
        found = []
        behind = self.node(name).behind
        while behind != INTERNET:
            found.append(self.nats[behind])
            behind = self.nats[behind].behind
        return found


def _count_or_addresses(value, place):
    if isinstance(value, list):
        for word in value:
            _address(word, place)
        return value
    if reading.whole(value, place) < 1:
        raise place.error("at least 1")
    return value


def _address(value, place):
    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise place.error(f"{value!r} is no address") from None
    return value


def _network(value, place):
    try:
        ipaddress.ip_network(value)
    except ValueError:
        raise place.error(f"{value!r} is no network like \"192.168.1.0/24\"") from None
    return value


def _port(value, place):
    if not 1 <= reading.whole(value, place) <= 65535:
        raise place.error(f"{value!r} is no port")
    return value


def _ports(value, place):
    if not isinstance(value, list):
        raise place.error(f"{value!r} is no list of ports")
    return [_port(port, place) for port in value]


def _port_range(value, place):
    if len(_ports(value, place)) != 2 or value[0] > value[1]:
        raise place.error(f"{value!r} is no pair [first, last]")
    return value


_TCP = {"mapping": reading.choice(*KINDS), "filtering": reading.choice(*KINDS), "allocation": reading.choice(*ALLOCATIONS)}

DIRECTION = {
    "delay": reading.duration, "jitter": reading.duration, "loss": reading.chance, "burst_loss": reading.chance,
    "burst_length": reading.whole, "rate": reading.rate, "queue": reading.size, "reorder": reading.chance,
    "reorder_delay": reading.duration, "duplicate": reading.chance, "corrupt": reading.chance, "mtu": reading.whole,
    "mtu_icmp": reading.flag,
}
_NAT = {
    "name": reading.text, "behind": reading.text, "mapping": reading.choice(*KINDS), "filtering": reading.choice(*KINDS),
    "allocation": reading.choice(*ALLOCATIONS), "delta": reading.whole, "ports": _port_range,
    "block_size": reading.whole, "tcp": lambda value, place: reading.keys(value, _TCP, place), "hairpin": reading.flag,
    "unsolicited": reading.choice("drop", "reject", "clash"), "external": _count_or_addresses,
    "pooling": reading.choice("paired", "arbitrary"), "udp_timeout": reading.duration, "inbound_refresh": reading.flag,
    "tcp_established_timeout": reading.duration, "tcp_transitory_timeout": reading.duration, "quota": reading.whole,
    "background": reading.number, "blocked": reading.choices("udp", "tcp"), "open_ports": _ports,
    "ipv6": reading.choice("closed", "open", "off"), "link": reading.table, "lan": _network, "kernel": reading.text,
}
_HOST = {"name": reading.text, "behind": reading.text, "addresses": _count_or_addresses, "ipv6": reading.flag,
         "link": reading.table}


def directions(value, place):
    """The two directions of a link table: (up, down), each {key: read value}."""
    if set(value) & {"up", "down"}:
        both = reading.keys(value, {"up": reading.table, "down": reading.table}, place)
        return tuple(reading.keys(both.get(way, {}), DIRECTION, place.inside(way)) for way in ("up", "down"))
    same = reading.keys(value, DIRECTION, place)
    return dict(same), dict(same)


def _node(given, number, is_nat, place):
    kind = "nat" if is_nat else "host"
    place = place.inside(f"[[{kind}]] number {number} ({given.get('name', 'without a name')})")
    values = reading.keys(given, _NAT if is_nat else _HOST, place)
    name = values.get("name", "")
    if not re.fullmatch(r"[A-Za-z0-9-]{1,10}", name) or name in _RESERVED:
        raise place.error(f"{name!r} is no name: 1 to 10 letters, digits and `-`, and none of {', '.join(_RESERVED)}")
    up, down = directions(values.pop("link", {}), place.inside("link"))
    return Node(name, values.get("behind", INTERNET), values, Line(up), Line(down), is_nat)


def read(document, place):
    """The topology of a parsed file; checks names and layers."""
    topology = Topology({}, {}, reading.whole(document.get("seed", 1), place.inside("seed")))
    for is_nat, kind, into in ((True, "nat", topology.nats), (False, "host", topology.hosts)):
        for number, given in enumerate(reading.tables(document.get(kind, []), place.inside(f"[[{kind}]]")), 1):
            node = _node(given, number, is_nat, place)
            if node.name in topology.nats or node.name in topology.hosts:
                raise place.error(f"two things are named {node.name!r}")
            into[node.name] = node
    if not topology.hosts:
        raise place.error("there is no [[host]]")
    for node in [*topology.nats.values(), *topology.hosts.values()]:
        _check_layers(topology, node, place.inside(node.name))
    return topology


def _check_layers(topology, node, place):
    seen = {node.name}
    behind = node.behind
    while behind != INTERNET:
        reading.one_of(behind, topology.nats, "NAT", place.inside("behind"))
        if behind in seen:
            raise place.error("a NAT cannot be behind itself")
        seen.add(behind)
        behind = topology.nats[behind].behind
    if not node.is_nat and node.get("ipv6"):
        if off := [nat.name for nat in topology.layers(node.name) if nat.get("ipv6", "off") == "off"]:
            raise place.error(f"it has IPv6 behind {off[0]}, which has none")
