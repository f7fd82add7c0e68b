"""Measuring: each who takes part in turn, again and again, on an idle machine; a run that others have disturbed is repeated."""

import dataclasses
import sys
import time

import speed_fairness
import speed_machine
import speed_messages
import speed_rivals
from speed_rows import MIB, Entry

_FOREIGN_SHARE = 0.10  # of one processor
_ATTEMPTS = 3


@dataclasses.dataclass
class Options:
    runs: int = 5
    scale: float = 1.0  # of sizes, times and counts
    patience: float = 600  # seconds to wait for an idle machine before each run
    congestion: str = "cubic"
    wanted: tuple = ()  # parts of names; all when empty


@dataclasses.dataclass
class Measurement:
    row: str
    name: str
    run: int
    figures: dict
    foreign: float = 0.0  # share of one processor
    idle: bool = True
    problem: str = ""


def _transfer(row, entry, line, options):
    size = max(MIB, int(entry.size * MIB * options.scale))
    outcome = entry.rival.transfer(line, size, row.timeout)
    if outcome.bytes == 0 or outcome.seconds <= 0:
        raise speed_machine.RunError("nothing arrived")
    gigabytes = outcome.bytes / 1e9
    return {"mbit": 8 * outcome.bytes / 1e6 / outcome.seconds, "seconds": outcome.seconds, "bytes": outcome.bytes,
            "cpu_per_gb": outcome.cpu / gigabytes, "peak_mb": outcome.peak_mb, **outcome.details}


def _fairness(row, entry, line, options, binaries):
    figures = speed_fairness.alone(entry.rival, line, 30 * options.scale)
    # The queue and the losses of the first part are none of the second's.
    line.close()
    line.open(seed=1)
    return {**figures, **speed_fairness.beside(entry.rival, line, 60 * options.scale, binaries)}


def _one(row, entry, line, options, binaries):
    if row.kind == "transfer":
        return _transfer(row, entry, line, options)
    if row.kind == "fairness":
        return _fairness(row, entry, line, options, binaries)
    if row.kind == "messages":
        count = max(10, int(600 * options.scale))
        return entry.rival.run(line, count, count / 20 + row.timeout)
    return entry.rival.run(line, max(20, int(1000 * options.scale)), 30 * options.scale)


def measure_once(row, entry, lines, run, options, binaries):
    idle = speed_machine.await_idle(options.patience)
    speed_machine.LOG.write_bytes(b"")
    line = row.line(lines, entry.rival)
    line.open(seed=run + 1)
    before, began = speed_machine.times(), time.monotonic()
    figures, problem = {}, ""
    try:
        figures = _one(row, entry, line, options, binaries)
    except (speed_machine.RunError, KeyError, ValueError) as error:
        problem = f"{type(error).__name__}: {error}" if not isinstance(error, speed_machine.RunError) else str(error)
    spent, elapsed = speed_machine.times() - before, time.monotonic() - began
    figures.update(line.close())
    if "bytes" in figures:
        figures["machine_per_gb"] = (spent.busy - spent.foreign) / (figures["bytes"] / 1e9)
    return Measurement(row.name, entry.rival.name, run, figures, spent.foreign / max(elapsed, 0.01), idle, problem)


def _entries(row, options, binaries):
    """Who of the row can run here, and for those who cannot why."""
    entries = row.entries
    if row.kind == "messages":
        entries = [Entry(each, 0) for each in speed_messages.means(options.congestion)]
    elif row.kind == "memory":
        entries = [Entry(each, 0) for each in speed_messages.resting(options.congestion)]
    present, absent = [], {}
    for entry in entries:
        if options.wanted and not any(word in entry.rival.name for word in options.wanted):
            continue
        if reason := speed_rivals.tool_missing(*row.tool.split()) or entry.rival.missing(binaries):
            absent[entry.rival.name] = reason
        else:
            entry.rival.prepare(binaries)
            present.append(entry)
    return present, absent


def _least_disturbed(row, entry, lines, run, options, binaries):
    """One that nobody disturbed, or the best of some attempts; one that failed only when all have."""
    attempts = []
    for _ in range(_ATTEMPTS):
        attempts.append(measure_once(row, entry, lines, run, options, binaries))
        print(_progress(attempts[-1]), file=sys.stderr, flush=True)
        undisturbed = not attempts[-1].problem and attempts[-1].foreign <= _FOREIGN_SHARE
        if undisturbed or options.patience == 0:
            break
    return min(attempts, key=lambda each: (each.problem != "", each.foreign))


def measure_row(row, lines, options, binaries, on_measured):
    """Calls back with every measurement; returns who was absent, and why."""
    entries, absent = _entries(row, options, binaries)
    for run in range(options.runs):
        for entry in entries:
            found = _least_disturbed(row, entry, lines, run, options, binaries)
            on_measured(found)
    return absent


def _progress(found):
    figures = ", ".join(f"{key} {found.figures[key]:.1f}" for key in
                        ("mbit", "cpu_per_gb", "p50", "p99", "bulk_mbit", "rtt_p50", "line_mbit", "cubic_mbit",
                         "sender_bytes", "receiver_bytes") if key in found.figures)
    return (f"{found.row} {found.name} #{found.run + 1}: {found.problem or figures} (foreign {found.foreign:.0%}"
            f"{'' if found.idle else ', not idle before'})")

