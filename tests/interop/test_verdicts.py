"""Cells that the kernel and natbox can both express let the same connections through."""

import dataclasses
import json
import pathlib
import subprocess
import sys
import time

import kernel_nats
import natbox_cells
import sandbox
from interop_case import InteropCase, kernel_sides
from servers import Coturn

_PUNCH = pathlib.Path(__file__).resolve().parent / "punch.py"
# Not the block: two of its 256 ports may be the same by chance.
_SAME = {cell.name: cell.kernel for cell in natbox_cells.CELLS if cell.name in (
    "EI-EI", "EI-AD", "EI-APD", "ei-random", "AD-APD", "sym-udp", "seq", "clash", "cgn-seq", "public")}
# The side that begins later has been called already: a NAT that minds shows it.
_SKEW_S, _DURATION_S = 0.3, 1.0


class Verdicts(InteropCase):
    NEEDS = (Coturn,)

    def test_the_kernel_and_natbox_let_the_same_pairs_through(self):
        by_kernel = self.verdicts(self.kernel_pairs())
        by_natbox = self.verdicts(self.natbox_pairs())
        differing = {pair: f"kernel {by_kernel[pair]}, natbox {by_natbox[pair]}" for pair in by_kernel
                     if by_kernel[pair] != by_natbox[pair]}
        self.assertEqual(differing, {}, "(who calls first, who calls later)")
        # The table must not be the same for being empty.
        for pair, connects in {("EI-APD", "EI-APD"): True, ("EI-APD", "sym-udp"): False, ("EI-AD", "sym-udp"): True,
                               ("EI-APD", "clash"): False, ("clash", "EI-APD"): True, ("public", "seq"): True,
                               ("seq", "sym-udp"): False}.items():
            self.assertEqual(by_kernel[pair], connects, pair)

    def test_cells_that_are_called_the_same_have_the_same_truth(self):
        for cell in natbox_cells.CELLS:
            with self.subTest(cell=cell.name):
                if cell.kernel:
                    kernel = dataclasses.replace(kernel_nats.KINDS[cell.kernel].truth,
                                                 tcp_mapping=cell.truth.tcp_mapping,
                                                 tcp_allocation=cell.truth.tcp_allocation)
                    self.assertEqual(cell.truth if kernel.open else cell.truth.open, kernel if kernel.open else False)

    def kernel_pairs(self):
        sides = kernel_sides(self.lab, [kind for kind in _SAME.values() for _ in "ab"])
        return [side.host for side in sides], self.start_coturn()

    def natbox_pairs(self):
        cells = {cell.name: cell for cell in natbox_cells.CELLS}
        box, sides = natbox_cells.start(self.binaries, [cells[name] for name in _SAME for _ in "ab"])
        self.addCleanup(box.close)
        return [side.host for side in sides], self.start_coturn(box.hosts["coturn"])

    def verdicts(self, network):
        """{(who calls first, who calls later): they connect}, of hosts that are in pairs in the order of _SAME."""
        hosts, coturn = network
        agents = [self.agent(host) for host in hosts]
        first, later = agents[::2], agents[1::2]
        for agent in agents:
            _tell(agent, {"open": len(_SAME), "server": f"{coturn.address}:3478"})
        outside = [_answer(agent) for agent in agents]
        called, callers = outside[1::2], outside[::2]
        start = time.monotonic() + 0.3
        for row, agent in enumerate(first):
            _tell(agent, {"punch": [column[row] for column in called], "at": start, "for": _SKEW_S + _DURATION_S})
        for column, agent in enumerate(later):
            _tell(agent, {"punch": [row[column] for row in callers], "at": start + _SKEW_S, "for": _DURATION_S})
        heard_first, heard_later = [[_answer(agent) for agent in group] for group in (first, later)]
        return {(a, b): heard_first[row][column] and heard_later[column][row]
                for row, a in enumerate(_SAME) for column, b in enumerate(_SAME)}

    def agent(self, host):
        agent = subprocess.Popen(host.namespace.command([sys.executable, _PUNCH]), stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True, preexec_fn=sandbox.die_with_parent)
        self.addCleanup(agent.wait)
        self.addCleanup(agent.stdout.close)
        self.addCleanup(agent.stdin.close)
        return agent


def _tell(agent, command):
    agent.stdin.write(json.dumps(command) + "\n")
    agent.stdin.flush()


def _answer(agent):
    return json.loads(agent.stdout.readline())
