"""Plays the steps of one scenario on an engine: starts programs, makes faults, waits. What must hold is judged by
expectations.py from what the Player has recorded."""

import dataclasses
import os
import pathlib
import subprocess
import time

import netlab
import programs
import scenario as scenarios

PORT = 3478
_STOPPED = ("interrupt", "stop", "kill")


class StepFailed(Exception):
    """A step did not come to its end; the rest is not played."""


@dataclasses.dataclass
class Started:
    """A program that a step started."""

    name: str
    step: scenarios.Step
    program: programs.Program
    person: object = None
    ended_by_us: bool = False


@dataclasses.dataclass
class Sent:
    """What a `send` step offered, and from which program."""

    path: pathlib.Path
    to: str
    by: Started


@dataclasses.dataclass
class Record:
    """Everything that happened."""

    started: list = dataclasses.field(default_factory=list)
    sent: list = dataclasses.field(default_factory=list)
    said: list = dataclasses.field(default_factory=list)  # (Started, line)
    inboxes: dict = dataclasses.field(default_factory=dict)  # person -> folders
    faults: list = dataclasses.field(default_factory=list)  # times
    timeline: list = dataclasses.field(default_factory=list)  # (seconds, words)
    setup_done: float = 0.0
    people_online: dict = dataclasses.field(default_factory=dict)  # person -> seconds from start to online

    def named(self, name):
        """The latest program of that name."""
        return next(entry for entry in reversed(self.started) if entry.name == name)


