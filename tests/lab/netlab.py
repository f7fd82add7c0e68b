"""Topologies out of network namespaces, veth pairs, nftables NATs and delay links.

    a -- na ==== core ==== nb -- b        na, nb: NATs of a kind below, a router hop between them
                   |
                 server                   every ==== is a delay link if a delay is asked for

Run inside sandbox.enter(): names are private to the run and nothing needs to be removed by hand.
"""

import dataclasses
import ipaddress
import os
import pathlib
import subprocess

SERVER_ADDRESS = "203.0.113.10"
NAT_KINDS = ("eim", "eim-random", "fullcone", "adf", "symmetric")
PUBLIC = "public"

_DROP_UNSOLICITED = """
table ip filter {
  chain input {
    type filter hook input priority filter
    iifname "wan" ct state new drop
  }
}
"""
# One external port for each internal socket, remembered in a map and open to everyone (or, with the set `contacted`,
# to everyone at an address that the socket has sent to).
_CONE = """
table ip nat {
  map cone {
    type inet_service : ipv4_addr . inet_service
    flags dynamic,timeout
  }
  set contacted {
    type ipv4_addr . inet_service
    flags dynamic,timeout
  }
  chain pre {
    type nat hook prerouting priority dstnat
    iifname "wan" meta l4proto udp %s dnat ip to udp dport map @cone
  }
  chain post {
    type nat hook postrouting priority srcnat
    oifname "wan" meta l4proto udp update @cone { udp sport timeout 300s : ip saddr . udp sport }
    oifname "wan" meta l4proto udp update @contacted { ip daddr . udp sport timeout 300s }
    oifname "wan" masquerade
  }
}
""" + _DROP_UNSOLICITED


def _masquerade(how):
    return """
table ip nat {
  chain post {
    type nat hook postrouting priority srcnat
    oifname "wan" meta l4proto udp masquerade %s
    oifname "wan" masquerade
  }
}
""" % how + _DROP_UNSOLICITED


# Mapping and filtering in the words of RFC 4787; each was confirmed with independent NAT classifiers.
_RULES = {
    "eim": _masquerade(""),  # endpoint-independent, ports preserved; filter: address and port
    "eim-random": _masquerade("to :20000-29999"),  # the same, another port than inside
    "symmetric": _masquerade("random"),  # a new random port for each destination; filter: address and port
    "fullcone": _CONE % "",  # endpoint-independent mapping and filtering
    "adf": _CONE % "ip saddr . udp dport @contacted",  # endpoint-independent mapping, filter: address
}
_BLOCK_UDP = """
table ip block {
  chain forward {
    type filter hook forward priority filter
    meta l4proto udp drop
  }
}
"""


class LabError(Exception):
    pass


class Namespace:
    def __init__(self, name):
        self.name = name
        self.path = f"/run/netns/{name}"
        _run(["ip", "netns", "add", name])
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

    def make_router(self):
        self.run(["sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"])


@dataclasses.dataclass
class Host:
    """A machine that a peer or the server runs on."""

    namespace: Namespace
    address: str  # its own
    public: str  # what the world sees: its NAT's address, or its own


@dataclasses.dataclass
class DelayLink:
    """What is between two routers; the delay is one way."""

    delay_ms: float = 0
    rate_mbit: float = 0
    queue_bytes: int = 0
    loss: float = 0
    seed: int = 1

    def options(self):
        return ["--delay-ms", self.delay_ms, "--rate-mbit", self.rate_mbit, "--queue-bytes", self.queue_bytes,
                "--loss", self.loss, "--seed", self.seed]


