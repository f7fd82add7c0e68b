"""Kinds of NAT made of the kernel's own nftables: the truth that the model, natbox and netcheck are held against.

Each kind carries what it is, in the words of the command line's contract. tests/interop confirms that with classifiers
that this project did not write. nft 1.0.6 wants a newline before each closing brace.
"""

import dataclasses
import typing

NONE = "none"
INDEPENDENT = "endpoint-independent"
ADDRESS = "address-dependent"
ADDRESS_AND_PORT = "address-and-port-dependent"

PRESERVING, SEQUENTIAL, BLOCK, RANDOM = "preserving", "sequential", "block", "random"

PUBLIC = "public"


@dataclasses.dataclass(frozen=True)
class Truth:
    """What a perfect measurement says. None: nothing can be said, or it does not matter."""

    mapping: typing.Optional[str] = INDEPENDENT
    filtering: typing.Optional[str] = ADDRESS_AND_PORT
    allocation: typing.Optional[str] = PRESERVING
    delta: typing.Optional[int] = None
    block: typing.Optional[tuple] = None  # first and last external port
    hairpin: typing.Optional[bool] = False
    open: bool = True  # UDP reaches a server on its usual port
    tcp_mapping: typing.Optional[str] = INDEPENDENT
    tcp_allocation: typing.Optional[str] = PRESERVING
    tcp_open: bool = True
    lifetime_s: typing.Optional[float] = None  # of an idle mapping that was answered


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a NAT forbids or loses, whatever it translates; every kind can have them."""

    blocked: tuple = ()  # "udp", "tcp"
    open_ports: tuple = ()  # outbound to these only; empty: to all
    loss: float = 0  # chance of a forwarded packet to vanish, in each direction
    quota: int = 0  # conntrack entries of one internal address; 0: no limit
    udp_timeout_s: int = 0  # of an idle mapping, answered or not; 0: the kernel's 30 and 120 s


@dataclasses.dataclass(frozen=True)
class Kind:
    about: str
    truth: Truth
    # (external address, generation) -> nftables rules; a higher generation has other external ports.
    rules: typing.Optional[typing.Callable] = None
    limits: Limits = Limits()
    layers: tuple = ()  # kinds from the inside out, instead of rules
    moves: bool = True  # a higher generation has other ports; otherwise only another address is a rebinding
    host_firewall: bool = False  # no NAT: the rules are the machine's own


# Without it a packet that nobody asked for is delivered to the router itself, which answers, remembers the pair of
# endpoints, and gives our own later packet to that endpoint another port.
_DROP_UNSOLICITED = """
table ip filter {
  chain input {
    type filter hook input priority filter
    iifname "wan" ct state new drop
  }
}
"""


def _post(udp, tcp=""):
    return f"""
