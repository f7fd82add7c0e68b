"""Two people in two networks who connect again and again, and what each attempt took: behind NATs of natbox, or of the
kernel. Run inside sandbox.enter().

What may not carry over from one attempt to the next does not: NATs forget their mappings, every program is started anew
with ports of its own, and the server as well, because it plans only so many probes a minute toward one address. Its
key and its history stay, and the peers keep what they have measured of their networks.
"""

import filecmp
import json
import os
import subprocess
import time
import types

import natbox
import netlab
import programs
from punch_cells import CLASSES

_FILE_SIZE = 100_000
_PATIENCE_S = 60
_MEASURING_AT_ONCE = 6
# Packets of STUN that leave a host for anybody but the server: probes of a punch, checks of ICE, and their answers.
# The magic cookie tells them from packets of a connection.
_COUNTERS = """
table inet bench
delete table inet bench
table inet bench {{
  counter probes {{
  }}
  counter checks {{
  }}
  counter answers {{
  }}
  chain out {{
    type filter hook output priority filter
    ip daddr {{ {server} }} accept
    meta l4proto udp @th,96,32 0x2112a442 @th,64,16 0x0011 counter name probes
    meta l4proto udp @th,96,32 0x2112a442 @th,64,16 0x0001 counter name checks
    meta l4proto udp @th,96,32 0x2112a442 @th,64,16 0x0101 counter name answers
  }}
}}
"""


class Counters:
    """Of one host."""

    def __init__(self, host, server):
        self._namespace = host.namespace
        addresses = [address for address in (server.address, server.alternate) if address]
        self._namespace.nft(_COUNTERS.format(server=", ".join(addresses)))

    def reset(self):
        self._namespace.run(["nft", "reset", "counters"])

    def read(self):
        listed = json.loads(self._namespace.run(["nft", "-j", "list", "counters"]))["nftables"]
        return {entry["counter"]["name"]: entry["counter"]["packets"] for entry in listed if "counter" in entry}


class Couple:
    """The first person calls the second one. `forget` makes their NATs forget all mappings."""

    def __init__(self, binaries, folder, server, people, forget):
        self._binaries = binaries
        self._folder = folder
        self._forget = forget
        self._server_host = server
        self._caller, self._called = self._people = people
        self.hosts = [person.host for person in people]
        self._attempts = 0
        self._server = None
        self._counters = [Counters(host, server) for host in self.hosts]
        self._caller.knows(self._called)
        self._called.knows(self._caller)

    def start_server(self):
        self.stop_server()
        self._server = start_server(self._binaries, self._folder, self._server_host)

    def stop_server(self):
        if self._server:
            self._server.stop()
            self._server = None

    def reset(self):
        """For the next attempt, whoever makes it: a new server, no mappings, nothing counted."""
        self._forget()
        self.start_server()
        for counters in self._counters:
            counters.reset()

    def packets(self):
        """Of both sides, since the last reset."""
        return [counters.read() for counters in self._counters]

    def attempt(self):
        """A file is sent. A dict; `wrong`, if it is there, says what must never be."""
        self._attempts += 1
        self.reset()
        name = f"{self._caller.name}-{self._called.name}-{self._attempts}"
        sent = self._folder / f"file-{name}"
        sent.write_bytes(os.urandom(_FILE_SIZE))
        inbox = self._folder / f"inbox-{name}"
        inbox.mkdir()
        receiver = self._called.start("receive", "--into", inbox, "--yes", "--once")
        try:
            receiver.wait_until(lambda events: any(event["event"] in ("online", "error") for event in events))
            sender = self._caller.send(sent, self._called.name)
            code = sender.wait_exit(_PATIENCE_S)
            ended_ms = 1000 * (time.monotonic() - sender.started)
            if code == 0:
                receiver.wait_exit()
            found = {"ended_ms": ended_ms, **self._found(sender, receiver, code)}
        finally:
            for person in self._people:
                person.stop_all()
                person.programs.clear()
        arrived = inbox / sent.name
        intact = arrived.is_file() and filecmp.cmp(sent, arrived, shallow=False)
        if found["direct"] and not intact:
            found["wrong"] = "the file is not intact"
        elif not found["direct"] and arrived.exists():
            found["wrong"] = "a file arrived without a path"
        sent.unlink()
        return found

    def _found(self, sender, receiver, code):
        paths = [program.events_named("path") for program in (sender, receiver)]
        claimed = any(paths)
        found = {"exit": code, "direct": code == 0 and all(paths), "load": os.getloadavg()[0],
                 "packets": self.packets()}
        # As the bench sees them: good for what lies between two of them.
        for name in ("online", "connecting", "plan", "path", "connected"):
            if events := sender.events_named(name):
                found[f"{name}_ms"] = 1000 * events[0]["seen_at"]
        if errors := sender.events_named("error"):
            found["error"] = errors[-1]["message"]
        if claimed and not found["direct"]:
            found["wrong"] = f"a path is claimed, but the sender ended with {code}\n{_transcripts(sender, receiver)}"
        if found["direct"]:
            # By the program's own clock, which starts with it: what the bench needs to start it is not counted.
            found |= {f"command_to_{name}_ms": sender.events_named(name)[0]["elapsed_ms"] for name in ("path", "connected")}
            found["strategies"] = [events[-1]["strategy"] for events in paths]
            found["wrong"] = self._wrong_path(paths)
        return {key: value for key, value in found.items() if value is not None}

    def _wrong_path(self, paths):
        """The path that carried the data leads from one NAT to the other, over UDP."""
        for events, other in zip(paths, reversed(self.hosts)):
            path = events[-1]
            remote = path["remote"].rpartition(":")[0].strip("[]")
            if (path["kind"], path["transport"], remote) != ("direct", "udp", other.public):
                return f"the path is {path}, not direct, over UDP, to {other.public}"
        return None

    def close(self):
        for person in self._people:
            person.stop_all()
        self.stop_server()


