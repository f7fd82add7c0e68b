#!/usr/bin/env python3
"""Prints what each classifier says of each NAT, of the kernel's and of natbox's, beside the truth. As root, or where user
namespaces allow it; PINHOLE_BUILD is the build folder. Arguments: only these kinds or cells."""

import os
import pathlib
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path[:0] = [str(HERE.parent / "lab"), str(HERE.parent / "e2e")]

import classifiers
import interop_case
import kernel_nats
import natbox_cells
import netlab
import sandbox
import servers
from classifiers import COTURN, OURS

_SHORT = {kernel_nats.NONE: "no", kernel_nats.INDEPENDENT: "EI", kernel_nats.ADDRESS: "AD",
          kernel_nats.ADDRESS_AND_PORT: "APD", "dependent": "D", "unknown": "?", None: "-"}
_LEGEND = """
mapping/filter: no none, EI endpoint-independent, AD address-dependent, APD address-and-port-dependent, D dependent on either
ports: keep preserving, rnd random, +N sequential, N-M within a block; h hairpin
!  wrong    ~  not the truth, but all that this program can say (see classifiers.py)    blank  not asked
"""
_COLUMNS = (("natdiscovery", COTURN), ("natdiscovery", OURS), ("stun", COTURN), ("stun", OURS), ("netcheck", OURS),
            ("netcheck", COTURN))


def words(found):
    """A verdict, or a truth as one, in a few letters."""
    if not found.get("open"):
        return "no UDP" if found.get("answered", True) else "no answer"
    text = _SHORT.get(found.get("mapping"), "?")
    if "filtering" in found:
        text += "/" + _SHORT.get(found["filtering"], "?")
    if "preserving" in found:
        text += " keep" if found["preserving"] else " other"
    if found.get("block") and found.get("allocation") == kernel_nats.BLOCK:
        text += " {}-{}".format(*found["block"])
    elif found.get("delta") is not None:
        text += f" {found['delta']:+}"
    elif found.get("allocation") and found.get("mapping") != kernel_nats.NONE:
        text += {"preserving": " keep", "random": " rnd"}.get(found["allocation"], " " + found["allocation"])
    return text + (" h" if found.get("hairpin") and found.get("mapping") != kernel_nats.NONE else "")


def cell(finding):
    if finding is None:
        return ""
    truth = vars(finding.side.truth)
    bent = any(key in truth and truth[key] is not None and not value == truth[key] and key != "block"
               for key, value in finding.tool.expected(finding.side.truth, finding.server).items())
    return words(finding.verdict) + (" !" if finding.wrong else " ~" if bent else "")


def show(title, sides, findings):
    by_place = {(finding.side.name, finding.tool.name, finding.server): finding for finding in findings}
    rows = [[title, "truth", *(f"{tool}: {server}" for tool, server in _COLUMNS)]]
    rows += [[side.name, words(vars(side.truth)), *(cell(by_place.get((side.name, *column))) for column in _COLUMNS)]
             for side in sides]
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())
    print()


def ask_all(sides, tools, folder, binaries, hosts):
    coturn = servers.Coturn(hosts[COTURN], folder / f"coturn-{hosts[COTURN].address}")
    ours = servers.Ours(hosts[OURS], binaries, folder / f"ours-{hosts[OURS].address}")
    try:
        netcheck = classifiers.Netcheck(binaries, folder, ours.address)
        return classifiers.classify(sides, [*tools, netcheck], {COTURN: coturn.address, OURS: ours.address})
    finally:
        coturn.stop()
        ours.stop()


def main(only):
    sandbox.enter()
    began = time.monotonic()
    os.environ.setdefault("PINHOLE_BUILD", str(HERE.parent.parent / "build" / "release"))
    binaries = netlab.Binaries.from_environment()
    findings = []
    with tempfile.TemporaryDirectory(prefix="pinhole-table-") as folder:
        folder = pathlib.Path(folder)
        tools = [classifiers.NatDiscovery(), classifiers.Stun()]
        kinds = [kind for kind in kernel_nats.KINDS if not only or kind in only]
        if kinds:
            with netlab.Lab(binaries) as lab:
                sides = interop_case.kernel_sides(lab, kinds)
                hosts = {name: lab.add_server(name=f"k-{name}", alternate=True) for name in (COTURN, OURS)}
                findings += ask_all(sides, tools, folder, binaries, hosts)
            show("kernel", sides, findings)
        cells = [cell for cell in natbox_cells.CELLS if not only or cell.name in only]
        if cells:
            box, sides = natbox_cells.start(binaries, cells)
            with box:
                found = ask_all(sides, tools, folder, binaries, box.hosts)
            show("natbox", sides, found)
            findings += found
    wrong = [finding for finding in findings if finding.wrong]
    print(_LEGEND.strip())
    print(f"{len(findings)} verdicts, {len(wrong)} wrong, {time.monotonic() - began:.0f} s")
    for finding in wrong:
        print(f"{finding.side.name}: {finding.tool.name} against {finding.server}: {'; '.join(finding.wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
