"""Topologies out of network namespaces, veth pairs, nftables NATs and delay links.

    a -- na ==== core ==== nb -- b        na, nb: kinds of kernel_nats.py, a router hop between them
                   |
                 server                   every ==== is a delay link if a delay is asked for

Run inside sandbox.enter(): names are private to the run and nothing needs to be removed by hand.
"""

import ctypes
import dataclasses
import ipaddress
import os
import pathlib
import subprocess
import typing

import kernel_nats

SERVER_ADDRESS = "203.0.113.10"
ALTERNATE_ADDRESS = "203.0.113.11"  # of a server with two
PUBLIC = kernel_nats.PUBLIC
NAT_KINDS = tuple(kind for kind in kernel_nats.KINDS if kind != PUBLIC)


class LabError(Exception):
    pass


_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000


def in_namespace(path, action):
    """Calls action() while this thread is in a network namespace; sockets made there stay there."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(path, os.O_RDONLY)
    try:
        if _libc.setns(there, _CLONE_NEWNET) != 0:
            raise LabError(f"cannot enter {path}: {os.strerror(ctypes.get_errno())}")
        try:
            return action()
        finally:
            _libc.setns(home, _CLONE_NEWNET)
    finally:
        os.close(there)
        os.close(home)


class Namespace:
    def __init__(self, name):
        self.name = name
        self.path = f"/run/netns/{name}"
        _run(["ip", "netns", "add", name])
        # IPv6 addresses work at once: nobody else has them.
        self.sysctl(**{"net/ipv6/conf/default/accept_dad": 0})
        self.ip("link set lo up")

    def command(self, argv):
        """argv so that it runs in here; the process keeps its pid."""
        return ["nsenter", f"--net={self.path}", "--", *map(str, argv)]

    def run(self, argv, **options):
        return _run(self.command(argv), **options)

    def ip(self, *lines):
        _run(["ip", "-n", self.name, "-batch", "-"], input="\n".join(lines) + "\n")

    def nft(self, rules):
        self.run(["nft", "-f", "-"], input=rules)

    def sysctl(self, **values):
        """Paths under /proc/sys, with `/` between their parts."""
        def write():
            for path, value in values.items():
                try:
                    pathlib.Path("/proc/sys", path).write_text(f"{value}\n")
                except OSError as error:
                    raise LabError(f"{self.name}: {path} = {value}: {error.strerror}") from None
        in_namespace(self.path, write)

    def make_router(self):
        self.sysctl(**{"net/ipv4/ip_forward": 1})
        # Where the kernel has it, packets within the LAN, and those that turn back into it, would skip the router's rules.
        if os.path.exists("/proc/sys/net/bridge/bridge-nf-call-iptables"):
            self.sysctl(**{"net/bridge/bridge-nf-call-iptables": 0})


@dataclasses.dataclass
class Host:
    """A machine that a peer or the server runs on."""

    namespace: Namespace
    address: str  # its own
    public: str  # what the world sees: its NAT's address, or its own
    alternate: typing.Optional[str] = None  # second address of a server


@dataclasses.dataclass
class DelayLink:
    """What is between two routers; the delay is one way."""

    delay_ms: float = 0
    rate_mbit: float = 0
    queue_bytes: int = 0
    loss: float = 0
    seed: int = 1

    @property
    def ideal(self):
        return not (self.delay_ms or self.rate_mbit or self.loss)

    def options(self):
        queue = f"{self.queue_bytes}B" if self.queue_bytes else "1GB"  # 0 is unlimited
        return ["--delay", f"{self.delay_ms:f}ms", "--rate", f"{self.rate_mbit:f}mbit" if self.rate_mbit else 0,
                "--queue", queue, "--loss", f"{self.loss:f}", "--seed", self.seed]


class Lab:
    """Builds topologies and owns the processes that are part of them; use it in a `with`."""

    def __init__(self, binaries):
        self._binaries = binaries
        self._links = {}  # name of the outer interface -> process
        self._sides = 0
        self._servers = 0
        self.core = Namespace("core")
        self.core.make_router()
        self.server = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for process in self._links.values():
            process.terminate()
        for process in self._links.values():
            process.wait(timeout=10)
            process.stdin.close()
            process.stdout.close()
        self._links.clear()

    # --- what a topology is made of ---------------------------------------------------------------------------

    def add_server(self, delay_ms=0, name="server", alternate=False):
        """The first one has SERVER_ADDRESS and, as the alternate of RFC 5780, ALTERNATE_ADDRESS; more may follow."""
        namespace = Namespace(name)
        network = f"203.0.{113 + self._servers}"
        self._servers += 1
        self.connect(namespace, "wan", f"{network}.10/24", name, f"{network}.1/24", DelayLink(delay_ms))
        if alternate:
            namespace.ip(f"address add {network}.11/24 dev wan")
        namespace.ip(f"route add default via {network}.1")
        host = Host(namespace, f"{network}.10", f"{network}.10", f"{network}.11" if alternate else None)
        self.server = self.server or host
        return host

    def add_side(self, name, kind, delay_ms=0, lan=None, block_udp=False):
        """A host behind a NAT of its own, or with a public address; `lan` is the private network, e.g. 10.1.0.0/24."""
        if kind == PUBLIC or kernel_nats.KINDS[kind].host_firewall:
            return self._add_public(name, kind, delay_ms)
        router = self.add_nat(f"n{name}", kind, delay_ms, lan, block_udp)
        return router.add_host(name)

    def add_nat(self, name, kind, delay_ms=0, lan=None, block_udp=False, link=None, behind=None, limits=None):
        """A NAT router; add_host() puts machines on its LAN. `link` says more about its access line than a delay,
        `behind` is another NAT, `limits` replaces those of the kind. Of a kind with layers this is the innermost one."""
        layers = kernel_nats.KINDS[kind].layers
        for index, outer in enumerate(reversed(layers[1:])):
            behind = self.add_nat(f"{name}-{index}", outer, delay_ms, link=link, behind=behind)
            delay_ms, link = 0, None
        if layers:
            kind = layers[0]
        if block_udp:
            limits = dataclasses.replace(limits or kernel_nats.KINDS[kind].limits, blocked=("udp",))
        self._sides += 1
        lan = ipaddress.ip_network(lan or f"10.{self._sides}.0.0/24")
        if behind is None:
            wan = ipaddress.ip_network(f"198.18.{self._sides}.0/24")
            address, gateway = f"{wan[2]}/24", wan[1]
        else:
            address, gateway = behind.with_prefix(behind.next_address()), behind.gateway
        return _Nat(self, name, kind, link or DelayLink(delay_ms), address, gateway, lan, behind, limits)

    def _add_public(self, name, kind, delay_ms):
        self._sides += 1
        namespace = Namespace(name)
        address = f"198.18.{self._sides}.2"
        gateway = f"198.18.{self._sides}.1"
        self.connect(namespace, "wan", f"{address}/24", name, f"{gateway}/24", DelayLink(delay_ms))
        namespace.ip(f"route add default via {gateway}")
        if kind != PUBLIC:
            namespace.nft(kernel_nats.rules(kind, address))
        return Host(namespace, address, address)

    def connect(self, namespace, interface, address, core_interface, core_address, link):
        """Links a namespace to the core router, through a delay link if there is anything to emulate."""
        self.join(namespace, interface, self.core, core_interface, link)
        namespace.ip(f"address add {address} dev {interface}")
        self.core.ip(f"address add {core_address} dev {core_interface}")

    def join(self, namespace, interface, other, other_interface, link):
        """Two interfaces and what is between them, without addresses."""
        if link.ideal:
            namespace.ip(f"link add {interface} type veth peer name {other_interface} netns {other.name}")
        else:
            self._start_link(namespace, interface, other, other_interface, link)
        for end, name in ((namespace, interface), (other, other_interface)):
            end.ip(f"link set dev {name} txqueuelen 10000 up")

    def _start_link(self, namespace, interface, other, other_interface, link):
        argv = [self._binaries.find("natbox"), "link", "--a", f"{namespace.path}:{interface}",
                "--b", f"{other.path}:{other_interface}", *link.options()]
        process = subprocess.Popen(list(map(str, argv)), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, text=True)
        self._links[other_interface] = process
        if process.stdout.readline() != "ready\n":
            raise LabError(f"the delay link did not start: {' '.join(map(str, argv))}")

    def command_link(self, name, words):
        """A command of `natbox link` to the delay link of that name."""
        process = self._links[name]
        process.stdin.write(words + "\n")
        process.stdin.flush()
        answer = process.stdout.readline().strip()
        if answer != "ok":
            raise LabError(f"{name}: {words}: {answer or 'the delay link has ended'}")


class _Nat:
    """A NAT router; hosts, or further NATs, behind it share one bridged LAN."""

    def __init__(self, lab, name, kind, link, address, gateway, lan, behind, limits):
        self.kind = kind
        self.address = address.partition("/")[0]  # on its outer side
        self.public = behind.public if behind else self.address  # as the world sees it
        self.namespace = Namespace(name)
        self.namespace.make_router()
        self.gateway = str(lan[1])
        self._behind = behind
        self._gateway_outside = gateway
        self._lan = lan
        self._hosts = 0
        self._limits = limits
        self._generation = 0
        if behind:
            lab.join(self.namespace, "wan", behind.namespace, name, link)
            self.namespace.ip(f"address add {address} dev wan")
            behind.namespace.ip(f"link set dev {name} master lan")
        else:
            lab.connect(self.namespace, "wan", address, name, f"{gateway}/24", link)
        self.namespace.ip(f"route add default via {gateway}", "link add lan type bridge",
                          f"address add {lan[1]}/{lan.prefixlen} dev lan", "link set lan up")
        self._load_rules()

    def _load_rules(self):
        self.namespace.nft("flush ruleset\n" + kernel_nats.rules(self.kind, self.address, self._generation, self._limits))
        if values := kernel_nats.sysctls(self.kind, self._limits):
            self.namespace.sysctl(**values)

    def next_address(self):
        """For another machine on the LAN; `with_prefix` gives it as an interface wants it."""
        self._hosts += 1
        return str(self._lan[1 + self._hosts])

    def with_prefix(self, address):
        return f"{address}/{self._lan.prefixlen}"

    def add_host(self, name):
        address = self.next_address()
        host = Namespace(name)
        host.ip(f"link add eth0 type veth peer name {name} netns {self.namespace.name}",
                f"address add {self.with_prefix(address)} dev eth0", "link set eth0 up",
                f"route add default via {self.gateway}")
        self.namespace.ip(f"link set dev {name} master lan up")
        return Host(host, address, self.public)

    # --- faults -----------------------------------------------------------------------------------------------

    def expire(self):
        """All mappings are gone; where ports are preserved, new ones get the same."""
        self.namespace.run(["conntrack", "-F"])

    def limit(self, limits):
        """Block, lose or count from here on (kernel_nats.Limits); mappings stay."""
        self._limits = limits
        self._load_rules()

    def rebind(self):
        """A reboot: all mappings are gone, and new ones get other ports than before."""
        if not kernel_nats.KINDS[self.kind].moves:
            raise LabError(f"a {self.kind} keeps its ports; change_address() rebinds it")
        self._generation += 1
        self._load_rules()
        self.expire()

    def change_address(self):
        """A reconnection: all mappings are gone, and the external address is another one. Returns it."""
        old = self.address
        self.address = str(ipaddress.ip_address(old) + 1) if self._behind is None else self._behind.next_address()
        self.namespace.ip(f"address del {old}/24 dev wan", f"address add {self.address}/24 dev wan",
                          f"route replace default via {self._gateway_outside}")
        if self.public == old:
            self.public = self.address
        self._load_rules()
        self.expire()
        return self.public


class Binaries:
    """The programs under test, in a build folder."""

    _FOLDERS = (".", "bin", "peer", "rendezvous", "tests/e2e", "tests/lab/natbox", "libexec/pinhole")

    def __init__(self, *folders):
        self._folders = [pathlib.Path(folder).resolve() for folder in folders]

    @classmethod
    def from_environment(cls):
        """PINHOLE_BUILD names the build folder; ctest and the scripts set it."""
        folder = os.environ.get("PINHOLE_BUILD")
        if not folder:
            raise LabError("PINHOLE_BUILD must name a build folder")
        return cls(folder)

    def find(self, name):
        for folder in self._folders:
            for inner in self._FOLDERS:
                path = folder / inner / name
                if path.is_file():
                    return path
        raise LabError(f"{name} is not built in {', '.join(map(str, self._folders))}")


def _run(argv, **options):
    result = subprocess.run(list(map(str, argv)), capture_output=True, text=True, **options)
    if result.returncode != 0:
        raise LabError(f"{' '.join(map(str, argv))}\n{options.get('input', '')}\n{result.stderr.strip()}")
    return result.stdout
