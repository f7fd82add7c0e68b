"""The lines that speed.py measures on, each between a namespace that sends and one that receives: a veth pair as it comes,
one where packets really have the size of packets, and emulated ones with a rate, a delay, loss and a queue."""

import json
import subprocess

import netlab

SENDER = "198.18.3.1"
RECEIVER = "198.18.3.2"
_DEVICE = "wan"


class Line:
    """A pair of namespaces and what is between them."""

    def __init__(self, name):
        self.name = name
        self.sender = netlab.Namespace(f"{name}-s")
        self.receiver = netlab.Namespace(f"{name}-r")

    def open(self, seed):
        """Before a run."""

    def close(self):
        """After a run; figures of the line itself."""
        return {}

    def received_bytes(self):
        """Of IP packets that have come out at the receiver's end."""
        links = json.loads(self.receiver.run(["ip", "-s", "-j", "link", "show", "dev", _DEVICE]))
        return links[0]["stats64"]["rx"]["bytes"]

    def _add_addresses(self):
        for namespace, address in ((self.sender, SENDER), (self.receiver, RECEIVER)):
            namespace.ip(f"link set dev {_DEVICE} txqueuelen 10000 up", f"address add {address}/24 dev {_DEVICE}")


class Veth(Line):
    """`segmented`: the features that are turned off, so that the kernel cuts what it would hand over whole."""

    def __init__(self, name, segmented=()):
        super().__init__(name)
        self.sender.ip(f"link add {_DEVICE} type veth peer name {_DEVICE} netns {self.receiver.name}")
        self._add_addresses()
        for namespace in (self.sender, self.receiver) if segmented else ():
            namespace.run(["ethtool", "-K", _DEVICE, *(word for name in segmented for word in (name, "off"))])


class Emulated(Line):
    """A delay link of the lab, made anew for each run, with the run's seed."""

    def __init__(self, name, binaries, link):
        super().__init__(name)
        self._program = binaries.find("natbox")
        self._link = link
        self._process = None

    def open(self, seed):
        self._link.seed = seed
        argv = [self._program, "link", "--a", f"{self.sender.path}:{_DEVICE}", "--b",
                f"{self.receiver.path}:{_DEVICE}", *self._link.options()]
        self._process = subprocess.Popen(list(map(str, argv)), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.DEVNULL, text=True)
        if self._process.stdout.readline() != "ready\n":
            raise netlab.LabError(f"the line did not start: {' '.join(map(str, argv))}")
        self._add_addresses()

    def close(self):
        process, self._process = self._process, None
        if process is None:
            return {}
        answer, _ = process.communicate("stats\n", timeout=10)
        stats = json.loads(answer)
        return {"line_packets": stats["up"]["packets"], "line_dropped": stats["up"]["dropped"],
                "line_packets_back": stats["down"]["packets"]}


def megabits(rate, delay_ms, queue_kb, loss=0.0):
    return netlab.DelayLink(delay_ms=delay_ms, rate_mbit=rate, queue_bytes=1000 * queue_kb, loss=loss)


class Lines:
    """Each made when it is first asked for."""

    def __init__(self, binaries):
        self._binaries = binaries
        self._made = {}

    def clean(self):
        return self._of("clean", lambda name: Veth(name))

    def segmented(self, tcp):
        """What must be turned off differs: segments of TCP are cut by other switches than datagrams."""
        if tcp:
            return self._of("segtcp", lambda name: Veth(name, ["tx-udp-segmentation", "tso", "gso"]))
        return self._of("seg", lambda name: Veth(name, ["tx-udp-segmentation"]))

    def emulated(self, name, link):
        return self._of(name, lambda _: Emulated(name, self._binaries, link))

    def _of(self, name, make):
        if name not in self._made:
            self._made[name] = make(name)
        return self._made[name]
