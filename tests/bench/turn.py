#!/usr/bin/env python3
"""What the relay costs beside coturn's turnserver, on the same load, one after the other: packets per second, packets per
CPU second of the server, and memory of an idle allocation. Prints Markdown, ratios last.

`turn.py --bin build/release [--seconds N] [--sizes 100,500,1200] [--allocations 1,200] [--idle 2000] [--json FILE]`.
Namespaces: clients and the peer in one, the server in the other, a veth between them. Load comes from turn-load.
"""

import argparse
import json
import os
import pathlib
import resource
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lab"), str(HERE.parent / "interop")]

import netlab
import sandbox
import turn_wire

_SERVER = "203.0.113.10"
_PEER = "203.0.113.1"
# As many source networks and users as it takes for the bounds of either.
_SOURCES = [f"198.18.{index}.2" for index in range(20)]
_USERS = 100
_PASSWORD = "bench"
_MODERATE = 20_000  # packets a second that both servers carry without losing any


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_kb(pid):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise netlab.LabError("no Pss")


class Network:
    def __init__(self):
        self.load = netlab.Namespace("load")
        self.server = netlab.Namespace("server")
        self.server.ip("link add wan type veth peer name wan netns load")
        for namespace, address, other in ((self.server, _SERVER, None), (self.load, _PEER, None)):
            namespace.ip("link set dev wan txqueuelen 10000 up", f"address add {address}/24 dev wan")
        self.load.ip(*[f"address add {source}/32 dev wan" for source in _SOURCES])
        self.server.ip(f"route add default via {_PEER}")


class Server:
    def __init__(self, name, network, argv, log):
        self.name = name
        with open(log, "w") as output:
            self.process = subprocess.Popen(network.server.command(argv), stdout=output, stderr=subprocess.STDOUT,
                                            preexec_fn=sandbox.die_with_parent)
        self.pid = self.process.pid

    def stop(self):
        self.process.kill()
        self.process.wait()


def _raise_descriptor_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def ours(network, binaries, folder):
    users = [word for index in range(_USERS) for word in ("--turn-user", f"u{index}:{_PASSWORD}")]
    return Server("pinhole", network, [binaries.find("pinhole-rendezvous"), "--listen", _SERVER, "--data",
                                       folder / "data", *users], folder / "ours.log")


def coturn(network, _, folder):
    config = folder / "turnserver.conf"
    config.write_text("\n".join(
        [f"listening-ip={_SERVER}", f"relay-ip={_SERVER}", "listening-port=3478", "lt-cred-mech", "realm=bench",
         "no-tls", "no-dtls", "no-cli", "relay-threads=1", "log-file=/dev/null", "no-stdout-log", f"pidfile={folder / 'pid'}",
         f"userdb={folder / 'users'}", *[f"user=u{index}:{_PASSWORD}" for index in range(_USERS)], ""]))
    return Server("coturn", network, ["turnserver", "-c", config], folder / "coturn.log")


def await_server(network):
    probe = netlab.in_namespace(network.load.path, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    probe.settimeout(0.2)
    for _ in range(100):
        try:
            probe.sendto(turn_wire.message(0x001, b""), (_SERVER, 3478))
            probe.recv(2000)
            probe.close()
            return
        except OSError:
            time.sleep(0.05)
    raise netlab.LabError("the server does not answer")


class Allocations:
    """So many, each with a channel to the peer."""

    def __init__(self, network, count):
        self.peer, self.clients = netlab.in_namespace(network.load.path, lambda: self._sockets(count))
        self.relayed = [self._allocate(index) for index in range(count)]

    def close(self):
        for each in (self.peer, *self.clients):
            each.close()

    @staticmethod
    def _sockets(count):
        def made(address, connect=None):
            one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            one.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)  # SO_RCVBUFFORCE
            one.bind((address, 0))
            if connect:
                one.connect(connect)
            one.settimeout(5)
            return one
        return made(_PEER), [made(_SOURCES[index % len(_SOURCES)], (_SERVER, 3478)) for index in range(count)]

    def _allocate(self, index):
        client = turn_wire.Client(self.clients[index], f"u{index % _USERS}", _PASSWORD)
        error, found = client.allocate()
        if error:
            raise netlab.LabError(f"allocation {index}: {error}")
        channel = turn_wire.attribute(turn_wire.CHANNEL, b"\x40\0\0\0")
        error, _ = client.ask(turn_wire.CHANNEL_BIND,
                              lambda t: channel + turn_wire.peer(*self.peer.getsockname(), t))
        if error:
            raise netlab.LabError(f"channel {index}: {error}")
        return turn_wire.endpoint(found[turn_wire.RELAYED])

    def run(self, network, load, direction, size, rate, seconds):
        for each in (self.peer, *self.clients):
            each.setblocking(True)
        words = [f"{client.fileno()}:{address}:{port}"
                 for client, (address, port) in zip(self.clients, self.relayed)]
        argv = network.load.command([load, direction, size, rate, seconds, self.peer.fileno(), *words])
        done = subprocess.run(argv, stdout=subprocess.PIPE, check=True,
                              pass_fds=[self.peer.fileno(), *(client.fileno() for client in self.clients)])
        return json.loads(done.stdout)


