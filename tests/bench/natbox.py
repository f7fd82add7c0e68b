#!/usr/bin/env python3
"""What natbox costs, as Markdown: packets and bytes per second between two hosts behind a NAT each, the CPU time of each
packet, the time until a topology stands, and how exact a delay is.

`natbox.py [--seconds N] [--rate PACKETS_PER_SECOND]`; PINHOLE_BUILD names the build folder. Load comes from natbox-load.
`--rate` is what is offered: more than natbox takes shows what it takes; less shows what a packet costs in peace.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lab"))

import natbox
import netlab
import sandbox

_TWO_NATS = {"nat": [{"name": "home", "filtering": "endpoint-independent"},
                     {"name": "office", "filtering": "endpoint-independent"}],
             "host": [{"name": "alice", "behind": "home"}, {"name": "bob", "behind": "office"}]}
# Round trips of an echo, in milliseconds.
_ECHO = """
import socket, sys, time
mine, address, port, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", mine))
s.connect((address, port))
if count == 0:
    s.send(b"open")
    print("up", flush=True)
    while True:
        s.send(s.recv(100))
s.settimeout(5)
for _ in range(count):
    start = time.perf_counter()
    s.send(b"x")
    s.recv(100)
    print((time.perf_counter() - start) * 1000)
    time.sleep(0.01)
"""


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start(host, argv, **options):
    return subprocess.Popen(host.namespace.command(argv), stdout=subprocess.PIPE, text=True, **options)


def load(binaries, box, protocol, seconds, rate, size):
    """(what the receiver got, what the sender sent, CPU seconds of natbox for each packet that it took)."""
    alice, bob = box.hosts["alice"], box.hosts["bob"]
    program = binaries.find("natbox-load")
    before, taken = cpu_seconds(box.pid), packets(box)
    receiver = start(bob, [program, protocol, "receive", 7000, alice.public, 6000, seconds])
    sender = start(alice, [program, protocol, "send", 6000, bob.public, 7000, seconds, rate, size])
    answers = [json.loads(process.communicate(timeout=seconds + 30)[0]) for process in (receiver, sender)]
    return *answers, (cpu_seconds(box.pid) - before) / (packets(box) - taken)


def packets(box):
    return sum(host["sent"] for host in box.stats()["hosts"].values())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rate", type=float, default=150_000)
    arguments = parser.parse_args()
    sandbox.enter()
    binaries = netlab.Binaries.from_environment()

    began = time.perf_counter()
    box = natbox.NatBox(binaries, _TWO_NATS)
    until_ready = time.perf_counter() - began
    print("| what | figure |\n|---|---|")
    print(f"| two NATs and two hosts stand after | {1000 * until_ready:.0f} ms |")

    for size in (1400, 1200):
        got, sent, cpu = load(binaries, box, "udp", arguments.seconds, arguments.rate, size)
        rate, offered = got["packets"] / got["seconds"], sent["packets"] / sent["seconds"]
        print(f"| UDP, {size} bytes, {offered:,.0f} packets/s offered | {rate:,.0f} packets/s, "
              f"{rate * (size + 28) * 8 / 1e6:,.0f} Mbit/s of IP, {1e6 * cpu:.2f} µs CPU a packet |")
    got, _, cpu = load(binaries, box, "tcp", arguments.seconds, 0, 0)
    print(f"| TCP, one connection | {got['bytes'] * 8 / got['seconds'] / 1e6:,.0f} Mbit/s of data, "
          f"{1e6 * cpu:.2f} µs CPU a packet |")

    alice, bob = box.hosts["alice"], box.hosts["bob"]
    for delay in (0, 10):
        box.command(f"link home both delay={delay}ms")
        # Other ports each time: to a mapping that is still there, bob's first packet would come too early.
        here, there = 6001 + delay, 7001 + delay
        echo = start(bob, [sys.executable, "-c", _ECHO, there, alice.public, here, 0])
        echo.stdout.readline()
        lines = alice.namespace.run([sys.executable, "-c", _ECHO, here, bob.public, there, 200]).split()
        echo.kill()
        echo.communicate()
        trips = sorted(map(float, lines))
        print(f"| RTT with {delay} ms each way | median {statistics.median(trips):.3f} ms, "
              f"90 % below {trips[int(len(trips) * 0.9)]:.3f} ms |")
    box.close()


if __name__ == "__main__":
    main()