class Lab:
    """Builds topologies and owns the processes that are part of them; use it in a `with`."""

    def __init__(self, binaries):
        self._binaries = binaries
        self._links = []
        self._sides = 0
        self.core = Namespace("core")
        self.core.make_router()
        self.server = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for process in self._links:
            process.terminate()
        for process in self._links:
            process.wait(timeout=10)
            process.stdout.close()
        self._links.clear()

    # --- what a topology is made of ---------------------------------------------------------------------------

    def add_server(self, delay_ms=0):
        namespace = Namespace("server")
        self.connect(namespace, "wan", f"{SERVER_ADDRESS}/24", "server", "203.0.113.1/24", DelayLink(delay_ms))
        namespace.ip("route add default via 203.0.113.1")
        self.server = Host(namespace, SERVER_ADDRESS, SERVER_ADDRESS)
        return self.server

    def add_side(self, name, kind, delay_ms=0, lan=None, block_udp=False):
        """A host behind a NAT of its own, or with a public address; `lan` is the private network, e.g. 10.1.0.0/24."""
        if kind == PUBLIC:
            return self._add_public(name, delay_ms)
        router = self.add_nat(f"n{name}", kind, delay_ms, lan, block_udp)
        return router.add_host(name)

    def add_nat(self, name, kind, delay_ms=0, lan=None, block_udp=False, link=None):
        """A NAT router; add_host() puts machines on its LAN. `link` says more about its access line than a delay."""
        self._sides += 1
        wan = ipaddress.ip_network(f"198.18.{self._sides}.0/24")
        lan = ipaddress.ip_network(lan or f"10.{self._sides}.0.0/24")
        return _Nat(self, name, kind, link or DelayLink(delay_ms), wan, lan, block_udp)

    def _add_public(self, name, delay_ms):
        self._sides += 1
        namespace = Namespace(name)
        address = f"198.18.{self._sides}.2"
        gateway = f"198.18.{self._sides}.1"
        self.connect(namespace, "wan", f"{address}/24", name, f"{gateway}/24", DelayLink(delay_ms))
        namespace.ip(f"route add default via {gateway}")
        return Host(namespace, address, address)

    def connect(self, namespace, interface, address, core_interface, core_address, link):
        """Links a namespace to the core router, through a delay link if there is anything to emulate."""
        if link.delay_ms or link.rate_mbit or link.loss:
            self._start_link(namespace, interface, core_interface, link)
        else:
            namespace.ip(f"link add {interface} type veth peer name {core_interface} netns core")
        for end, name, own in ((namespace, interface, address), (self.core, core_interface, core_address)):
            end.ip(f"address add {own} dev {name}", f"link set dev {name} txqueuelen 10000 up")

    def _start_link(self, namespace, interface, core_interface, link):
        argv = [self._binaries.find("pinhole-delay-link"), "--a", f"{namespace.path}:{interface}",
                "--b", f"{self.core.path}:{core_interface}", *link.options()]
        process = subprocess.Popen(list(map(str, argv)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self._links.append(process)
        if process.stdout.readline() != "ready\n":
            raise LabError(f"the delay link did not start: {argv}")


class _Nat:
    """A NAT router; hosts behind it share one bridged LAN."""

    def __init__(self, lab, name, kind, link, wan, lan, block_udp):
        self._lan = lan
        self._hosts = 0
        self.public = str(wan[2])
        self.namespace = Namespace(name)
        self.namespace.make_router()
        lab.connect(self.namespace, "wan", f"{wan[2]}/24", name, f"{wan[1]}/24", link)
        self.namespace.ip(f"route add default via {wan[1]}", "link add lan type bridge",
                          f"address add {lan[1]}/{lan.prefixlen} dev lan", "link set lan up")
        self.namespace.nft(_RULES[kind] + (_BLOCK_UDP if block_udp else ""))

    def add_host(self, name):
        self._hosts += 1
        host = Namespace(name)
        address = self._lan[1 + self._hosts]
        host.ip(f"link add eth0 type veth peer name {name} netns {self.namespace.name}",
                f"address add {address}/{self._lan.prefixlen} dev eth0", "link set eth0 up",
                f"route add default via {self._lan[1]}")
        self.namespace.ip(f"link set dev {name} master lan up")
        return Host(host, str(address), self.public)


class Binaries:
    """The programs under test, in a build folder."""

    _FOLDERS = (".", "bin", "peer", "rendezvous", "tests/e2e")

    def __init__(self, build):
        self._build = pathlib.Path(build).resolve()

    @classmethod
    def from_environment(cls):
        """PINHOLE_BUILD names the build folder; ctest and the scripts set it."""
        folder = os.environ.get("PINHOLE_BUILD")
        if not folder:
            raise LabError("PINHOLE_BUILD must name a build folder")
        return cls(folder)

    def find(self, name):
        for folder in self._FOLDERS:
            path = self._build / folder / name
            if path.is_file():
                return path
        raise LabError(f"{name} is not built in {self._build}")


def _run(argv, **options):
    result = subprocess.run(list(map(str, argv)), capture_output=True, text=True, **options)
    if result.returncode != 0:
        raise LabError(f"{' '.join(map(str, argv))}\n{options.get('input', '')}\n{result.stderr.strip()}")
    return result.stdout
