"""The shipped programs in a row of speed.py: one file from the command `send` to the file under its final name, direct or by
our relay. The rendezvous server is on the receiver's machine."""

import json
import shutil
import subprocess
import time

import speed_links
import speed_machine
from speed_machine import Program, RunError
from speed_rivals import FOLDER, Outcome, Rival, cost, ending, source_file

_SENDER, _RECEIVER = "alice", "bob"


class PinholeSend(Rival):
    """`only`: the strategies that it may connect by. `whole`: the time from the command on counts, not only that of the file."""

    ours = True

    def __init__(self, name, only="host", whole=True):
        super().__init__(name)
        self._only = only
        self._whole = whole

    def missing(self, binaries):
        try:
            self._pinhole = binaries.find("pinhole")
            self._server = binaries.find("pinhole-rendezvous")
        except Exception as error:  # a LabError that says which
            return str(error)
        return None

    def prepare(self, binaries):
        """Two people who know each other."""
        if (FOLDER / _SENDER).exists():
            return
        ids = {name: json.loads(self._say(name, "id"))["id"] for name in (_SENDER, _RECEIVER)}
        for name, other in ((_SENDER, _RECEIVER), (_RECEIVER, _SENDER)):
            self._say(name, "contacts", "add", other, ids[other])

    def _say(self, name, *words):
        argv = [self._pinhole, "--home", FOLDER / name, "--json", *words]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.splitlines()[0]

    def _start(self, namespace, name, core, *words):
        return Program(namespace, [self._pinhole, "--home", FOLDER / name, "--json", "--server",
                                   speed_links.RECEIVER, "--only", self._only, *words], core, speaks=True)

    def transfer(self, line, size, timeout):
        disk = _disk()
        source, inbox = disk / source_file(size).name, disk / "inbox"
        inbox.mkdir(exist_ok=True)
        if not source.exists():
            shutil.copyfile(source_file(size), source)
        held = disk / f"held-{size}"
        if not held.exists():
            _hold_memory(held, size)
        server = Program(line.receiver, [self._server, "--json", "--listen", speed_links.RECEIVER, "--data",
                                         FOLDER / "server", "--allow-peer", "198.18.0.0/15"], speaks=True)
        with ending(server):
            _await(server, "ready")
            receiver = self._start(line.receiver, _RECEIVER, 1, "receive", "--yes", "--once", "--into", inbox)
            with ending(receiver):
                _await(receiver, "online")
                held.unlink()
                sender = self._start(line.sender, _SENDER, 0, "send", source, "--to", _RECEIVER)
                with ending(sender):
                    began, ended = self._times(sender, receiver, timeout)
        arrived = inbox / source.name
        if arrived.stat().st_size != size:
            raise RunError(f"{arrived.stat().st_size} of {size} bytes arrived")
        arrived.rename(held)
        return Outcome(size, ended - began, *cost(sender, receiver))

    def _times(self, sender, receiver, timeout):
        _await(sender, "path", kind="relay" if self._only == "relay" else "direct")
        connected = _await(sender, "connected")
        ended = _await(receiver, "done", timeout)
        for program in (sender, receiver):
            program.finish(30)
            if program.status != 0:
                raise RunError(f"{program.name} ended with {program.status}: {speed_machine.last_words()}")
        return sender.started if self._whole else connected, ended


def _disk():
    """In memory, in pages of 2 MB: in pages of 4 KB the kernel alone takes about half a second to write a gigabyte, which on two
    processors for both ends is most of what there is beside the transport."""
    disk = FOLDER / "disk"
    if not disk.exists():
        disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o"]
        if subprocess.run([*mount, "huge=always", "disk", disk], capture_output=True).returncode != 0:
            subprocess.run([*mount, "mode=0755", "disk", disk], check=True)
    return disk


def _hold_memory(path, size):
    """As much as a file will take. Memory that a virtual machine has had free for seconds may be its host's, and to get it
    back costs several times what writing does; nobody else in these rows writes files."""
    block = bytes(1 << 20)
    with path.open("wb") as file:
        for _ in range(0, size, len(block)):
            file.write(block)


def _await(program, name, timeout=15, **fields):
    """When the program said so; other events pass."""
    deadline = time.monotonic() + timeout
    while line := program.line(max(0.1, deadline - time.monotonic())):
        event = json.loads(line)
        if event["event"] == name and all(event[key] == value for key, value in fields.items()):
            return time.monotonic()
    program.kill()
    raise RunError(f"{program.name} ended without {name}: {speed_machine.last_words()}")
