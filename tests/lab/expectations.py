"""Judges what a Player has recorded: [expect] of a file, and what must hold in every scenario."""

import hashlib
import ipaddress
import os
import time

import programs
import scenario as scenarios

_DELIVERY = 5.0  # seconds that the last message and its confirmation may take
_CALLERS = ("send", "chat")
_CONVERSATIONS = ("send", "receive", "chat")
# Events that show that something arrived.
_SIGNS_OF_LIFE = ("progress", "file", "done", "message", "delivered")


class Judge:
    def __init__(self, player, engine):
        self._record = player.record
        self._engine = engine

    def judge(self, expect):
        """Sentences, one for each thing that does not hold."""
        found = []
        for key, value in expect.items():
            found += getattr(self, f"_{key}")(value)
        return found

    def always(self):
        """What no file needs to ask for."""
        found = []
        for entry in self._record.started:
            program = entry.program
            if program.stray_output:
                found.append(f"{entry.name}: a line on stdout that is no event: {program.stray_output[0]!r}")
            code = program.process.poll()
            if code is not None and code < 0 and not entry.ended_by_us:
                found.append(f"{entry.name} died of signal {-code}")
            if entry.step.verb == "server" and code is not None and not entry.ended_by_us:
                found.append(f"the server {entry.name} ended by itself with {code}")
        return found + [words for sent in self._record.sent if sent.by.program.process.poll() == 0
                        for words in self._differences(sent)]

    # --- one for each key of [expect] --------------------------------------------------------------------------

    def _connected(self, within):
        found = []
        for entry in self._callers():
            seen = first_seen(entry, "connected")
            if seen is None:
                found.append(f"{entry.name} did not connect{_why(entry)}")
            elif seen > within * programs.PATIENCE:
                found.append(f"{entry.name} connected after {seen:.2f} s, expected within {within:g} s")
        return found

    def _path(self, path):
        found = []
        names = path.get("of") or list(dict.fromkeys(
            entry.name for entry in self._record.started if entry.step.verb in _CONVERSATIONS
            and (entry.program.events_named("connected") or entry in self._callers())))
        for name in names:
            last = last_path(self._record.named(name))
            if last is None:
                found.append(f"{name} has no path{_why(self._record.named(name))}")
                continue
            for key in ("kind", "transport", "strategy"):
                if key in path and last.get(key) != path[key]:
                    found.append(f"the path of {name} has {key} {last.get(key)!r} instead of {path[key]!r}")
        for name, place in path.get("remote", {}).items():
            last = last_path(self._record.named(name))
            remote = last and last["remote"].rpartition(":")[0].strip("[]")
            if remote is None or not any(_same(remote, address) for address in self._engine.addresses(place)):
                found.append(f"the path of {name} leads to {remote} instead of {place} "
                             f"({', '.join(self._engine.addresses(place))})")
        return found

    def _no_path(self, wanted):
        if not wanted:
            return []
        return [f"{entry.name} claims {event['event']}" for entry in self._record.started
                for event in entry.program.events if event["event"] in ("path", "connected")]

    def _files(self, wanted):
        if wanted == "intact":
            return [] if not self._record.sent else [words for sent in self._record.sent
                                                     for words in self._differences(sent)]
        found = []
        for sent in self._record.sent:
            for inbox in self._record.inboxes.get(sent.to, []):
                if (inbox / sent.path.name).exists():
                    found.append(f"{sent.path.name} is at {sent.to} under its final name")
        return found

    def _messages(self, _):
        deadline = time.monotonic() + _DELIVERY * programs.PATIENCE
        while (found := self._undelivered()) and time.monotonic() < deadline:
            time.sleep(0.02)  # what was said is on its way, in several programs at once
        return found

    def _undelivered(self):
        found = []
        for speaker in dict.fromkeys(entry.person.name for entry, _ in self._record.said):
            said = [(entry, line) for entry, line in self._record.said if entry.person.name == speaker]
            listeners = {entry.step.keys["with"] for entry, _ in said}
            heard = [event for entry in self._record.started if entry.person and entry.person.name in listeners
                     for event in entry.program.events_named("message") if event.get("name") == speaker]
            lines = [line for _, line in said]
            if [event["text"] for event in heard] != lines:
                found.append(f"{speaker} said {len(lines)} lines; {len(heard)} were heard"
                             + ("" if len(heard) != len(lines) else ", in another order or changed"))
            confirmed = {event["id"] for entry, _ in said for event in entry.program.events_named("delivered")}
            if missing := [event for event in heard if event["id"] not in confirmed]:
                found.append(f"{speaker} was not told of the delivery of {len(missing)} messages")
        return found

    def _exit(self, codes):
        found = []
        for name, code in codes.items():
            entry = self._record.named(name)
            try:
                ended = entry.program.wait_exit(scenarios.DEFAULT_WITHIN)
            except programs.Unexpected:
                found.append(f"{name} still runs, expected to end with {code}")
                continue
            if ended != code:
                found.append(f"{name} ended with {ended} instead of {code}{_why(entry)}")
        return found

    def _error(self, wanted):
        found = []
        for name, words in wanted.items():
            messages = [event["message"] for event in self._record.named(name).program.events_named("error")]
            if not any(words.lower() in message.lower() for message in messages):
                found.append(f"{name} has no error that says {words!r}; it says {messages[-1:] or 'nothing'}")
        return found

    def _recovered(self, within):
        gap = longest_silence(self._record)
        if gap is None:
            return ["nothing arrived after the fault"]
        return [] if gap <= within * programs.PATIENCE else [
            f"nothing arrived for {gap:.2f} s after the fault, expected at most {within:g} s"]

    def _rate(self, wanted):
        found = []
        for sent in self._record.sent:
            measured = transfer_rate(sent.by)
            if measured is None or measured * 8 * programs.PATIENCE < wanted:
                found.append(f"{sent.by.name} sent {(measured or 0) * 8 / 1e6:.2f} Mbit/s, "
                             f"expected at least {wanted / 1e6:g}")
        return found

    def _running(self, names):
        return [f"{name} has ended{_why(self._record.named(name))}" for name in names
                if not self._record.named(name).program.running]

    def _events(self, wanted):
        return [f"no event {entry['event']}" + (f" of {entry['of']}" if "of" in entry else "")
                + (f" with {entry['fields']}" if "fields" in entry else "")
                for entry in wanted if not self._matching(entry)]

    def _never(self, unwanted):
        return [f"{name} has the event {event['event']}, which must not be" for entry in unwanted
                for name, event in self._matching(entry)[:1]]

    # --- helpers -----------------------------------------------------------------------------------------------

    def _matching(self, wanted):
        fields = wanted.get("fields", {})
        return [(entry.name, event) for entry in self._record.started if entry.name == wanted.get("of", entry.name)
                for event in entry.program.events_named(wanted["event"]) if scenarios.matches(fields, event)]

    def _callers(self):
        return [entry for entry in self._record.started
                if entry.step.verb in _CALLERS and not entry.step.get("waits")]

    def _differences(self, sent):
        folders = self._record.inboxes.get(sent.to, [])
        wanted = fingerprint(sent.path)
        for inbox in folders:
            # A second file of a name is stored beside the first, under a name made from it.
            if any(fingerprint(entry) == wanted for entry in inbox.iterdir()
                   if entry.name.startswith(sent.path.stem) and entry.is_dir() == sent.path.is_dir()):
                return []
        there = sorted(entry.name for inbox in folders for entry in inbox.iterdir())
        return [f"{sent.path.name} did not arrive as it was sent; {sent.to} has {', '.join(there) or 'nothing'}"]


