#!/usr/bin/env python3
"""Runs end-to-end tests: `run.py direct.Direct.test_eim_to_eim`, or without a name all; `--list` prints the names."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parent / "lab"))

import suite

if __name__ == "__main__":
    sys.exit(suite.main(HERE, sys.argv[1:]))
