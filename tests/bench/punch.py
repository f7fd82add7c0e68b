#!/usr/bin/env python3
"""How the shipped programs punch, network by network, as tables: which path carries the data, how soon, with how many
packets; beside aioice in the same networks. README.md says what each table shows. Exit code 1: an aim was missed.

`punch.py [--bin BUILD] [--table class|aioice|kernel|time|packets|all] [--only 'E x S'] [--runs N] [--jobs N] [--json FILE]`
"""

import argparse
import concurrent.futures
import itertools
import json
import os
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parent / "lab"))

import punch_tables
import sandbox


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", default=os.environ.get("PINHOLE_BUILD"), help="the build folder")
    parser.add_argument("--table", choices=[*punch_tables.TABLES, "all"], default="all")
    parser.add_argument("--only", action="append", metavar="'A x B'", help="just these pairs; may be repeated")
    parser.add_argument("--runs", type=int, help="attempts of each pair; each table has its own default")
    parser.add_argument("--jobs", type=int, default=2, help="networks at a time (2)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="all figures of all attempts")
    options = parser.parse_args()
    if not options.bin:
        parser.error("--bin or PINHOLE_BUILD must name the build folder")
    return options


def _run(tasks, options):
    """Each in a sandbox of its own, so many at a time; the results in the order of the tasks."""
    done = itertools.count(1)

    def run(task):
        order = json.dumps({"bin": options.bin, **task})
        process = sandbox.start([sys.executable, "-B", str(HERE / "punch_task.py"), order], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, text=True)
        output = process.communicate()[0]
        if process.returncode != 0:
            raise RuntimeError(f"{order}: ended with {process.returncode}")
        _show_progress(next(done), len(tasks))
        return json.loads(output.splitlines()[-1])
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        return list(pool.map(run, tasks))


def _show_progress(done, all_of_them):
    if sys.stderr.isatty():
        print(f"\r{done} of {all_of_them} networks", end="" if done < all_of_them else "\n", file=sys.stderr)


def main():
    options = _arguments()
    reason = sandbox.why_impossible()
    if reason:
        print(f"SKIPPED: {reason}", file=sys.stderr)
        return sandbox.SKIPPED
    names = list(punch_tables.TABLES) if options.table == "all" else [options.table]
    only = options.only and [tuple(pair.split(" x ")) for pair in options.only]
    figures, missed = {}, 0
    for name in names:
        table = punch_tables.TABLES[name](options.runs, only)
        if not table.tasks:
            continue
        began, load = time.monotonic(), os.getloadavg()[0]
        table.take(_run(table.tasks, options))
        print(f"\n## {name}: {table.title}\n")
        print("\n".join(table.lines()))
        misses = table.misses()
        print("".join(f"\nMISSED: {words}" for words in misses) or "\nevery aim is held", flush=True)
        print(f"({time.monotonic() - began:.0f} s on {os.cpu_count()} cores, {options.jobs} networks at a time, load "
              f"{load:.1f} before, {os.getloadavg()[0]:.1f} after)", flush=True)
        figures[name] = table.figures()
        missed += len(misses)
        if options.json:
            options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