def fingerprint(path):
    """Of a file its hash; of a folder those of all files in it by name."""
    if path.is_dir():
        return {os.path.relpath(os.path.join(root, name), path): fingerprint(path / os.path.relpath(root, path) / name)
                for root, _, names in os.walk(path) for name in names}
    with open(path, "rb") as file:
        digest = hashlib.blake2b()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
        return digest.hexdigest()


def first_seen(entry, event):
    """Seconds from the program's start."""
    found = entry.program.events_named(event)
    return found[0]["seen_at"] if found else None


def last_path(entry):
    found = entry.program.events_named("path")
    return found[-1] if found else None


def transfer_rate(entry):
    """Bytes per second of a finished transfer, from the connection to its end."""
    connected, done = first_seen(entry, "connected"), entry.program.events_named("done")
    if connected is None or not done:
        return None
    return done[-1]["bytes"] / max(done[-1]["seen_at"] - connected, 0.001)


def longest_silence(record):
    """Seconds, after the first fault, in which nobody who talks saw anything arrive; None without an arrival after it.
    Counted to the last arrival: whether there was a last one is for `exit` and `messages` to say."""
    if not record.faults:
        return None
    arrivals = []
    for entry in record.started:
        most = -1
        for event in entry.program.events:
            moved = event["event"] in _SIGNS_OF_LIFE and event.get("bytes", most + 1) > most
            if moved or event["event"] == "done":
                most = event.get("bytes", most)
                arrivals.append(entry.program.started + event["seen_at"])
    arrivals = sorted(arrival for arrival in arrivals if arrival > record.faults[0])
    if not arrivals:
        return None
    points = [record.faults[0], *arrivals]
    return max(later - earlier for earlier, later in zip(points, points[1:]))


def _same(remote, address):
    try:
        return ipaddress.ip_address(remote) == ipaddress.ip_address(address)
    except ValueError:
        return False


def _why(entry):
    errors = entry.program.events_named("error")
    return f" ({errors[-1]['message']})" if errors else ""
