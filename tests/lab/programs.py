"""The shipped programs as a test sees them: started in a namespace, their events awaited by condition, never by sleep.

Events are the JSON lines of --json. Every wait has a deadline; when it passes, the error shows what the program said.
"""

import json
import os
import signal
import subprocess
import threading
import time

import sandbox

# A slower build (sanitizers) or machine gets more time for everything.
PATIENCE = float(os.environ.get("PINHOLE_PATIENCE", "1"))


class Unexpected(AssertionError):
    """A program did not do what was awaited; carries its transcript."""


class Program:
    def __init__(self, label, host, argv, stdin=subprocess.DEVNULL, on_event=None, environment=None, new_session=False):
        self.label = label
        self.events = []
        self.errors = []  # lines on stderr
        self._junk = []  # lines on stdout that are no events
        self._on_event = on_event
        self._changed = threading.Condition()
        self._open_streams = 2
        self.argv = [str(word) for word in argv]
        self.started = time.monotonic()
        self.process = subprocess.Popen(host.namespace.command(argv), stdin=stdin, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env=environment, start_new_session=new_session,
                                        preexec_fn=sandbox.die_with_parent)
        self._threads = [threading.Thread(target=self._read, args=(stream, take), daemon=True)
                         for stream, take in ((self.process.stdout, self._take_stdout),
                                              (self.process.stderr, self._take_stderr))]
        for thread in self._threads:
            thread.start()

    # --- waiting -----------------------------------------------------------------------------------------------

    def wait_event(self, name, /, timeout=15, after=0, **fields):
        """The first event of that name with these fields at position `after` or later."""
        def search():
            for event in self.events[after:]:
                if event.get("event") == name and all(event.get(key) == value for key, value in fields.items()):
                    return event
            return None
        wanted = name if not fields else f"{name} with {fields}"
        return self._wait(search, timeout, f"event {wanted}")

    def wait_until(self, condition, timeout=15, what="the condition"):
        """condition(events) is evaluated again after each line of output."""
        return self._wait(lambda: condition(self.events), timeout, what)

    def wait_exit(self, timeout=15):
        """The exit code, with all output read."""
        try:
            code = self.process.wait(timeout * PATIENCE)
        except subprocess.TimeoutExpired:
            raise Unexpected(f"{self.label} still runs after {timeout * PATIENCE:.0f} s\n{self.transcript()}") from None
        for thread in self._threads:
            thread.join(5)
        return code

    def events_named(self, name):
        return [event for event in self.events if event.get("event") == name]

    @property
    def running(self):
        return self.process.poll() is None

    # --- acting ------------------------------------------------------------------------------------------------

    def say(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def close_stdin(self):
        self.process.stdin.close()

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def freeze(self):
        """As if its machine slept, but for what the kernel does."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """For the end of a test: whatever state it is in."""
        if self.running:
            self.thaw()
            self.process.terminate()
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                self.kill()
        for thread in self._threads:
            thread.join(5)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass

    def transcript(self):
        state = "running" if self.running else f"exit {self.process.returncode}"
        lines = [f"--- {self.label} ({state}): {' '.join(self.argv)}"]
        shown = self.events if len(self.events) <= 60 else [*self.events[:30], {"...": len(self.events) - 60},
                                                            *self.events[-30:]]
        lines += ["  " + json.dumps(event, ensure_ascii=False) for event in shown]
        lines += ["  stdout, no event: " + line for line in self._junk[-20:]]
        lines += ["  stderr: " + line for line in self.errors[-40:]]
        return "\n".join(lines)

    # --- reading -----------------------------------------------------------------------------------------------

    def _wait(self, search, timeout, what):
        deadline = time.monotonic() + timeout * PATIENCE
        with self._changed:
            while True:
                found = search()
                if found:
                    return found
                if self._open_streams == 0:
                    raise Unexpected(f"{self.label} ended without {what}\n{self.transcript()}")
                left = deadline - time.monotonic()
                if left <= 0:
                    raise Unexpected(f"{self.label}: no {what} within {timeout * PATIENCE:.0f} s\n{self.transcript()}")
                self._changed.wait(left)

    def _read(self, stream, take):
        for raw in stream:
            line = raw.decode(errors="surrogateescape").rstrip("\n")
            with self._changed:
                take(line)
                self._changed.notify_all()
        with self._changed:
            self._open_streams -= 1
            self._changed.notify_all()

    def _take_stdout(self, line):
        try:
            event = json.loads(line)
        except ValueError:
            self._junk.append(line)
            return
        if not isinstance(event, dict) or "event" not in event:
            self._junk.append(line)
            return
        event["seen_at"] = time.monotonic() - self.started
        self.events.append(event)
        if self._on_event:
            self._on_event(self, event)

    def _take_stderr(self, line):
        self.errors.append(line)

    @property
    def stray_output(self):
        """Lines on stdout that are no events: with --json there must be none."""
        return self._junk


class Server(Program):
    """`pinhole-rendezvous`, waited for until it listens."""

    def __init__(self, lab, binaries, data, listen=None, arguments=(), **options):
        argv = [binaries.find("pinhole-rendezvous"), "--json", "--data", data]
        if listen:
            argv += ["--listen", listen]
        super().__init__("server", lab.server, [*argv, *arguments], **options)
        self.key = self.wait_event("ready")["key"]


class Person:
    """One home folder on one host: an identity that runs commands."""

    def __init__(self, name, host, home, binaries, server=None, on_event=None):
        self.name = name
        self.host = host
        self.home = home
        self.server = server
        self.programs = []
        self._pinhole = binaries.find("pinhole")
        self._on_event = on_event

    def start(self, *arguments, host=None, label=None, **options):
        argv = [self._pinhole, "--home", self.home, "--json"]
        if self.server:
            argv += ["--server", self.server]
        options.setdefault("on_event", self._on_event)
        program = Program(label or self.name, host or self.host, [*argv, *arguments], **options)
        self.programs.append(program)
        return program

    def run(self, *arguments, timeout=15, **options):
        program = self.start(*arguments, **options)
        program.wait_exit(timeout)
        return program

    def id(self):
        return self.run("id").wait_event("id")["id"]

    def knows(self, other):
        program = self.run("contacts", "add", other.name, other.id())
        if program.process.returncode != 0:
            raise Unexpected(program.transcript())

    # --- commands that stay ------------------------------------------------------------------------------------

    def receive(self, into, *arguments, **options):
        """Waits for offers, already online."""
        program = self.start("receive", "--into", into, *arguments, **options)
        program.wait_event("online")
        return program

    def send(self, path, to, *arguments, **options):
        return self.start("send", path, "--to", to, *arguments, **options)

    def chat(self, with_whom, *arguments, **options):
        options.setdefault("stdin", subprocess.PIPE)
        return self.start("chat", with_whom, *arguments, **options)

    def stop_all(self):
        for program in self.programs:
            program.stop()
