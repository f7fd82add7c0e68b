"""Plays one scenario on one engine inside a sandbox of its own; run by runner.py, which reads the result from stdout.

`play_one.py '{"file": …, "engine": …, "bin": [..], "keep": …, "spawned": …}'`; the last line of stdout is
the result.
"""

import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import expectations
import netlab
import player
import programs
import sandbox
import scenario as scenarios

_PATH = ("kind", "transport", "strategy", "local", "remote", "rtt_ms")
_WORK = pathlib.Path("/run/lab")  # on the sandbox's own file system: gone with it


def engine_module(name):
    if name == "model":
        import model_engine
        return model_engine, "ModelEngine"
    import kernel_engine
    return kernel_engine, "KernelEngine"


class Play:
    def __init__(self, order):
        self._order = order
        self._scenario = scenarios.load(pathlib.Path(order["file"]))
        self._binaries = netlab.Binaries(*order["bin"])
        self._captures = _WORK / "captures"
        self._captures.mkdir()
        self._player = None
        self._failures = []

    def run(self):
        module, name = engine_module(self._order["engine"])
        result = {"result": "held"}
        try:
            with getattr(module, name)(self._scenario, self._binaries, self._captures) as engine:
                result |= self._play(engine)
        except (netlab.LabError, OSError) as error:
            self._failures.append(f"the lab failed: {error}")
        except Exception:
            self._failures.append("the lab failed: " + traceback.format_exc())
        if self._failures:
            result |= {"result": "failed", "failures": self._failures, "artifacts": self._keep()}
        return result

    def _play(self, engine):
        self._player = play = player.Player(self._scenario, engine, self._binaries, _WORK)
        judge = expectations.Judge(play, engine)
        signal.signal(signal.SIGALRM, self._overdue)
        signal.setitimer(signal.ITIMER_REAL, self._scenario.limit * programs.PATIENCE)
        try:
            play.play(judge.judge)
            self._failures += play.failures + judge.judge(self._scenario.expect) + judge.always()
        except player.StepFailed as failure:
            self._failures += [*play.failures, str(failure), *judge.always()]
        signal.setitimer(signal.ITIMER_REAL, 0)
        figures = self._figures()
        play.stop()
        return figures

    def _overdue(self, *_):
        raise player.StepFailed(f"the scenario took longer than its limit of {self._scenario.limit:g} s")

    def _figures(self):
        """What the table shows, measured by the runner's clock."""
        record = self._player.record
        talks = sorted((entry for entry in record.started if entry.step.verb in ("send", "chat", "receive")), key=_waits)
        first = min((expectations.first_seen(entry, "connected") for entry in talks if not _waits(entry)
                     and expectations.first_seen(entry, "connected") is not None), default=None)
        path = next(filter(None, (expectations.last_path(entry) for entry in talks)), None)
        finished = [sent for sent in record.sent if sent.by.program.events_named("done")]
        rates = [expectations.transfer_rate(sent.by) for sent in finished]
        gap = expectations.longest_silence(record)
        return {
            "setup_ms": self._setup_ms(),
            "connect_ms": first and round(first * 1000),
            "path": path and {key: path.get(key) for key in _PATH},
            "bytes": sum(sent.by.program.events_named("done")[-1]["bytes"] for sent in finished),
            "bytes_per_second": round(rates[-1]) if rates and rates[-1] else None,
            "recovered_ms": gap and round(gap * 1000),
            "exits": {entry.name: entry.program.process.poll() for entry in record.started if not entry.ended_by_us},
            "netcheck": {entry.name: _behaviour(entry) for entry in record.started if entry.step.verb == "netcheck"},
        }

    def _setup_ms(self):
        """From the start of pinhole-lab's child to server, network and people, and a person's way online."""
        record = self._player.record
        if not record.setup_done:
            return None
        online = {}
        for entry in record.started:
            if entry.person and (seen := expectations.first_seen(entry, "online")) is not None:
                online.setdefault(entry.person.name, seen)
        return round((record.setup_done - self._order["spawned"] + max(online.values(), default=0)) * 1000)

    def _keep(self):
        """Copies what explains a failure; returns where to."""
        folder = pathlib.Path(self._order["keep"])
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shutil.copy(self._scenario.path, folder)
        (folder / "failures.txt").write_text("\n".join(self._failures) + "\n")
        if self._captures.exists():
            shutil.copytree(self._captures, folder, dirs_exist_ok=True)
        if self._player:
            for number, entry in enumerate(self._player.record.started, 1):
                stem = f"{number:02}-{entry.name}-{entry.step.verb}".replace("/", "_")
                (folder / f"{stem}.json").write_text("".join(
                    json.dumps(event, ensure_ascii=False) + "\n" for event in entry.program.events))
                (folder / f"{stem}.stderr").write_text("\n".join([*entry.program.errors, ""]), errors="replace")
            (folder / "steps.txt").write_text("".join(
                f"{seconds:8.3f}  {words}\n" for seconds, words in self._player.record.timeline))
        return str(folder)


def _waits(entry):
    return entry.step.verb == "receive" or entry.step.get("waits", False)


def _behaviour(entry):
    found = entry.program.events_named("netcheck")
    udp = (found[-1].get("udp") or {}) if found else {}
    return {key: udp.get(key) for key in ("open", "mapping", "filtering", "allocation", "hairpin")}


def main(order):
    sandbox.enter()
    os.umask(0o022)
    _WORK.mkdir()
    tempfile.tempdir = str(_WORK)
    print(json.dumps(Play(order).run(), ensure_ascii=False), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