table ip nat {{
  chain post {{
    type nat hook postrouting priority srcnat
    oifname "wan" meta l4proto udp {udp}
    oifname "wan" meta l4proto tcp {tcp or "masquerade"}
    oifname "wan" masquerade
  }}
}}
"""


def _masquerade(first=None, last=None, flags=""):
    """Masquerading to a range of ports, by generation the next range of the same size; without one, ports are kept at
    first. A port that is in the range already is kept, too, so the range after that must lie below the ports that
    machines choose by themselves (32768 and up)."""
    def rules(_, generation):
        size = last - first + 1 if first else 10_000
        base, index = (first, generation) if first else (20_000, max(generation - 1, 0))
        low = base + index * size % ((60_000 - base) // size * size)
        udp = f"masquerade to :{low}-{low + size - 1} {flags}" if first or generation else f"masquerade {flags}"
        tcp = f"masquerade to :{low}-{low + size - 1}" if generation else ""
        return _post(udp, tcp) + _DROP_UNSOLICITED
    return rules


def _random_for_both(_, __):
    return _post("masquerade random", "masquerade random") + _DROP_UNSOLICITED


def _clash(_, generation):
    return _masquerade()(_, generation).replace(_DROP_UNSOLICITED, "")


def _sequential(delta, first=20_000, last=60_000):
    """The next port of a list for each new pair of internal socket and destination; the list starts again at its end."""
    def rules(wan, generation):
        ports = list(range(first, last + 1, abs(delta)))[:4096]
        if delta < 0:
            ports.reverse()
        start = generation * 500 % len(ports)
        ports = ports[start:] + ports[:start]
        chosen = ", ".join(f"{index} : {port}" for index, port in enumerate(ports))
        return _post(f"snat ip to {wan} : numgen inc mod {len(ports)} map {{ {chosen} }}") + _DROP_UNSOLICITED
    return rules


def _by_address(wan, generation):
    return _post(f"snat ip to {wan} : jhash ip daddr . udp sport mod 30000 seed 0x{0x5eed + generation:x} "
                 "offset 20000") + _DROP_UNSOLICITED


def _cone(only_contacted=False, hairpin=False):
    """One external port for each internal socket, remembered in a map and open to everyone (or to everyone at an
    address that the socket has sent to)."""
    def rules(wan, _):
        guard = "ip saddr . udp dport @contacted" if only_contacted else ""
        entry = f"ip daddr {wan}" if hairpin else 'iifname "wan"'
        back = 'iifname "lan" oifname "lan" ct status dnat masquerade' if hairpin else ""
        return f"""
