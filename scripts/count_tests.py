#!/usr/bin/env python3
"""Adds up JUnit reports of ctest: names what failed and what was skipped, and ends with the count.

A test that ran in several reports counts once: failed if it failed anywhere, passed if it passed anywhere.
"""

import argparse
import re
import sys
import xml.etree.ElementTree as tree

RANK = {"skipped": 0, "passed": 1, "failed": 2}


def results(path):
    for case in tree.parse(path).getroot().iter("testcase"):
        status = case.get("status")
        if case.find("failure") is not None or case.find("error") is not None or status == "fail":
            yield case.get("name"), "failed"
        elif case.find("skipped") is not None or status in ("notrun", "disabled"):
            yield case.get("name"), "skipped"
        else:
            yield case.get("name"), "passed"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("reports", nargs="*")
    parser.add_argument("--forbid-skipping", metavar="REGEX", help="a skipped test of such a name counts as failed")
    parser.add_argument("--broken", type=int, default=0, help="builds or runs that failed as a whole")
    options = parser.parse_args()

    verdicts = {}
    for path in options.reports:
        try:
            found = list(results(path))
        except (OSError, tree.ParseError):
            continue  # no report was made: the run counts as broken
        for name, verdict in found:
            if verdict == "skipped" and options.forbid_skipping and re.search(options.forbid_skipping, name):
                verdict = "failed"
            verdicts[name] = max(verdicts.get(name, "skipped"), verdict, key=RANK.get)

    by_verdict = {verdict: sorted(name for name, own in verdicts.items() if own == verdict) for verdict in RANK}
    for verdict in ("skipped", "failed"):
        for name in by_verdict[verdict]:
            print(f"{verdict.upper()}: {name}")
    passed, failed, skipped = (len(by_verdict[verdict]) for verdict in ("passed", "failed", "skipped"))
    if options.broken and not failed:
        failed = options.broken  # something went wrong that no single test answers for
    if not verdicts:
        print("no test ran")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
