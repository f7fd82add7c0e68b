#!/usr/bin/env python3
"""Runs end-to-end tests, each in a sandbox of its own: `run.py direct.Direct.test_eim_to_eim`, or without a name all.

`--list` prints the names, for CMake. Exit code 77 means that this machine cannot run them; it says why.
"""

import os
import pathlib
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path[:0] = [str(HERE), str(HERE.parent / "lab")]

import sandbox


def names():
    def flatten(suite):
        for test in suite:
            if isinstance(test, unittest.TestSuite):
                yield from flatten(test)
            else:
                yield test.id().removeprefix("test_")
    return sorted(flatten(unittest.defaultTestLoader.discover(str(HERE), top_level_dir=str(HERE))))


def main(arguments):
    if arguments == ["--list"]:
        print("\n".join(names()))
        return 0
    if len(arguments) != 1:
        # One sandbox a test, so that none inherits the namespaces of the one before.
        os.environ.setdefault("PINHOLE_BUILD", str(HERE.parent.parent / "build" / "release"))
        codes = [subprocess.call([sys.executable, __file__, name]) for name in arguments or names()]
        return max(codes, default=1)
    sandbox.enter()
    suite = unittest.defaultTestLoader.loadTestsFromName("test_" + arguments[0])
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    return 0 if result.wasSuccessful() and result.testsRun else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
