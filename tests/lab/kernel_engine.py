"""The kernel engine: a scenario's topology out of namespaces, the kernel's own NATs and delay links (netlab).

It is the truth where it can express something; why_not() says what it cannot.
"""

import dataclasses
import ipaddress

import capture
import kernel_nats
import netlab
import topology

_DEFAULTS = {"hairpin": False, "unsolicited": "drop", "external": 1, "pooling": "paired", "inbound_refresh": True,
             "background": 0, "tcp_established_timeout": 7440, "tcp_transitory_timeout": 240, "block_size": 256,
             "ports": [1024, 65535]}
# What no rule of nftables does. `hairpin` and `unsolicited` are part of a kind.
_NOT_OURS = ("external", "pooling", "inbound_refresh", "background", "tcp_established_timeout", "tcp_transitory_timeout",
             "block_size", "ports")


# --- what can be expressed ----------------------------------------------------------------------------------------


def why_not(scenario):
    """None, or the reason why this engine cannot play the scenario."""
    network = scenario.topology
    for nat in network.nats.values():
        if reason := _nat_reason(nat) or _hairpin_reason(nat, network) or _line_reason(nat, network):
            return f"{nat.name}: {reason}"
    for host in network.hosts.values():
        if reason := _line_reason(host, network):
            return f"{host.name}: {reason}"
        if host.behind != topology.INTERNET and host.get("addresses", 1) != 1:
            return f"{host.name}: several addresses behind a NAT"
        if host.get("ipv6") and len(network.layers(host.name)) > 1:
            return f"{host.name}: IPv6 through several routers"
    for step in scenario.steps:
        if reason := _step_reason(step, network):
            return f"step {step.number}, {step.verb}: {reason}"
    return None


def kind_of(nat):
    """The kind of kernel NAT that behaves so, or None."""
    if chosen := nat.get("kernel"):
        return chosen if chosen in kernel_nats.KINDS else None
    mapping = nat.get("mapping", kernel_nats.INDEPENDENT)
    allocation = nat.get("allocation", kernel_nats.PRESERVING)
    tcp = nat.get("tcp", {})
    wanted = {"mapping": mapping, "filtering": nat.get("filtering", kernel_nats.ADDRESS_AND_PORT),
              "allocation": allocation, "hairpin": nat.get("hairpin", False),
              "delta": nat.get("delta", 1) if allocation == kernel_nats.SEQUENTIAL else None,
              "tcp_mapping": tcp.get("mapping", mapping), "tcp_allocation": tcp.get("allocation", allocation)}
    for name, kind in kernel_nats.KINDS.items():
        plain = kind.rules and not kind.host_firewall and kind.limits == kernel_nats.Limits()
        clash = name == "clash"
        if plain and clash == (nat.get("unsolicited") == "clash") and all(
                getattr(kind.truth, key) == value for key, value in wanted.items()):
            return name
    return None


def _nat_reason(nat):
    kind = kind_of(nat)
    if "kernel" in nat.values and kind is None:
        return f"there is no kernel kind {nat.get('kernel')!r}"
    if kind is None or (nat.get("unsolicited") == "reject" and "kernel" not in nat.values):
        return "no kernel NAT behaves like this"
    for key in _NOT_OURS:
        if key in nat.values and nat.get(key) != _DEFAULTS[key] and (key == "external" or "kernel" not in nat.values):
            return f"`{key}` is beyond the kernel's NAT"
    if kernel_nats.KINDS[kind].layers or kernel_nats.KINDS[kind].host_firewall:
        return f"the kind {kind!r} is no single NAT; write its layers as [[nat]]s"
    if "udp_timeout" in nat.values and _remembers_by_itself(kind):
        return f"`udp_timeout` of the kind {kind!r} is fixed"
    return None


def _hairpin_reason(nat, network):
    """RFC 4787 REQ-9b: hairpinned packets have the external address and port as their source; the model does it so."""
    inside = [node for node in (*network.nats.values(), *network.hosts.values()) if node.behind == nat.name]
    kind = kind_of(nat)
    if nat.get("hairpin") and len(inside) > 1 and "ct status dnat masquerade" in kernel_nats.rules(kind, "192.0.2.1"):
        return f"the kind {kind!r} shows those inside the router's own address when it hairpins"
    return None