def measure(make, network, binaries, folder, options):
    """{(direction, allocations, size): {"pps", "per_cpu", "moderate_per_cpu", "lost"}} and bytes of an idle allocation."""
    found = {}
    load = binaries.find("turn-load")
    for count in options.allocations:
        server = make(network, binaries, folder)
        try:
            await_server(network)
            allocations = Allocations(network, count)
            for size in options.sizes:
                for direction in ("up", "down"):
                    found[direction, count, size] = one(server, allocations, network, load, direction, size, options)
            allocations.close()
        finally:
            server.stop()
    return found, idle(make, network, binaries, folder, options)


def one(server, allocations, network, load, direction, size, options):
    result = {}
    for name, rate in (("full", 0), ("moderate", _MODERATE)):
        before = cpu_seconds(server.pid)
        ran = allocations.run(network, load, direction, size, rate, options.seconds)
        cpu = cpu_seconds(server.pid) - before
        result[name] = {"pps": ran["received"] / ran["seconds"], "per_cpu": ran["received"] / max(cpu, 0.01),
                        "lost": 1 - ran["received"] / max(1, ran["sent"])}
    return result


def idle(make, network, binaries, folder, options):
    if not options.idle:
        return None
    server = make(network, binaries, folder)
    try:
        await_server(network)
        warm = Allocations(network, 20)
        before = memory_kb(server.pid)
        allocations = Allocations(network, options.idle)
        used = memory_kb(server.pid) - before
        allocations.close()
        warm.close()
        return 1024 * used / options.idle
    finally:
        server.stop()


def table(results):
    print("| direction | allocations | bytes | packets/s, pinhole | coturn | ratio | per CPU second, pinhole | coturn | ratio "
          "| at 20 000/s per CPU second, pinhole | coturn | ratio |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    (mine, my_idle), (theirs, their_idle) = results
    for key in mine:
        cells = []
        for load, what in (("full", "pps"), ("full", "per_cpu"), ("moderate", "per_cpu")):
            a, b = mine[key][load][what], theirs[key][load][what]
            cells += [f"{a:,.0f}", f"{b:,.0f}", f"{a / max(b, 1):.2f}"]
        lost = [f"{who} lost {found[key]['moderate']['lost']:.1%} at 20 000/s" for who, found in
                (("pinhole", mine), ("coturn", theirs)) if found[key]["moderate"]["lost"] > 0.001]
        print("|", " | ".join(map(str, (*key, *cells))), "|", *lost)
    if my_idle:
        print(f"\nAn idle allocation with one channel: pinhole {my_idle:,.0f} bytes, coturn {their_idle:,.0f} bytes, "
              f"ratio {my_idle / their_idle:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", default=os.environ.get("PINHOLE_BUILD"))
    parser.add_argument("--seconds", type=float, default=3)
    numbers = lambda text: [int(word) for word in text.split(",")]
    parser.add_argument("--sizes", type=numbers, default=[100, 500, 1200])
    parser.add_argument("--allocations", type=numbers, default=[1, 200])
    parser.add_argument("--idle", type=int, default=2000)
    parser.add_argument("--json")
    options = parser.parse_args()
    _raise_descriptor_limit()
    binaries = netlab.Binaries(options.bin)
    folder = pathlib.Path("/run/turn-bench")
    folder.mkdir()
    network = Network()
    print(f"load {os.getloadavg()[0]:.1f} before, {os.cpu_count()} processors, {options.seconds:g} s each\n")
    results = [measure(make, network, binaries, folder, options) for make in (ours, coturn)]
    table(results)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(
            [{"idle": bytes_, **{"/".join(map(str, key)): value for key, value in found.items()}}
             for found, bytes_ in results], indent=1))


if __name__ == "__main__":
    sandbox.enter()
    main()
