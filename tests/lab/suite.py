"""Runs a folder of unittests that need the lab, each test in a sandbox of its own.

`NAME.Class.test_x` runs that one (of test_NAME.py), no argument runs all, `--list` prints the names, for CMake. Exit code
77 means that this machine cannot run it; it says why.
"""

import os
import pathlib
import subprocess
import sys
import unittest

import sandbox


def main(folder, arguments):
    sys.path.insert(0, str(folder))
    if arguments == ["--list"]:
        print("\n".join(names(folder)))
        return 0
    if len(arguments) != 1:
        # One sandbox a test, so that none inherits the namespaces of the one before.
        os.environ.setdefault("PINHOLE_BUILD", str(pathlib.Path(folder).parent.parent / "build" / "release"))
        codes = [subprocess.call([sys.executable, sys.argv[0], name]) for name in arguments or names(folder)]
        return max(codes, default=1)
    sandbox.enter()
    suite = unittest.defaultTestLoader.loadTestsFromName("test_" + arguments[0])
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    if not result.wasSuccessful() or not result.testsRun:
        return 1
    for _, reason in result.skipped:
        print(f"SKIPPED: {reason}", file=sys.stderr)
    return sandbox.SKIPPED if result.skipped else 0


def names(folder):
    def flatten(suite):
        for test in suite:
            if isinstance(test, unittest.TestSuite):
                yield from flatten(test)
            else:
                yield test.id().removeprefix("test_")
    return sorted(flatten(unittest.defaultTestLoader.discover(str(folder), top_level_dir=str(folder))))
