#!/usr/bin/env python3
"""The demonstration: two people behind NATs talk and send a file; what happens is shown as it happens.

`demo.py [NAT-A NAT-B]`, with kinds of netlab.NAT_KINDS or "public".
"""

import filecmp
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

import netlab
import programs
import sandbox

FILE_BYTES = 20_000_000
DELAY_MS = 10  # one way on each access link: 40 ms between the peers, 20 ms to the server


class Stage:
    """Prints events in columns: when, who, what."""

    def __init__(self):
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._progress = {}

    def say(self, who, what, details=""):
        with self._lock:
            print(f"{time.monotonic() - self._started:7.3f}  {who:<7} {what:<11} {details}".rstrip(), flush=True)

    def show(self, program, event):
        name = event["event"]
        if name == "progress" and not self._tenth(program, event):
            return
        fields = ((key, value) for key, value in event.items()
                  if key not in ("event", "seen_at", "transfer") and value not in (None, ""))
        self.say(program.label, name, "  ".join(f"{key}={_short(value)}" for key, value in fields))

    def _tenth(self, program, event):
        """A transfer reports often; a line for every tenth of it is enough."""
        tenth = event["bytes"] * 10 // max(event["total"], 1)
        if self._progress.get(program.label) == tenth:
            return False
        self._progress[program.label] = tenth
        return True


def _short(value):
    text = str(round(value, 1) if isinstance(value, float) else value)
    return text if len(text) <= 40 else text[:18] + "…" + text[-8:]


def play(stage, folder, kinds):
    binaries = netlab.Binaries.from_environment()
    people = []
    with netlab.Lab(binaries) as lab:
        lab.add_server()
        hosts = [lab.add_side(name, kind, DELAY_MS) for name, kind in zip("ab", kinds)]
        for name, kind, host in zip(("alice", "bob"), kinds, hosts):
            nat = "no NAT" if kind == netlab.PUBLIC else f"a NAT ({kind}), from outside {host.public}"
            stage.say("lab", name, f"{host.address} behind {nat}")
        server = programs.Server(lab, binaries, folder / "server", on_event=stage.show)
        try:
            alice, bob = people = [programs.Person(name, host, folder / name, binaries, netlab.SERVER_ADDRESS, stage.show)
                                   for name, host in zip(("alice", "bob"), hosts)]
            alice.knows(bob)
            bob.knows(alice)
            chat(alice, bob)
            return send_file(stage, folder, alice, bob)
        finally:
            for person in people:
                person.stop_all()
            server.stop()


def chat(alice, bob):
    bob_chat = bob.chat("alice", "--wait")
    bob_chat.wait_event("online")
    alice_chat = alice.chat("bob", "--wait")
    alice_chat.say("Hello Bob, can you hear me through two NATs?")
    bob_chat.wait_event("message", timeout=30)
    bob_chat.say("Loud and clear. Send the file.")
    alice_chat.wait_event("message")
    bob_chat.wait_event("delivered")
    alice.stop_all()
    bob.stop_all()


def send_file(stage, folder, alice, bob):
    sent = folder / "holiday.raw"
    sent.write_bytes(os.urandom(FILE_BYTES))
    inbox = folder / "inbox"
    inbox.mkdir()
    receiver = bob.receive(inbox, "--yes", "--once")
    sender = alice.send(sent, "bob")
    codes = sender.wait_exit(120), receiver.wait_exit(30)
    received = inbox / sent.name
    if codes != (0, 0) or not received.exists():
        raise programs.Unexpected("\n".join(program.transcript() for program in (sender, receiver)))
    for path in (sent, received):
        digest = subprocess.run(["b3sum", "--no-names", path], check=True, capture_output=True, text=True).stdout
        stage.say("lab", "b3sum", f"{digest[:32]}…  {path}")
    same = filecmp.cmp(sent, received, shallow=False)
    path = sender.events_named("path")[-1]
    done = sender.wait_event("done")
    rate = FILE_BYTES / max(done["elapsed_ms"], 1) / 1000
    return same, (f"{'OK' if same else 'DAMAGED'}: {FILE_BYTES / 1e6:.0f} MB and a chat went {path['kind']} over "
                  f"{path['transport']} ({path.get('strategy')}), {path['local']} -> {path['remote']}, "
                  f"rtt {path['rtt_ms']:.1f} ms, {rate:.1f} MB/s with connecting")


def main(arguments):
    kinds = arguments or ["eim-random", "eim"]
    if len(kinds) != 2 or not set(kinds) <= {*netlab.NAT_KINDS, netlab.PUBLIC}:
        print(f"usage: demo.py [NAT-A NAT-B], kinds: {', '.join(netlab.NAT_KINDS)}, public", file=sys.stderr)
        return 2
    sandbox.enter()
    with tempfile.TemporaryDirectory(prefix="pinhole-demo-") as folder:
        try:
            same, summary = play(Stage(), pathlib.Path(folder), kinds)
        except programs.Unexpected as failure:
            print(f"the demonstration failed: {failure}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 130
    print(f"\n{summary}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
