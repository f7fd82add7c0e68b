#!/usr/bin/env python3
"""Tests against programs of others: `run.py kernel.KernelKinds.test_x` runs one, no name all; `--list` prints names."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path[:0] = [str(HERE.parent / "lab"), str(HERE.parent / "e2e")]

import suite

if __name__ == "__main__":
    sys.exit(suite.main(HERE, sys.argv[1:]))