class Player:
    def __init__(self, scenario, engine, binaries, folder):
        self.record = Record()
        self.people = {}
        self._scenario = scenario
        self._engine = engine
        self._binaries = binaries
        self._folder = folder
        self._server = None  # HOST:PORT that people are given
        self._files = 0
        self.began = time.monotonic()
        self.failures = []

    def play(self, expect):
        """All steps; `expect(expectations)` judges in between and returns what does not hold."""
        for step in self._scenario.steps:
            self.note(f"step {step.number}: {step.verb} {step.target if isinstance(step.target, str) else ''}".rstrip())
            try:
                if step.verb == "expect":
                    self.failures += [f"step {step.number}: {words}" for words in expect(step.target)]
                else:
                    self._play(step)
            except programs.Unexpected as failure:
                raise StepFailed(f"step {step.number} ({step.verb}): {str(failure).splitlines()[0]}") from None
            except netlab.LabError as failure:
                raise StepFailed(f"step {step.number} ({step.verb}): the lab failed: {failure}") from None
            if step.verb in scenarios.FAULTS:
                self.record.faults.append(time.monotonic())

    def note(self, words):
        self.record.timeline.append((time.monotonic() - self.began, words))

    def stop(self):
        """Ends what still runs, those who talk before those that they talk through."""
        for entry in reversed(self.record.started):
            entry.ended_by_us = entry.ended_by_us or entry.program.running
            entry.program.stop()

    def _play(self, step):
        getattr(self, f"_do_{step.verb}")(step)

    # --- who is there ------------------------------------------------------------------------------------------

    def _do_server(self, step):
        host = self._engine.host(step.target)
        address = self._engine.addresses(step.target)[0]
        argv = [self._binaries.find("pinhole-rendezvous"), "--json", "--data", self._folder / f"server-{step.target}"]
        if port := step.get("port"):
            argv += ["--listen", f"0.0.0.0:{port}", "--listen", f"[::]:{port}"]
        entry = self._start(step, step.target, host, [*argv, *self._words(step)])
        entry.program.wait_event("ready", step.within)
        self._server = f"{address}:{step.get('port', PORT)}"

    def _do_people(self, step):
        server = self._fill(step.keys["via"]) if "via" in step.keys else self._server
        for name, host in step.target.items():
            self.people[name] = programs.Person(name, self._engine.host(host), self._folder / f"home-{name}",
                                                self._binaries, server)
        asked = {name: person.start("id") for name, person in self.people.items()}
        ids = {name: program.wait_event("id")["id"] for name, program in asked.items()}
        for name, person in self.people.items():
            asked[name].wait_exit()
        # Each person's contacts one after the other, for one home is not changed by two programs at once; people beside
        # each other.
        others = {name: [other for other in ids if other != name and (name in step.target or other in step.target)]
                  for name in self.people}
        while any(others.values()):
            adding = [self.people[name].start("contacts", "add", waiting[0], ids[waiting.pop(0)])
                      for name, waiting in others.items() if waiting]
            for program in adding:
                if program.wait_exit() != 0:
                    raise programs.Unexpected(program.transcript())
        for person in self.people.values():
            person.stop_all()
            person.programs.clear()
        self.record.setup_done = time.monotonic()

    # --- programs ----------------------------------------------------------------------------------------------

    def _start(self, step, name, host, argv, person=None, **options):
        entry = Started(name, step, None, person)
        entry.program = programs.Program(name, host, argv, **options)
        self.record.started.append(entry)
        return entry

    def _command(self, step, *words, **options):
        """A pinhole command of the step's person; waits for its end if the step says how it ends."""
        person = self.people[step.target]
        argv = [self._binaries.find("pinhole"), "--home", person.home, "--json"]
        if person.server:
            argv += ["--server", person.server]
        return self._start(step, step.get("as", step.target), person.host, [*argv, *words, *self._words(step)], person,
                           **options)

    def _finish(self, entry, code=None):
        step = entry.step
        code = step.get("exit") if code is None else code
        if code is not None:
            self._wait_exit(entry, code, step.within)

    def _wait_exit(self, entry, code, within):
        found = entry.program.wait_exit(within)
        if found != code:
            raise StepFailed(f"{entry.name} ended with {found} instead of {code}{_reason(entry.program)}")

    def _do_receive(self, step):
        inbox = self._folder / step.get("into", f"inbox-{step.target}")
        inbox.mkdir(exist_ok=True)
        folders = self.record.inboxes.setdefault(step.target, [])
        if inbox not in folders:
            folders.append(inbox)
        flags = [f"--{flag}" for flag in ("yes", "once") if step.get(flag, True)]
        entry = self._command(step, "receive", "--into", inbox, *flags)
        self._online(entry)
        self._finish(entry)

    def _online(self, entry):
        if "exit" not in entry.step.keys:
            entry.program.wait_event("online", entry.step.within)

    def _do_send(self, step):
        path = self._make(step)
        entry = self._command(step, "send", path, "--to", step.keys["to"])
        self.record.sent.append(Sent(path, step.keys["to"], entry))
        self._finish(entry)

    def _make(self, step):
        """The file or folder that a step sends; one that is there already is sent again."""
        self._files += 1
        folder = self._folder / f"outbox-{step.target}"
        folder.mkdir(exist_ok=True)
        path = folder / step.get("file", f"file-{self._files}")
        if path.exists():
            return path
        if "folder" not in step.keys:
            _write(path, step.get("size", 100_000))
            return path
        what = step.keys["folder"]
        for number in range(what.get("files", 10)):
            inner = path / f"part-{number % 3}" / f"{number:05}"
            inner.parent.mkdir(parents=True, exist_ok=True)
            _write(inner, what.get("size", 1000))
        return path

    def _do_chat(self, step):
        waits = step.get("waits", False)
        entry = self._command(step, "chat", step.keys["with"], *(["--wait"] if waits else []), stdin=subprocess.PIPE)
        if waits:
            self._online(entry)
        self._talk(entry, step)
        self._finish(entry)

    def _do_say(self, step):
        self._talk(self.record.named(step.target), step)

    def _talk(self, entry, step):
        try:
            for line in step.get("lines", []):
                entry.program.say(line)
                self.record.said.append((entry, line))
            if step.get("close"):
                entry.program.close_stdin()
        except (OSError, ValueError):
            raise StepFailed(f"{entry.name} takes no more lines{_reason(entry.program)}") from None

    def _do_netcheck(self, step):
        entry = self._command(step, "netcheck")
        self._finish(entry, step.get("exit", 0))
        if fields := step.get("fields"):
            found = entry.program.events_named("netcheck")  # the last one is complete
            if not found or not scenarios.matches(fields, found[-1]):
                raise StepFailed(f"netcheck says {_short(found[-1] if found else None, fields)}, expected {fields}")

    def _do_run(self, step):
        self._finish(self._command(step))

    def _words(self, step):
        return [self._fill(word) for word in step.get("arguments", [])]

    def _fill(self, word):
        """Puts addresses where a file says {server}, {server.2} or {server.v6}."""
        def address(match):
            name, _, which = match[1].partition(".")
            every = self._engine.addresses(name)
            if which == "v6":
                every = [entry for entry in every if ":" in entry]
                which = "1"
            index = int(which or 1) - 1
            if not 0 <= index < len(every):
                raise StepFailed(f"{name} has no address {match[0]}")
            return every[index]
        return scenarios.PLACEHOLDER.sub(address, word)

    # --- waiting and ending ------------------------------------------------------------------------------------

    def _do_wait(self, step):
        entry = self.record.named(step.target)
        if "event" in step.keys:
            fields = step.get("fields", {})
            after = len(entry.program.events) if step.get("new") else 0
            entry.program.wait_until(
                lambda events: any(event["event"] == step.keys["event"] and scenarios.matches(fields, event)
                                   for event in events[after:]),
                step.within, f"event {step.keys['event']}" + (f" with {fields}" if fields else ""))
        if "exit" in step.keys:
            self._wait_exit(entry, step.keys["exit"], step.within)

    def _do_pause(self, step):
        time.sleep(step.target)

    def _do_interrupt(self, step):
        self.record.named(step.target).program.interrupt()

    def _do_stop(self, step):
        entry = self.record.named(step.target)
        entry.ended_by_us = True
        entry.program.stop()

    def _do_kill(self, step):
        entry = self.record.named(step.target)
        entry.ended_by_us = True
        entry.program.kill()

    def _do_freeze(self, step):
        self.record.named(step.target).program.freeze()

    def _do_thaw(self, step):
        self.record.named(step.target).program.thaw()

    # --- faults ------------------------------------------------------------------------------------------------

    def _do_rebind(self, step):
        self._engine.rebind(step.target)

    def _do_expire(self, step):
        self._engine.expire(step.target)

    def _do_background(self, step):
        self._engine.background(step.target, step.keys["rate"])

    def _do_block(self, step):
        self._engine.block(step.target, step.keys["protocols"])

    def _do_unblock(self, step):
        self._engine.unblock(step.target, step.keys["protocols"])

    def _do_cut(self, step):
        self._engine.cut(step.target, step.get("towards"))

    def _do_restore(self, step):
        self._engine.restore(step.target, step.get("towards"))

    def _do_link(self, step):
        same = {key: value for key, value in step.keys.items() if key not in ("up", "down")}
        self._engine.change_link(step.target, {**same, **step.get("up", {})}, {**same, **step.get("down", {})})

    def _do_move(self, step):
        self._engine.move(step.target, step.keys["to"])


def _write(path, size):
    with open(path, "wb") as file:
        for offset in range(0, size, 1 << 20):
            file.write(os.urandom(min(1 << 20, size - offset)))


def _reason(program):
    errors = program.events_named("error")
    return f": {errors[-1]['message']}" if errors else ""


def _short(event, fields):
    """The part of an event that was asked for."""
    if event is None:
        return "nothing"
    return {key: _short(event.get(key), value) if isinstance(value, dict) and isinstance(event.get(key), dict)
            else event.get(key) for key, value in fields.items()}