def _remembers_by_itself(kind):
    """Its rules keep a table of mappings beside the kernel's."""
    return not kernel_nats.KINDS[kind].moves


def _line_reason(node, network):
    """On the internet a line is a natbox link, which does everything; within a LAN it is a cable of the kernel's."""
    if node.behind == topology.INTERNET:
        return None
    for key, value in [*node.up.values.items(), *node.down.values.items()]:
        if key not in ("loss", "mtu") and value:
            return f"`{key}` of a link within a LAN"
    if node.up.get("mtu") != node.down.get("mtu"):
        return "an `mtu` within a LAN that differs by direction"
    return None


def _step_reason(step, network):
    if step.verb == "background":
        return "the kernel engine has no traffic of others"
    if step.verb == "rebind":
        kind = kind_of(network.nats[step.target])
        if not kernel_nats.KINDS[kind].moves:
            return f"a {kind} keeps its ports"
    if step.verb == "link":
        given = set(step.keys) | {key for way in ("up", "down") for key in step.get(way, {})}
        if (beyond := given - {"loss", "up", "down"}) and _Line(network.node(step.target)).ideal:
            return f"`{sorted(beyond)[0]}` of a line that is a plain cable at first"
    if step.verb == "move" and any(network.hosts[step.target].get(key) for key in ("ipv6",)):
        return "a host with IPv6 that moves"
    return None


# --- the engine ----------------------------------------------------------------------------------------------------


class _Line:
    """What netlab makes a natbox link from."""

    def __init__(self, node):
        self._node = node
        self._ways = {"up": node.up.values, "down": node.down.values} if node.behind == topology.INTERNET else {}

    @property
    def ideal(self):
        return not any(self._ways.values())

    def options(self):
        return [word for way, values in self._ways.items() for key, value in values.items()
                for word in (f"--{way}-{key.replace('_', '-')}", topology.setting(key, value))]


@dataclasses.dataclass
class _Attachment:
    """Both ends of a node's line: where each direction can be stopped, and made to lose if it is no natbox link."""

    inner: netlab.Namespace
    interface: str
    outer: netlab.Namespace
    outer_interface: str
    loss_up: float = 0
    loss_down: float = 0
    cut: bool = False
    cut_towards: set = dataclasses.field(default_factory=set)  # names of neighbours
    is_cable: bool = False