def _transcripts(*started):
    return "\n".join(program.transcript() for program in started)


def start_server(binaries, folder, host):
    return programs.Server(types.SimpleNamespace(server=host), binaries, folder / "server",
                           arguments=["--alternate", host.alternate, "--no-relay"])


def know_their_networks(people):
    """All have measured, a few at a time; who cannot reach the server has nothing to know."""
    for index in range(0, len(people), _MEASURING_AT_ONCE):
        started = [person.start("netcheck") for person in people[index:index + _MEASURING_AT_ONCE]]
        for program in started:
            program.wait_exit(_PATIENCE_S)
        for person in people:
            person.stop_all()
            person.programs.clear()


def _know(binaries, folder, server_host, people):
    server = start_server(binaries, folder, server_host)
    know_their_networks(people)
    server.stop()


class ClassNetwork:
    """alice and bob behind a NAT of a class each, on lines with these delays one way; the server has an ideal line."""

    _NATS = ("home", "office")

    def __init__(self, binaries, folder, pair, delays_ms):
        self._box = natbox.NatBox(binaries, {
            "seed": int.from_bytes(os.urandom(4)),
            "nat": [{"name": name, **CLASSES[kind].keys, "link": {"delay": f"{delay:g}ms"}}
                    for name, kind, delay in zip(self._NATS, pair, delays_ms)],
            "host": [{"name": "alice", "behind": "home"}, {"name": "bob", "behind": "office"},
                     {"name": "server", "addresses": 2}],
        })
        self.server = self._box.hosts["server"]
        people = [programs.Person(name, self._box.hosts[name], folder / f"home-{name}", binaries, self.server.address)
                  for name in ("alice", "bob")]
        _know(binaries, folder, self.server, people)
        self.couple = Couple(binaries, folder, self.server, people, self._forget)

    def _forget(self):
        for name in self._NATS:
            self._box.command(f"expire {name}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.couple.close()
        self._box.close()


class KernelNetwork:
    """One person behind a NAT of each kind that calls, and one of each that is called."""

    def __init__(self, binaries, folder, pairs, delays_ms):
        self._binaries = binaries
        self._folder = folder
        self._lab = netlab.Lab(binaries)
        self._server = self._lab.add_server(alternate=True)
        self._people = {}
        for role, delay in enumerate(delays_ms):
            for kind in dict.fromkeys(pair[role] for pair in pairs):
                name = f"{'ab'[role]}{len(self._people)}x"
                host = self._lab.add_side(name, kind, delay)
                self._people[role, kind] = programs.Person(name, host, folder / f"home-{name}", binaries,
                                                           self._server.address)
        _know(binaries, folder, self._server, list(self._people.values()))

    def couple(self, pair):
        people = [self._people[role, kind] for role, kind in enumerate(pair)]
        return Couple(self._binaries, self._folder, self._server, people, lambda: self._forget(people))

    def _forget(self, people):
        for person in people:
            for name in os.listdir("/run/netns"):
                # The routers of a side are named after it (netlab.Lab.add_nat).
                if name == f"n{person.name}" or name.startswith(f"n{person.name}-"):
                    subprocess.run(["nsenter", f"--net=/run/netns/{name}", "conntrack", "-F"], check=True,
                                   capture_output=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._lab.close()
