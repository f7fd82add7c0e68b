"""What the tests against programs of others stand on: servers with two addresses, and a NAT of every kind at once."""

import json
import pathlib
import subprocess
import sys
import unittest

import case
import classifiers
import kernel_nats
import servers

_PROBE = pathlib.Path(__file__).resolve().parent / "probe.py"


class InteropCase(case.LabCase):
    NEEDS = ()  # classes with a `program`

    def setUp(self):
        absent = classifiers.missing(*self.NEEDS)
        if absent:
            raise unittest.SkipTest(f"{', '.join(absent)} is not installed; scripts/setup.sh installs it")
        super().setUp()

    # --- servers -------------------------------------------------------------------------------------------------

    def start_coturn(self):
        coturn = servers.Coturn(self.lab.add_server(name="coturn", alternate=True), self.folder / "coturn")
        self.addCleanup(coturn.stop)
        return coturn

    def start_ours(self):
        ours = servers.Ours(self.lab.add_server(name="ours", alternate=True), self.binaries, self.folder / "ours")
        self._programs.append(ours)
        return ours

    # --- sides ---------------------------------------------------------------------------------------------------

    def kernel_sides(self, kinds=tuple(kernel_nats.KINDS)):
        return kernel_sides(self.lab, kinds)

    # --- what must hold ------------------------------------------------------------------------------------------

    def assert_right(self, findings):
        self.assertTrue(findings)
        wrong = [finding for finding in findings if finding.wrong]
        self.assertFalse(wrong, "\n".join(map(str, wrong)))

    def probe(self, sides, server, protocol="udp", sockets=8):
        """{side: [[local port, external address, external port to each destination…]…]}; the destinations are the
        server's first endpoint, its other port, and its other address and port."""
        endpoints = [f"{server.address}:{servers.PORTS[0]}", f"{server.address}:{servers.PORTS[1]}",
                     f"{server.address[:-1]}1:{servers.PORTS[1]}"]
        started = [(side, subprocess.Popen(side.host.namespace.command(
            [sys.executable, _PROBE, protocol, sockets, *endpoints]), stdout=subprocess.PIPE, stderr=subprocess.PIPE))
            for side in sides]
        found = {}
        for side, process in started:
            out, errors = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, f"{side.name}: {errors.decode()}")
            found[side] = json.loads(out)
        return found


def kernel_sides(lab, kinds=tuple(kernel_nats.KINDS)):
    """A host behind a NAT of each kind, each NAT on a line of its own."""
    return [classifiers.Side(kind, lab.add_side(f"h{index}", kind), kernel_nats.KINDS[kind].truth,
                             bool(kernel_nats.KINDS[kind].limits.loss)) for index, kind in enumerate(kinds)]