class KernelEngine:
    name = "kernel"

    def __init__(self, scenario, binaries, folder):
        self._network = scenario.topology
        self._lab = netlab.Lab(binaries)
        self._capture = capture.Capture(folder)
        self._nats = {}
        self._hosts = {}
        self._addresses = {}
        self._lines = {}
        self._blocked = {}
        self._v6_lans = {}
        self._sides = 0

    def __enter__(self):
        try:
            for node in self._network.nats.values():
                self._nat(node.name)
            for node in self._network.hosts.values():
                self._add_host(node)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._capture.close()
        self._lab.close()

    def host(self, name):
        return self._hosts[name]

    def addresses(self, name):
        """IPv4 addresses of a host, external ones of a NAT; IPv6 ones follow."""
        return self._addresses[name]

    # --- building ----------------------------------------------------------------------------------------------

    def _nat(self, name):
        """Made together with those that it is behind."""
        if name not in self._nats:
            node = self._network.nats[name]
            behind = None if node.behind == topology.INTERNET else self._nat(node.behind)
            self._nats[name] = nat = self._lab.add_nat(name, kind_of(node), link=_Line(node), behind=behind,
                                                      limits=_limits(node), lan=node.get("lan"))
            self._addresses[name] = [nat.address]
            outer = behind.namespace if behind else self._lab.core
            self._attach(node, nat.namespace, "wan", outer, name)
            if behind is None and node.get("ipv6", "off") != "off":
                self._route_ipv6(name, nat)
        return self._nats[name]

    def _add_host(self, node):
        if node.behind == topology.INTERNET:
            namespace = netlab.Namespace(node.name)
            self._hosts[node.name] = self._plug_into_internet(node, namespace, node.get("addresses", 1))
        else:
            nat = self._nats[node.behind]
            self._hosts[node.name] = nat.add_host(node.name)
            self._attach(node, self._hosts[node.name].namespace, "eth0", nat.namespace, node.name)
        host = self._hosts[node.name]
        self._addresses[node.name] = [address for address in (host.address, host.alternate) if address]
        if node.get("ipv6"):
            self._addresses[node.name].append(self._add_ipv6(node, host.namespace))

    def _plug_into_internet(self, node, namespace, addresses):
        self._sides += 1
        network = ipaddress.ip_network(f"198.19.{self._sides}.0/24")
        if isinstance(addresses, int):
            addresses = [str(network[2 + index]) for index in range(addresses)]
        else:
            network = ipaddress.ip_network(f"{addresses[0]}/24", strict=False)
        gateway = next(str(address) for address in network.hosts() if str(address) not in addresses)
        self._lab.connect(namespace, "eth0", f"{addresses[0]}/24", node.name, f"{gateway}/24", _Line(node))
        namespace.ip(*(f"address add {address}/24 dev eth0" for address in addresses[1:]),
                     f"route add default via {gateway}")
        self._attach(node, namespace, "eth0", self._lab.core, node.name)
        return netlab.Host(namespace, addresses[0], addresses[0], addresses[1] if len(addresses) > 1 else None)

    def _route_ipv6(self, name, nat):
        """A /64 for the LAN and one for the line; nothing is translated."""
        number = list(self._network.nats).index(name)
        lan, line = f"2001:2:0:{0x100 + number:x}", f"2001:2:1:{number:x}"
        self._v6_lans[name] = lan
        _forward_ipv6(nat.namespace)
        nat.namespace.ip(f"address add {line}::2/64 dev wan nodad", f"address add {lan}::1/64 dev lan nodad",
                         f"route add default via {line}::1")
        self._connect_core(name, f"{line}::1/64")
        self._lab.core.ip(f"route add {lan}::/64 via {line}::2")
        self._load_ipv6(name)

    def _connect_core(self, interface, address):
        _forward_ipv6(self._lab.core)
        self._lab.core.ip(f"address add {address} dev {interface} nodad")

    def _load_ipv6(self, name):
        """The firewall that homes have for IPv6: answers only."""
        if self._network.nats[name].get("ipv6") == "closed":
            self._nats[name].namespace.nft('''
table ip6 closed {
  chain forward {
    type filter hook forward priority filter
    iifname "wan" ct state established,related accept
    iifname "wan" drop
  }
}
''')

    def _add_ipv6(self, node, namespace):
        """Gives a host an address and a way out; returns the address."""
        if node.behind == topology.INTERNET:
            prefix = f"2001:2:2:{list(self._network.hosts).index(node.name):x}"
            self._connect_core(node.name, f"{prefix}::1/64")
            address = f"{prefix}::2"
        else:
            prefix = self._v6_lans[node.behind]
            address = f"{prefix}::{0x10 + list(self._network.hosts).index(node.name):x}"
        namespace.ip(f"address add {address}/64 dev eth0 nodad", f"route add default via {prefix}::1")
        return address

    def _attach(self, node, inner, interface, outer, outer_interface):
        line = self._lines[node.name] = _Attachment(inner, interface, outer, outer_interface)
        if _Line(node).ideal:
            self._make_cable(node, line)
        self._capture.add(node.name, inner.path, interface)

    def _make_cable(self, node, line):
        line.is_cable = True
        if mtu := node.up.get("mtu"):
            line.inner.ip(f"link set dev {line.interface} mtu {mtu}")
            line.outer.ip(f"link set dev {line.outer_interface} mtu {mtu}")
        line.loss_up, line.loss_down = node.up.get("loss"), node.down.get("loss")
        if line.loss_up or line.loss_down:
            self._load_line(node.name)

    # --- faults ------------------------------------------------------------------------------------------------

    def rebind(self, name):
        self._nats[name].rebind()
        self._reload(name)

    def expire(self, name):
        nat = self._nats[name]
        nat.expire()
        if _remembers_by_itself(nat.kind):
            nat.namespace.nft("flush map ip nat cone\nflush set ip nat contacted\n")

    def block(self, name, protocols):
        self._blocked.setdefault(name, set()).update(protocols)
        self._load_block(name)

    def unblock(self, name, protocols):
        self._blocked.setdefault(name, set()).difference_update(protocols)
        self._load_block(name)

    def cut(self, name, towards=None):
        self._set_cut(name, towards, True)

    def restore(self, name, towards=None):
        self._set_cut(name, towards, False)

    def _set_cut(self, name, towards, cut):
        if towards is None:
            self._lines[name].cut = cut
            self._load_line(name)
            return
        for one, other in ((name, towards), (towards, name)):
            others = self._lines[one].cut_towards
            (others.add if cut else others.discard)(other)
            self._load_line(one)

    def change_link(self, name, up, down):
        line = self._lines[name]
        if line.is_cable:
            line.loss_up, line.loss_down = up.get("loss", line.loss_up), down.get("loss", line.loss_down)
            self._load_line(name)
            return
        for way, values in (("up", up), ("down", down)):
            if values:
                words = " ".join(f"{key}={topology.setting(key, value)}" for key, value in values.items())
                self._lab.command_link(line.outer_interface, f"link {way} {words}")

    def move(self, name, behind):
        """Unplugs a host and plugs it in elsewhere; it gets another address."""
        node = self._network.hosts[name]
        host = self._hosts[name]
        for other in self._lines[name].cut_towards.copy():
            self._set_cut(name, other, False)
        host.namespace.ip("link del eth0")
        if behind == topology.INTERNET:
            moved = self._plug_into_internet(node, host.namespace, 1)
        else:
            nat = self._nats[behind]
            address = nat.next_address()
            self._lab.join(host.namespace, "eth0", nat.namespace, name, netlab.DelayLink())
            nat.namespace.ip(f"link set dev {name} master lan")
            host.namespace.ip(f"address add {nat.with_prefix(address)} dev eth0", f"route add default via {nat.gateway}")
            moved = netlab.Host(host.namespace, address, nat.public)
            self._lines[name] = _Attachment(host.namespace, "eth0", nat.namespace, name, is_cable=True)
            self._capture.add(f"{name}-in-{behind}", host.namespace.path, "eth0")
        host.address, host.public = moved.address, moved.public
        self._addresses[name] = [host.address]

    def _reload(self, name):
        """Loading a NAT's rules flushes everything in its namespace."""
        if self._blocked.get(name):
            self._load_block(name)
        self._load_ipv6(name)
        for node, line in self._lines.items():
            if self._nats[name].namespace in (line.inner, line.outer):
                self._load_line(node)

    def _load_block(self, name):
        drops = "".join(f"  meta l4proto {protocol} drop\n" for protocol in sorted(self._blocked[name]))
        self._nats[name].namespace.nft(
            "table inet blocked\ndelete table inet blocked\n"
            f"table inet blocked {{\n chain forward {{\n  type filter hook forward priority -10\n{drops} }}\n}}\n")

    def _load_line(self, name):
        """Drops where packets come in, so that no sender notices."""
        line = self._lines[name]
        for namespace, interface, loss in ((line.outer, line.outer_interface, line.loss_up),
                                           (line.inner, line.interface, line.loss_down)):
            verdict = "drop" if line.cut else f"numgen random mod 10000 < {round(loss * 10_000)} drop"
            table = f"line_{interface}".replace("-", "_")
            rule = f"  {verdict}\n" if line.cut or loss else ""
            if interface == line.outer_interface:
                rule += "".join(f"  {family} daddr {address} drop\n" for other in sorted(line.cut_towards)
                                for family, address in self._destinations(other))
            namespace.nft(f"table netdev {table}\ndelete table netdev {table}\ntable netdev {table} {{\n chain in {{\n"
                          f'  type filter hook ingress device "{interface}" priority 0\n{rule} }}\n}}\n')

    def _destinations(self, name):
        """What packets to a neighbour have as their destination: (family in nftables' words, address or network)."""
        networks = [f"{self._v6_lans[name]}::/64"] if name in self._v6_lans else []
        return [("ip6" if ":" in address else "ip", address) for address in [*self._addresses[name], *networks]]


def _forward_ipv6(namespace):
    namespace.sysctl(**{"net/ipv6/conf/all/forwarding": 1})


def _limits(node):
    kind = kernel_nats.KINDS[kind_of(node)]
    given = {}
    if "blocked" in node.values:
        given["blocked"] = tuple(node.get("blocked"))
    if "open_ports" in node.values:
        given["open_ports"] = tuple(node.get("open_ports"))
    if "quota" in node.values:
        given["quota"] = node.get("quota")
    if "udp_timeout" in node.values:
        given["udp_timeout_s"] = max(1, round(node.get("udp_timeout")))
    return dataclasses.replace(kind.limits, **given)
