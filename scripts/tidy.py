#!/usr/bin/env python3
"""clang-tidy over the compiled sources, in parallel, within a time limit, remembering what is clean.

A file is clean for as long as its text after preprocessing, the checks and the compiler stay the same.
"""

import argparse
import concurrent.futures
import hashlib
import json
import pathlib
import shlex
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = ROOT / "build" / "tidy"


def sources(build):
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["directory"], entry["file"]).resolve()
        if path.is_relative_to(ROOT) and not path.is_relative_to(ROOT / "build"):
            yield path, entry


def newest_first():
    """Paths in the order of their last change: what was just written is what nobody has looked at."""
    uncommitted = git("diff", "--name-only", "HEAD")
    committed = git("log", "--name-only", "--format=")
    return {ROOT / name: index for index, name in reversed(list(enumerate([*uncommitted, *committed])))}


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True).stdout.split("\n")


def fingerprint(entry):
    words = shlex.split(entry["command"])
    if words[0].endswith("ccache"):
        words = words[1:]
    output = words.index("-o")
    del words[output:output + 2]
    text = subprocess.run([*words, "-E", "-o", "-"], cwd=entry["directory"], capture_output=True, check=True).stdout
    checks = (ROOT / ".clang-tidy").read_bytes()
    return hashlib.sha256(checks + " ".join(words).encode() + text).hexdigest()


def check(path, entry, build, deadline):
    """None if there was no time, else clang-tidy's complaints, empty if there are none."""
    if time.monotonic() > deadline:
        return None
    mark = CACHE / fingerprint(entry)
    if mark.exists():
        return ""
    result = subprocess.run(["clang-tidy-19", "-p", str(build), "--quiet", str(path)], capture_output=True, text=True)
    if result.returncode == 0:
        mark.touch()
        return ""
    return result.stdout or result.stderr


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=300)
    options = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    build = options.build.resolve()
    deadline = time.monotonic() + options.seconds
    age = newest_first()
    todo = sorted(dict(sources(build)).items(), key=lambda item: (age.get(item[0], len(age)), item[0]))

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        complaints = list(pool.map(lambda item: check(*item, build, deadline), todo))
    unseen = [path for (path, _), complaint in zip(todo, complaints) if complaint is None]
    dirty = [complaint for complaint in complaints if complaint]
    for complaint in dirty:
        print(complaint)
    for path in unseen:
        print(f"NOT CHECKED, out of time: {path.relative_to(ROOT)}")
    print(f"clang-tidy: {len(todo) - len(unseen)} of {len(todo)} files looked at, {len(dirty)} with complaints")
    return 1 if dirty else 0


if __name__ == "__main__":
    sys.exit(main())
