"""The command line of pinhole-lab."""

import argparse
import json
import os
import pathlib
import shutil
import signal
import sys
import time

import reading
import report
import runner
import sandbox
import scenario as scenarios

HELD, FAILED, USAGE = 0, 1, 2
_EXAMPLES = """examples:
  pinhole-lab run scenarios/                            every scenario of a folder
  pinhole-lab run two-homes.toml --engine both          the model and the kernel's own NATs must agree
  pinhole-lab run two-homes.toml --repeat 20 --json     a line for each run, for a program
  pinhole-lab check my-network.toml                     only look for mistakes in a file

A scenario is a TOML file: [[nat]]s, [[host]]s, [[step]]s and [expect]; README.md beside the scenarios describes it.
It runs in namespaces of its own, needs no network and, where user namespaces are allowed, no root.

exit codes: 0 everything held, 1 something did not, 2 wrong usage or a mistake in a file, 77 this machine makes no
namespaces, 130 interrupted"""
_PROGRAMS = ("pinhole", "pinhole-rendezvous")


class _Ended(Exception):
    """By a signal."""


def main(arguments, launcher):
    """`launcher`: the path that this program was started by, beside which the programs under test may be."""
    options = _parser().parse_args(arguments)
    try:
        return options.do(options, launcher)
    except reading.ScenarioError as mistake:
        print(f"pinhole-lab: {mistake}", file=sys.stderr)
        return USAGE


def _parser():
    parser = argparse.ArgumentParser(prog="pinhole-lab", epilog=_EXAMPLES,
                                     description="Plays networks, faults and what must hold, from files.",
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="run|check|list")
    for name, do, about in (("run", _run, "play scenarios and print a table"),
                            ("check", _check, "look for mistakes without playing"),
                            ("list", _list, "names, engines that can express it, and what it is about")):
        command = commands.add_parser(name, help=about, description=about, epilog=_EXAMPLES,
                                      formatter_class=argparse.RawDescriptionHelpFormatter)
        command.add_argument("paths", nargs="+", metavar="FILE|FOLDER")
        command.set_defaults(do=do)
        if name != "check":
            command.add_argument("--json", action="store_true", help="one JSON object a line on stdout, nothing else")
        if name == "run":
            _add_run_options(command)
    return parser


def _add_run_options(command):
    command.add_argument("--engine", choices=(*runner.ENGINES, "both"), default="model",
                         help="model: natbox; kernel: nftables NATs; both: and they must agree (default: model)")
    command.add_argument("--repeat", type=_positive, default=1, metavar="N", help="play each N times")
    command.add_argument("--keep", default="lab-failures", metavar="FOLDER",
                         help="logs and captures of what failed go into FOLDER/NAME-ENGINE (default: ./lab-failures)")
    command.add_argument("--bin", metavar="FOLDER", help="a build folder, or one with the programs "
                         "(default: the build that pinhole-lab belongs to, else PATH)")
    command.add_argument("--jobs", type=_positive, default=2, metavar="N", help="scenarios at once (default: 2)")


def _positive(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


# --- check, list ----------------------------------------------------------------------------------------------------


def _load_all(paths):
    """All files; every mistake is said, and the last one is raised."""
    loaded, mistakes = [], []
    for path in scenarios.find(paths):
        try:
            loaded.append(scenarios.load(path))
        except reading.ScenarioError as mistake:
            mistakes.append(mistake)
    for mistake in mistakes[:-1]:
        print(f"pinhole-lab: {mistake}", file=sys.stderr)
    if mistakes:
        raise mistakes[-1]
    return loaded


def _check(options, _):
    loaded = _load_all(options.paths)
    print(f"{len(loaded)} scenarios, no mistakes")
    return HELD


def _list(options, _):
    for scenario in _load_all(options.paths):
        reasons = {name: runner.engine(name).why_not(scenario) for name in runner.ENGINES}
        if options.json:
            print(json.dumps({"event": "listed", "scenario": scenario.name, "file": str(scenario.path),
                              "about": scenario.about, "not_expressible": {k: v for k, v in reasons.items() if v}},
                             ensure_ascii=False))
        else:
            engines = ", ".join(name for name, reason in reasons.items() if not reason)
            print(f"{scenario.name}  ({engines})\n    {scenario.about}")
    return HELD


# --- run ------------------------------------------------------------------------------------------------------------


def _run(options, launcher):
    loaded = _load_all(options.paths)
    folders = _programs(options.bin, launcher)
    if folders is None:
        return USAGE
    if reason := sandbox.why_impossible():
        print(f"pinhole-lab: {reason}", file=sys.stderr)
        return sandbox.SKIPPED
    if pathlib.Path(options.keep).resolve().is_relative_to("/run"):
        print("pinhole-lab: --keep cannot be below /run, which every scenario has for itself", file=sys.stderr)
        return USAGE
    engines = runner.ENGINES if options.engine == "both" else (options.engine,)
    runs = [runner.Run(scenario, engine, repeat) for scenario in loaded for repeat in range(1, options.repeat + 1)
            for engine in engines]
    return _play(options, runs, folders)


def _play(options, runs, folders):
    table = report.Table(runs, sys.stdout)
    if options.json:
        def show(run):
            print(json.dumps(run.summary(), ensure_ascii=False), flush=True)
    else:
        table.head()
        show = table.add
    for deadly in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(deadly, _end)
    began = time.monotonic()
    try:
        runner.Runner(folders, options.keep, options.jobs, show).run(runs)
    except _Ended as ended:
        print("pinhole-lab: interrupted", file=sys.stderr)
        return 128 + ended.args[0]
    total = report.summary(runs, runner.disagreements(runs), time.monotonic() - began)
    print(json.dumps(total, ensure_ascii=False) if options.json else report.footer(total))
    return FAILED if total["failed"] or total["disagreements"] else HELD


def _end(number, _):
    for deadly in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(deadly, signal.SIG_IGN)  # once is enough; ending the boxes takes a moment
    raise _Ended(number)


def _programs(given, launcher):
    """The folders to look for programs in; None, with a word to the user, without any."""
    if given:
        if pathlib.Path(given).is_dir():
            return [pathlib.Path(given)]
        print(f"pinhole-lab: --bin {given} is no folder", file=sys.stderr)
        return None
    if build := os.environ.get("PINHOLE_BUILD"):
        return [pathlib.Path(build)]
    # In a build folder this is tests/lab/pinhole-lab; installed it is bin/pinhole-lab, beside the others.
    here = pathlib.Path(launcher).absolute().parent
    for folder in (here.parent.parent, here):
        if (folder / "CMakeCache.txt").exists() or (folder / "pinhole").is_file():
            return [folder, folder.parent]
    found = [pathlib.Path(path).parent for path in map(shutil.which, _PROGRAMS) if path]
    if len(found) < len(_PROGRAMS):
        print("pinhole-lab: pinhole and pinhole-rendezvous are not on PATH; say where they are with --bin FOLDER",
              file=sys.stderr)
        return None
    return found
