#!/usr/bin/env python3
"""The transport beside everything else that carries bytes, on lines that this program makes: who is how fast, for how much
processor time and memory, and which aims are held. Markdown on stdout, what is under way on stderr.

`speed.py --bin build/release --setup` installs the rivals and builds what they need. `speed.py --bin build/release` is a whole
run: about two hours on an idle machine. `--only b,c --runs 3 --who pinhole,TLS` is less of it; `--scale 0.01 --patience 0` shows
that everything works, and no figure of that is worth anything. README.md says what the rows are. Ends with 1 when somebody who
took part never had a figure; a gate that is missed is for the reader.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lab"), str(HERE)]

import netlab
import sandbox
import speed_links
import speed_report
import speed_rivals
import speed_rows
import speed_runs
import speed_setup


def _words(text):
    return tuple(word for word in text.split(",") if word)


def _parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.environ.get("PINHOLE_BUILD", "build/release"), help="a release build")
    parser.add_argument("--setup", action="store_true", help="install and build the rivals, and nothing else")
    parser.add_argument("--only", type=_words, default=(), help="rows, as in a,b,c; b3 is both of its queues")
    parser.add_argument("--who", type=_words, default=(), help="parts of the names of those who take part")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1, help="of sizes, times and counts")
    parser.add_argument("--patience", type=float, default=600, help="seconds to wait for an idle machine before each run")
    parser.add_argument("--congestion", help="ours; default: what users get")
    parser.add_argument("--json", help="every figure of every run, kept from the first one on")
    parser.add_argument("--report", nargs="+", metavar="JSON", help="tables of what such files hold; measures nothing")
    return parser.parse_args()


def _congestion(binaries):
    """The algorithm that a user gets."""
    told = subprocess.run([binaries.find("transport-load"), "--help"], capture_output=True, text=True).stdout
    return re.search(r"--congestion TEXT=(\w+)", told)[1]


def _chosen(rows, only):
    return [row for row in rows if not only or row.name in only or row.name.split("/")[0] in only]


def _environment(options):
    sizes = f"{options.scale:g} of the full sizes" if options.scale != 1 else "full sizes"
    model = next((line.partition(":")[2].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), "unknown processor")
    return (f"{os.cpu_count()} processors ({model}), Linux {os.uname().release}, {time.strftime('%Y-%m-%d')}; "
            f"{options.runs} runs, {sizes}; ours with {options.congestion}\n")


def _save(path, options, measurements):
    if path:
        pathlib.Path(path).write_text(json.dumps({"options": dataclasses.asdict(options), "measurements":
                                                  [dataclasses.asdict(each) for each in measurements]}, indent=1))


def _report(paths):
    """Of several files together, such as rows that were measured one after the other."""
    kept = [json.loads(pathlib.Path(path).read_text()) for path in paths]
    measurements = [speed_runs.Measurement(**each) for file in kept for each in file["measurements"]]
    measured = {each.row for each in measurements}
    rows = [row for row in speed_rows.rows(kept[0]["options"]["congestion"]) if row.name in measured]
    for row in rows:
        print(speed_report.row_table(row, measurements, {}))
    print(speed_report.gate_table(measurements, measured))


def main():
    arguments = _parse()
    if arguments.setup:
        speed_setup.run(arguments.bin)
        return
    if arguments.report:
        _report(arguments.report)
        return
    sandbox.enter()
    binaries = netlab.Binaries(arguments.bin)
    speed_rivals.FOLDER.mkdir()
    options = speed_runs.Options(runs=arguments.runs, scale=arguments.scale, patience=arguments.patience,
                                 congestion=arguments.congestion or _congestion(binaries), wanted=arguments.who)
    lines, measurements = speed_links.Lines(binaries), []

    def measured(found):
        measurements.append(found)
        _save(arguments.json, options, measurements)

    print(_environment(options))
    rows = _chosen(speed_rows.rows(options.congestion), arguments.only)
    for row in rows:
        absent = speed_runs.measure_row(row, lines, options, binaries, measured)
        print(speed_report.row_table(row, measurements, absent), flush=True)
    print(speed_report.gate_table(measurements, [row.name for row in rows]))
    worked = {(each.row, each.name) for each in measurements if not each.problem}
    sys.exit(0 if all((each.row, each.name) in worked for each in measurements) else 1)


if __name__ == "__main__":
    main()
