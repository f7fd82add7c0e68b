#!/usr/bin/env python3
"""Figures of the first slice, as Markdown: how soon two peers behind NATs are connected, how fast a file goes over a
plain link, and how much memory it takes.

`first_light.py [--runs N] [--gigabytes N] [--folder DIR]`; PINHOLE_BUILD names the build folder. Needs root.
"""

import argparse
import os
import pathlib
import resource
import statistics
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lab"))

import netlab
import programs
import sandbox


def people(lab, binaries, folder, hosts):
    alice, bob = (programs.Person(name, host, folder / f"home-{name}", binaries, netlab.SERVER_ADDRESS)
                  for name, host in zip(("alice", "bob"), hosts))
    alice.knows(bob)
    bob.knows(alice)
    return alice, bob


def expect_done(*started):
    for program in started:
        if program.wait_exit(600) != 0:
            raise programs.Unexpected(program.transcript())


def time_to_connect(binaries, folder, runs):
    """Milliseconds of the sender: command to online, to connected, to the first byte of a file at the receiver."""
    with netlab.Lab(binaries) as lab:
        # 10 ms one way on each of the three access links: 40 ms RTT to the server and between the peers.
        lab.add_server(delay_ms=10)
        hosts = [lab.add_side("a", "eim-random", 10), lab.add_side("b", "eim", 10)]
        server = programs.Server(lab, binaries, folder / "server", arguments=["--no-relay"])
        alice, bob = people(lab, binaries, folder, hosts)
        sent = folder / "first"
        sent.write_bytes(os.urandom(1000))  # one packet: its event `file` is the first byte, stored
        samples = []
        for run in range(runs):
            inbox = folder / f"inbox-{run}"
            inbox.mkdir()
            receiver = bob.receive(inbox, "--yes", "--once")
            sender = alice.send(sent, "bob")
            expect_done(sender, receiver)
            first_byte = next(event for event in receiver.events
                              if event["event"] in ("progress", "file") and event["bytes"] > 0)
            samples.append((1000 * sender.wait_event("online")["seen_at"],
                            sender.wait_event("connected")["elapsed_ms"],
                            1000 * (receiver.started + first_byte["seen_at"] - sender.started)))
        server.stop()
        return [statistics.median(column) for column in zip(*samples)], samples


def peak_of(program):
    """VmHWM in MB, read while it runs: once it is gone nobody can ask."""
    with open(f"/proc/{program.process.pid}/status") as status:
        line = next(line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


class PeakMemory:
    """The highest VmHWM seen at any event; it only grows, and events come to the very end."""

    def __init__(self):
        self.mb = {}

    def __call__(self, program, _event):
        try:
            self.mb[program.label] = max(self.mb.get(program.label, 0), peak_of(program))
        except (OSError, StopIteration):
            pass


def goodput(binaries, folder, gigabytes):
    """One large file over a veth pair between two namespaces, the server in one of them."""
    alice_space, bob_space = netlab.Namespace("alice"), netlab.Namespace("bob")
    alice_space.ip("link add eth0 type veth peer name eth0 netns bob", f"address add {netlab.SERVER_ADDRESS}/24 dev eth0",
                   "link set eth0 up")
    bob_space.ip("address add 203.0.113.20/24 dev eth0", "link set eth0 up")
    host_a = netlab.Host(alice_space, netlab.SERVER_ADDRESS, netlab.SERVER_ADDRESS)
    host_b = netlab.Host(bob_space, "203.0.113.20", "203.0.113.20")
    memory = PeakMemory()

    class Beside:
        server = host_a

    server = programs.Server(Beside, binaries, folder / "server-goodput", arguments=["--no-relay"])
    homes = folder / "goodput"
    homes.mkdir()
    alice, bob = people(None, binaries, homes, (host_a, host_b))
    sent = folder / "large"
    with open(sent, "wb") as file:
        block = os.urandom(1 << 20)
        for index in range(gigabytes * 1000):
            file.write(index.to_bytes(8, "big") + block[8:1_000_000])
    inbox = folder / "inbox-large"
    inbox.mkdir()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    receiver = bob.receive(inbox, "--yes", "--once", on_event=memory)
    sender = alice.send(sent, "bob", on_event=memory)
    expect_done(sender, receiver)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    server.stop()
    if (inbox / "large").stat().st_size != sent.stat().st_size:
        raise programs.Unexpected("the file is not complete")
    connected = sender.wait_event("connected")["elapsed_ms"]
    seconds = (sender.wait_event("done")["elapsed_ms"] - connected) / 1000
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    (inbox / "large").unlink()
    sent.unlink()
    return seconds, sent_bytes(gigabytes) / seconds / 1e6, memory.mb, cpu / gigabytes


def sent_bytes(gigabytes):
    return gigabytes * 1_000_000_000


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--gigabytes", type=int, default=1)
    parser.add_argument("--folder", help="where the files go; a disk with room for two copies")
    options = parser.parse_args()
    sandbox.enter()
    binaries = netlab.Binaries.from_environment()
    with tempfile.TemporaryDirectory(prefix="pinhole-bench-", dir=options.folder) as name:
        folder = pathlib.Path(name)
        (online, connected, first_byte), samples = time_to_connect(binaries, folder, options.runs)
        seconds, rate, memory, cpu = goodput(binaries, folder, options.gigabytes)
    print("| figure | value |\n|---|---|")
    print(f"| command to online, 40 ms RTT to the server (median of {options.runs}) | {online:.0f} ms |")
    print(f"| command to connected, two NATs, 40 ms RTT to server and peer | {connected:.0f} ms |")
    print(f"| command to first file byte at the receiver | {first_byte:.0f} ms |")
    print(f"| {options.gigabytes} GB over a veth pair, both peers on this machine ({os.cpu_count()} cores) | "
          f"{rate:.0f} MB/s ({seconds:.1f} s) |")
    print(f"| CPU of both peers for each GB | {cpu:.1f} s |")
    print(f"| peak memory of the sender | {memory['alice']:.1f} MB |")
    print(f"| peak memory of the receiver | {memory['bob']:.1f} MB |")
    print("\neach run (online, connected, first byte in ms): "
          + "; ".join(", ".join(f"{value:.0f}" for value in sample) for sample in samples))
    return 0


if __name__ == "__main__":
    sys.exit(main())
