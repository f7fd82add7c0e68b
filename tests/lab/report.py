"""The table that pinhole-lab prints, and its summary."""

import collections
import statistics

_HEAD = ("scenario", "engine", "result", "connect", "path", "data", "time")


class Table:
    """Lines appear as results come; widths are known from the names beforehand."""

    def __init__(self, runs, stream):
        self._stream = stream
        self._names = max([len(run.scenario.name) for run in runs] + [len(_HEAD[0])])

    def head(self):
        self._line(_HEAD)

    def add(self, run):
        result = run.result
        self._line((run.scenario.name, run.engine, {"failed": "FAILED"}.get(result["result"], result["result"]),
                    _milliseconds(result.get("connect_ms")), _path(result.get("path")), _data(result),
                    f"{result['seconds']:.1f} s"))
        if reason := result.get("reason"):
            self._note(reason)
        for failure in result.get("failures", []):
            self._note(failure)
        if artifacts := result.get("artifacts"):
            self._note(f"kept: {artifacts}")

    def _line(self, cells):
        name, engine, result, connect, path, data, time = cells
        line = f"{name:<{self._names}}  {engine:<6}  {result:<15}  {connect:>8}  {path:<19}  {data:<22}  {time:>7}"
        print(line.rstrip(), file=self._stream, flush=True)

    def _note(self, words):
        for line in words.splitlines():
            print(f"    {line}", file=self._stream, flush=True)


def summary(runs, found, seconds):
    """Counts and figures of all runs, for --json and the footer."""
    count = collections.Counter(run.result.get("result") for run in runs)
    setups = [run.result["setup_ms"] for run in runs if run.result.get("setup_ms")]
    return {"event": "summary", "held": count["held"], "failed": count["failed"],
            "not_expressible": count["not expressible"], "disagreements": found,
            "setup_ms": {"median": round(statistics.median(setups)), "max": max(setups)} if setups else None,
            "seconds": round(seconds, 2)}


def footer(total):
    words = [f"{total['held']} held, {total['failed']} failed, {total['not_expressible']} not expressible "
             f"in {total['seconds']:.1f} s"]
    if setup := total["setup_ms"]:
        words.append(f"a network with its server and people online: {setup['median']} ms in the middle, "
                     f"{setup['max']} ms at most")
    return "\n".join([*(f"engines disagree: {sentence}" for sentence in total["disagreements"]), "", *words])


def _milliseconds(value):
    return "-" if value is None else f"{value} ms"


def _path(path):
    return "-" if not path else f"{path['kind']} {path['transport']} {path['strategy']}"


def _data(result):
    if not result.get("bytes"):
        return "-"
    rate = result.get("bytes_per_second")
    return _size(result["bytes"]) + (f" at {_size(rate)}/s" if rate else "")


def _size(count):
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
