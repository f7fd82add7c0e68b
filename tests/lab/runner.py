"""Runs plays, each as a process in a sandbox of its own, several at once; ends all of them when it is told to end."""

import dataclasses
import json
import os
import pathlib
import selectors
import subprocess
import sys
import tempfile
import time

import programs
import sandbox
import scenario as scenarios

_PLAY = pathlib.Path(__file__).resolve().parent / "play_one.py"
ENGINES = ("model", "kernel")


@dataclasses.dataclass
class Run:
    """One scenario on one engine, once."""

    scenario: scenarios.Scenario
    engine: str
    repeat: int = 1
    result: dict = dataclasses.field(default_factory=dict)

    @property
    def label(self):
        return f"{self.scenario.name}-{self.engine}" + (f"-{self.repeat}" if self.repeat > 1 else "")

    def summary(self):
        """As --json prints it."""
        return {"event": "scenario", "scenario": self.scenario.name, "file": str(self.scenario.path),
                "engine": self.engine, "repeat": self.repeat, **self.result}


class _Child:
    def __init__(self, run, order):
        self.run = run
        self.began = time.monotonic()
        self.output = b""
        # A session of its own: Ctrl-C is for the runner, which ends the box.
        self.errors = tempfile.TemporaryFile()
        self.process = sandbox.start([sys.executable, "-B", str(_PLAY), json.dumps({**order, "spawned": self.began})],
                                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.errors,
                                     start_new_session=True)
        os.set_blocking(self.process.stdout.fileno(), False)

    @property
    def overdue(self):
        """The play ends itself at its limit, with all that explains it; this is for one that cannot."""
        return time.monotonic() - self.began > self.run.scenario.limit * programs.PATIENCE + 30

    def end(self, reason=None):
        """The result; with a reason the box is ended first."""
        if reason:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        lines = self.output.decode(errors="replace").splitlines()
        try:
            result = json.loads(lines[-1])
        except (IndexError, ValueError):
            self.errors.seek(0)
            said = self.errors.read().decode(errors="replace").strip()
            result = {"result": "failed", "failures": [reason or f"the lab broke: {said or 'no result'}"]}
        self.errors.close()
        return {**result, "seconds": round(time.monotonic() - self.began, 2)}


class Runner:
    """`binaries`: folders that hold the programs; `keep`: where what explains a failure goes."""

    def __init__(self, binaries, keep, jobs, on_result):
        self._binaries = [str(folder) for folder in binaries]
        self._keep = pathlib.Path(keep)
        self._jobs = jobs
        self._on_result = on_result
        self._children = []

    def run(self, runs):
        """Until all have ended; whatever ends this early ends them all."""
        waiting = list(runs)
        try:
            while waiting or self._children:
                while waiting and len(self._children) < self._jobs:
                    self._start(waiting.pop(0))
                self._wait()
        finally:
            for child in self._children:
                child.end("ended with the runner")

    def _start(self, run):
        reason = engine(run.engine).why_not(run.scenario)
        if reason:
            run.result = {"result": "not expressible", "reason": reason, "seconds": 0.0}
            self._on_result(run)
            return
        order = {"file": str(run.scenario.path.resolve()), "engine": run.engine, "bin": self._binaries,
                 "keep": str((self._keep / run.label).resolve())}
        self._children.append(_Child(run, order))

    def _wait(self):
        """For output, at most a moment."""
        if not self._children:
            return
        with selectors.DefaultSelector() as selector:
            for child in self._children:
                selector.register(child.process.stdout, selectors.EVENT_READ, child)
            for key, _ in selector.select(0.5):
                child = key.data
                if data := child.process.stdout.read():
                    child.output += data
                else:
                    self._end(child)
        for child in list(self._children):
            if child.overdue:
                self._end(child, "the lab hangs")

    def _end(self, child, reason=None):
        self._children.remove(child)
        child.run.result = child.end(reason)
        self._on_result(child.run)


def engine(name):
    """The module of an engine: why_not() and its class."""
    if name == "model":
        import model_engine
        return model_engine
    import kernel_engine
    return kernel_engine


def disagreements(runs):
    """Where two engines played the same scenario and saw different things: sentences."""
    found = []
    pairs = {}
    for run in runs:
        if run.result.get("result") in ("held", "failed"):
            pairs.setdefault((run.scenario.path, run.repeat), {})[run.engine] = run
    for (path, _), pair in pairs.items():
        if len(pair) < 2:
            continue
        seen = {name: _verdict(run.result) for name, run in pair.items()}
        model, kernel = (seen[name] for name in ENGINES)
        for what in model:
            if model[what] != kernel[what]:
                found.append(f"{path.stem}: {what} is {model[what]} in the model and {kernel[what]} in the kernel")
        found += _other_exits(path, pair)
    return found


def _other_exits(path, pair):
    """Who ended with different codes; whether somebody has ended already when the last step is through is chance."""
    model, kernel = ((pair[name].result.get("exits") or {}) for name in ENGINES)
    return [f"{path.stem}: {who} ends with {model[who]} in the model and with {kernel[who]} in the kernel"
            for who in model if None not in (model[who], kernel.get(who)) and model[who] != kernel[who]]


def _verdict(result):
    path = result.get("path")
    return {"the result": result["result"],
            "the path": path and " ".join(str(path[key]) for key in ("kind", "transport", "strategy")),
            "netcheck": result.get("netcheck")}
