#!/usr/bin/env python3
"""What connections live through, as Markdown: each fault of the lab's scenarios N times (held, and the longest time without
new bytes at the receiver), and how soon a transfer begins by the relay and moves to the direct path.

`survival.py --bin build/release [--runs N] [--jobs N] [--engine model|kernel] [--only NAME]`; exits with 1 if a run failed.
"""

import argparse
import collections
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
LAB = HERE.parent / "lab"
sys.path.insert(0, str(LAB))

import natbox
import netlab
import programs
import sandbox

FAULTS = (
    "nat-reboots-in-mid-transfer", "nat-reboots-towards-a-strict-nat", "both-nats-reboot-in-mid-transfer",
    "uplink-switch-in-mid-transfer", "both-uplinks-switch-in-mid-transfer", "udp-blocked-in-mid-transfer",
    "server-restarts-and-then-both-nats-reboot", "both-nats-reboot-while-the-server-is-away",
    "sender-sleeps-in-mid-transfer", "line-is-down-for-forty-seconds-in-mid-transfer",
    "direct-path-dies-while-the-relay-is-warm", "direct-path-dies-and-comes-back",
    "relay-restarts-in-mid-transfer", "nats-reboot-under-the-relay", "uplink-switch-under-the-relay",
    "sender-sleeps-under-the-relay", "server-restarts-and-nats-reboot-under-the-relay",
)
# One way, on each of the three access links.
DELAYS_MS = (5, 20, 75)
LINE_RATE = "50mbit"
SIZE = 15_000_000  # some seconds, so that a path that is found later still counts


def faults(options):
    """Prints a row for each scenario; the number of runs that failed."""
    names = [name for name in FAULTS if options.only in name]
    if not names:
        return 0
    argv = [sys.executable, LAB / "pinhole-lab", "run", *(LAB / "scenarios" / f"{name}.toml" for name in names),
            "--engine", options.engine, "--repeat", str(options.runs), "--jobs", str(options.jobs), "--bin", options.bin,
            "--json"]
    lines = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False).stdout.splitlines()
    results = collections.defaultdict(list)
    for line in lines:
        event = json.loads(line)
        if event["event"] == "scenario" and event["result"] != "not expressible":
            results[event["scenario"]].append(event)
    print(f"| fault, {options.engine} engine | held | gap, median | gap, longest |\n|---|---|---|---|")
    failed = 0
    for name in (name for name in names if name in results):
        runs = results[name]
        held = sum(run["result"] == "held" for run in runs)
        failed += len(runs) - held
        gaps = [run["recovered_ms"] for run in runs if run.get("recovered_ms") is not None]
        figures = f"{statistics.median(gaps) / 1000:.1f} s | {max(gaps) / 1000:.1f} s" if gaps else "– | –"
        print(f"| {name} | {held} of {len(runs)} | {figures} |", flush=True)
    return failed


class Calls:
    """alice at home, bob in an office behind such a NAT, carol behind one with random ports; a server with a relay."""

    def __init__(self, binaries, folder):
        link = {"rate": LINE_RATE, "queue": "200kB"}
        self.box = natbox.NatBox(binaries, {
            "nat": [{"name": "home", "link": link}, {"name": "office", "link": link},
                    {"name": "hotel", "link": link, "mapping": "address-and-port-dependent", "allocation": "random"}],
            "host": [{"name": "alice", "behind": "home"}, {"name": "bob", "behind": "office"},
                     {"name": "carol", "behind": "hotel"}, {"name": "server", "link": {"delay": "1ms"}, "addresses": 2}],
        })
        hosts = self.box.hosts

        class Beside:
            server = hosts["server"]

        self.server = None
        self.start_server = lambda: programs.Server(Beside, binaries, folder / "server",
                                                    arguments=["--alternate", hosts["server"].alternate])
        self.renew_server()
        self.people = {name: programs.Person(name, hosts[name], folder / f"home-{name}", binaries, hosts["server"].address)
                       for name in ("alice", "bob", "carol")}
        for name in ("bob", "carol"):
            self.people["alice"].knows(self.people[name])
            self.people[name].knows(self.people["alice"])
        for person in self.people.values():
            person.run("netcheck", timeout=60)
        self.folder = folder
        self.files = 0

    def renew_server(self):
        """With its key, but without the probes that it has planned in the last minute."""
        if self.server:
            self.server.stop()
        self.server = self.start_server()

    def close(self):
        self.server.stop()
        self.box.close()

    def delay(self, milliseconds):
        for node in ("home", "office", "hotel", "server"):
            self.box.command(f"link {node} both delay={milliseconds}ms")

    def run(self, to):
        """Milliseconds from `connecting` at alice: to the first path, to connected, to the direct path; the first kind."""
        self.files += 1
        self.renew_server()
        sent = self.folder / f"file-{self.files}"
        sent.write_bytes(os.urandom(SIZE))
        inbox = self.folder / f"inbox-{self.files}"
        inbox.mkdir()
        receiver = self.people[to].receive(inbox, "--yes", "--once")
        sender = self.people["alice"].send(sent, to)
        for program in (sender, receiver):
            if program.wait_exit(90) != 0:
                raise programs.Unexpected(program.transcript())
        if (inbox / sent.name).read_bytes() != sent.read_bytes():
            raise programs.Unexpected("the file differs")
        began = sender.wait_event("connecting")["seen_at"]
        paths = sender.events_named("path")
        direct = next((path for path in paths if path["kind"] == "direct"), None)
        seen = [paths[0], sender.wait_event("connected"), direct]
        return [None if event is None else 1000 * (event["seen_at"] - began) for event in seen], paths[0]["kind"]


def relay_first(binaries, options):
    print("\n| to | one way on each line | first path | connected | direct path | relay was first |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="pinhole-bench-") as name:
        calls = Calls(binaries, pathlib.Path(name))
        try:
            for to, what in (("bob", "another home"), ("carol", "random ports")):
                for delay in DELAYS_MS:
                    calls.delay(delay)
                    runs = [calls.run(to) for _ in range(options.runs)]
                    columns = [[figure for figure in column if figure is not None]
                               for column in zip(*(figures for figures, _ in runs))]
                    medians = " | ".join(f"{statistics.median(column):.0f} ms" if column else "never" for column in columns)
                    direct = f" ({len(columns[2])} of {len(runs)})" if len(columns[2]) < len(runs) else ""
                    print(f"| {what} | {delay} ms | {medians}{direct} | {sum(kind == 'relay' for _, kind in runs)} of {len(runs)} |",
                          flush=True)
        finally:
            calls.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", default=os.environ.get("PINHOLE_BUILD"), help="a build folder")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--engine", default="model", choices=("model", "kernel"))
    parser.add_argument("--only", default="", help="scenarios whose name has this in it, or relay-first")
    options = parser.parse_args()
    if not options.bin:
        parser.error("--bin names the build folder")
    os.environ["PINHOLE_BUILD"] = str(pathlib.Path(options.bin).resolve())
    sandbox.enter()
    print(f"Load of the machine: {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores; {options.runs} runs each.\n")
    failed = 0 if options.only == "relay-first" else faults(options)
    if options.only in ("", "relay-first"):
        relay_first(netlab.Binaries.from_environment(), options)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