table ip nat {{
  map cone {{
    type inet_service : ipv4_addr . inet_service
    flags dynamic,timeout
  }}
  set contacted {{
    type ipv4_addr . inet_service
    flags dynamic,timeout
  }}
  chain pre {{
    type nat hook prerouting priority dstnat
    {entry} meta l4proto udp {guard} dnat ip to udp dport map @cone
  }}
  chain post {{
    type nat hook postrouting priority srcnat
    {back}
    oifname "wan" meta l4proto udp update @cone {{ udp sport timeout 300s : ip saddr . udp sport }}
    oifname "wan" meta l4proto udp update @contacted {{ ip daddr . udp sport timeout 300s }}
    oifname "wan" masquerade
  }}
}}
""" + _DROP_UNSOLICITED
    return rules


def _host_firewall(_, __):
    return _DROP_UNSOLICITED


_SYMMETRIC = {"mapping": ADDRESS_AND_PORT}

KINDS = {
    PUBLIC: Kind("no NAT, no firewall", Truth(NONE, NONE, hairpin=None, tcp_mapping=NONE)),
    "firewall": Kind("no NAT; the machine's own firewall lets answers in", Truth(NONE, ADDRESS_AND_PORT, hairpin=None,
                     tcp_mapping=NONE), _host_firewall, host_firewall=True),
    "eim": Kind("a home router: keeps ports, drops what nobody asked for", Truth(), _masquerade()),
    "clash": Kind("as eim, but answers what nobody asked for and is confused by it", Truth(), _clash),
    "eim-random": Kind("another port than inside, the same for all", Truth(allocation=RANDOM),
                       _masquerade(20_000, 29_999)),
    "fullcone": Kind("everyone may answer", Truth(filtering=INDEPENDENT), _cone(), moves=False),
    "fullcone-hairpin": Kind("everyone may answer, those inside too", Truth(filtering=INDEPENDENT, hairpin=True),
                             _cone(hairpin=True), moves=False),
    "adf": Kind("every port of a contacted address may answer", Truth(filtering=ADDRESS), _cone(only_contacted=True),
                moves=False),
    "adm": Kind("another port for each address", Truth(ADDRESS, allocation=RANDOM), _by_address),
    "symmetric": Kind("another port for each destination, anywhere", Truth(**_SYMMETRIC, allocation=RANDOM),
                      _masquerade(flags="random")),
    "symmetric-tcp": Kind("as symmetric, and TCP is treated alike",
                          Truth(**_SYMMETRIC, allocation=RANDOM, tcp_mapping=ADDRESS_AND_PORT, tcp_allocation=RANDOM),
                          _random_for_both),
    "chunked": Kind("another port for each destination, within 256",
                    Truth(**_SYMMETRIC, allocation=BLOCK, block=(30_000, 30_255)),
                    _masquerade(30_000, 30_255, "random")),
    "sequential": Kind("the next port for each destination",
                       Truth(**_SYMMETRIC, allocation=SEQUENTIAL, delta=1), _sequential(1)),
    "sequential-256": Kind("256 ports further for each destination",
                           Truth(**_SYMMETRIC, allocation=SEQUENTIAL, delta=256), _sequential(256, 2048, 65_535)),
    "sequential-down": Kind("two ports lower for each destination",
                            Truth(**_SYMMETRIC, allocation=SEQUENTIAL, delta=-2), _sequential(-2)),
    "cgn": Kind("eim behind a provider's eim-random", Truth(allocation=RANDOM), layers=("eim", "eim-random")),
    "cgn-hairpin": Kind("fullcone behind a provider's fullcone-hairpin", Truth(filtering=INDEPENDENT, hairpin=True),
                        layers=("fullcone", "fullcone-hairpin")),
    "cgn-sequential": Kind("adf behind a provider's sequential", Truth(**_SYMMETRIC, allocation=SEQUENTIAL, delta=1),
                           layers=("adf", "sequential")),
    "three-layers": Kind("symmetric, fullcone and eim in a row", Truth(**_SYMMETRIC, allocation=RANDOM),
                         layers=("symmetric", "fullcone", "eim")),
    "udp-blocked": Kind("no UDP at all", Truth(None, None, None, hairpin=None, open=False), _masquerade(),
                        Limits(blocked=("udp",))),
    "tcp-443-only": Kind("TCP to port 443 and nothing else", Truth(None, None, None, hairpin=None, open=False,
                         tcp_open=False), _masquerade(), Limits(blocked=("udp",), open_ports=(443,))),
    "short-timers": Kind("eim that forgets an idle mapping after 3 s", Truth(lifetime_s=3), _masquerade(),
                         Limits(udp_timeout_s=3)),
    "lossy": Kind("eim that loses 2 % of the packets each way", Truth(), _masquerade(), Limits(loss=0.02)),
    "quota": Kind("eim that allows 64 flows", Truth(), _masquerade(), Limits(quota=64)),
}


def rules(kind, wan, generation=0, limits=None):
    """All of a router's rules, for `nft -f -`."""
    return KINDS[kind].rules(wan, generation) + _forward_rules(limits or KINDS[kind].limits)


def _forward_rules(limits):
    lines = [f"meta l4proto {protocol} drop" for protocol in limits.blocked]
    if limits.open_ports:
        ports = ", ".join(map(str, limits.open_ports))
        lines.append(f'oifname "wan" meta l4proto {{ tcp, udp }} th dport != {{ {ports} }} drop')
    if limits.loss:
        lines.append(f"numgen random mod 10000 < {round(limits.loss * 10_000)} drop")
    if limits.quota:
        lines.append(f'oifname "wan" ct state new add @flows {{ ip saddr ct count over {limits.quota} }} drop')
    if not lines:
        return ""
    flows = "set flows {\n type ipv4_addr\n flags dynamic\n }" if limits.quota else ""
    body = "\n    ".join(lines)
    return f"""
table ip limits {{
  {flows}
  chain forward {{
    type filter hook forward priority filter
    {body}
  }}
}}
"""


def sysctls(kind, limits=None):
    """What is set in the router besides rules: {path under /proc/sys: value}."""
    seconds = (limits or KINDS[kind].limits).udp_timeout_s
    names = ("nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream") if seconds else ()
    return {f"net/netfilter/{name}": seconds for name in names}
