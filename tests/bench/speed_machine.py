"""What the machine does while something is measured: whether it is idle, who else uses its processors, and what a program
that ran has cost. Times are seconds of one processor."""

import dataclasses
import os
import pathlib
import select
import signal
import subprocess
import threading
import time

_TICKS = os.sysconf("SC_CLK_TCK")
_IDLE_SHARE = 0.08  # of all processors, twice in a row
_LOOK = 0.7


@dataclasses.dataclass
class Times:
    """Of the machine since it started, and of what is ours."""

    processes: float  # user and system, of all processes
    interrupts: float  # the network's own, charged to nobody
    idle: float
    ours: float

    def __sub__(self, other):
        return Times(*(a - b for a, b in zip(dataclasses.astuple(self), dataclasses.astuple(other))))

    @property
    def foreign(self):
        return max(0.0, self.processes - self.ours)

    @property
    def busy(self):
        return self.processes + self.interrupts


def times():
    user, nice, system, idle, waiting, irq, softirq = (
        int(word) / _TICKS for word in pathlib.Path("/proc/stat").read_text().split(None, 8)[1:8])
    return Times(user + nice + system, irq + softirq, idle + waiting, _ours())


def _ours():
    """All that this box has used: its processes are the only ones in its /proc."""
    total = 0
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            fields = pathlib.Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))  # own, and of children that have been waited for
    return total / _TICKS


def await_idle(patience):
    """Waits until the machine is idle; False when it was not for so many seconds."""
    deadline = time.monotonic() + patience
    quiet = 0
    while quiet < 2:
        before = times()
        time.sleep(_LOOK / 2)
        spent = times() - before
        quiet = quiet + 1 if spent.busy / max(spent.busy + spent.idle, 0.01) < _IDLE_SHARE else 0
        if quiet < 2 and time.monotonic() > deadline:
            return False
    return True


class _Peaks(threading.Thread):
    """Looks at the memory of all programs that run. Their own account (ru_maxrss) begins with ours, out of which they were
    forked."""

    def __init__(self):
        super().__init__(daemon=True)
        self._programs = set()
        self._lock = threading.Lock()
        self.start()

    def run(self):
        while True:
            time.sleep(0.1)
            with self._lock:
                for program in self._programs:
                    program.look()

    def add(self, program):
        with self._lock:
            self._programs.add(program)

    def remove(self, program):
        with self._lock:
            self._programs.discard(program)


_peaks = _Peaks()
LOG = pathlib.Path("/run/speed/log")  # what programs complain about


class Program:
    """One process of a run, on a processor of its own if it is told which. It may have a conversation: `line`."""

    def __init__(self, namespace, argv, core=None, speaks=False):
        def prepare():
            if core is not None:
                os.sched_setaffinity(0, {core % os.cpu_count()})
            try:
                os.setpriority(os.PRIO_PROCESS, 0, -15)
            except OSError:
                pass  # root of a user namespace only

        self.name = os.path.basename(str(argv[0]))
        self.ended = None
        self.status = None
        self.cpu = 0.0
        self.peak_kb = 0
        with LOG.open("ab") as log:
            self.started = time.monotonic()
            self._process = subprocess.Popen(namespace.command(argv), stdin=subprocess.DEVNULL, stderr=log,
                                             stdout=subprocess.PIPE if speaks else log, preexec_fn=prepare)
        self.pid = self._process.pid
        _peaks.add(self)

    def look(self):
        self.peak_kb = max(self.peak_kb, self._status_kb("VmHWM"))

    def anonymous_kb(self):
        """Resident memory that no file backs: heap and stacks."""
        return self._status_kb("RssAnon")

    def _status_kb(self, name):
        """0 when it has ended, or is not yet what it is to be."""
        try:
            status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return 0
        if f"\n{name}:" not in status or status.startswith("Name:\tnsenter"):
            return 0
        return int(status.partition(f"\n{name}:")[2].split()[0])

    def line(self, timeout):
        """The next line of what it says; empty when it has ended."""
        ready, _, _ = select.select([self._process.stdout], [], [], timeout)
        if not ready:
            self.kill()
            raise RunError(f"{self.name} said nothing for {timeout:.0f} s")
        # Not buffered further than the line: the next one is waited for by select again.
        line = b""
        while not line.endswith(b"\n"):
            byte = os.read(self._process.stdout.fileno(), 1)
            if not byte:
                break
            line += byte
        return line.decode().strip()

    def finish(self, timeout):
        """Until it has ended by itself, whatever it still says; the lines."""
        lines = []
        while line := self.line(timeout):
            lines.append(line)
        self.wait(timeout)
        return lines

    def wait(self, timeout):
        if self.status is not None:
            return self
        handle = os.pidfd_open(self.pid)
        try:
            if not select.select([handle], [], [], timeout)[0]:
                self.kill()
                raise RunError(f"{self.name} did not end within {timeout:.0f} s")
            self.ended = time.monotonic()
        finally:
            os.close(handle)
        self._reap()
        return self

    def kill(self):
        """Ends it and takes account of what it used."""
        if self.status is None:
            self.look()
            os.kill(self.pid, signal.SIGKILL)
            self._reap()
        return self

    def _reap(self):
        _peaks.remove(self)
        _, self.status, used = os.wait4(self.pid, 0)
        self._process.returncode = self.status
        self.ended = self.ended or time.monotonic()
        self.cpu = used.ru_utime + used.ru_stime
        if self._process.stdout:
            self._process.stdout.close()


class RunError(Exception):
    """A run that gave no figure, in one sentence."""


def last_words():
    """What the programs of this run complained about last."""
    lines = LOG.read_text(errors="replace").splitlines() if LOG.exists() else []
    return next((line.strip()[:160] for line in reversed(lines) if line.strip()), "")


def await_bound(program, protocol, port, timeout=10):
    """Until something in the program's network namespace listens on the port."""
    deadline = time.monotonic() + timeout
    wanted = f":{port:04X}"
    while time.monotonic() < deadline:
        try:
            rows = pathlib.Path(f"/proc/{program.pid}/net/{protocol}").read_text().splitlines()[1:]
        except OSError:
            rows = []
        if any(row.split()[1].endswith(wanted) for row in rows):
            return
        time.sleep(0.02)
    program.kill()
    raise RunError(f"{program.name} does not listen on port {port}")
