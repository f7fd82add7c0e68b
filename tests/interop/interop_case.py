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
from kernel_nats import ADDRESS, BLOCK, INDEPENDENT, NONE, PRESERVING, RANDOM, SEQUENTIAL

_PROBE = pathlib.Path(__file__).resolve().parent / "probe.py"


class InteropCase(case.LabCase):
    NEEDS = ()  # classes with a `program`

    def setUp(self):
        absent = classifiers.missing(*self.NEEDS)
        if absent:
            raise unittest.SkipTest(f"{', '.join(absent)} is not installed; scripts/setup.sh installs it")
        super().setUp()

    # --- servers -------------------------------------------------------------------------------------------------

    def start_coturn(self, host=None):
        host = host or self.lab.add_server(name="k-coturn", alternate=True)
        coturn = servers.Coturn(host, self.folder / f"coturn-{host.address}")
        self.addCleanup(coturn.stop)
        return coturn

    def start_ours(self, host=None):
        host = host or self.lab.add_server(name="k-ours", alternate=True)
        ours = servers.Ours(host, self.binaries, self.folder / "ours")
        self._programs.append(ours)
        return ours

    def netcheck(self, ours=None, **options):
        return classifiers.Netcheck(self.binaries, self.folder, ours and ours.address, **options)

    # --- sides ---------------------------------------------------------------------------------------------------

    def kernel_sides(self, kinds=tuple(kernel_nats.KINDS)):
        return kernel_sides(self.lab, kinds)

    # --- what must hold ------------------------------------------------------------------------------------------

    def assert_right(self, findings):
        self.assertTrue(findings)
        wrong = [str(finding) for finding in findings if finding.wrong]
        if wrong:
            self.fail(f"{len(wrong)} of {len(findings)} verdicts are wrong\n" + "\n".join(wrong))

    def probe(self, sides, server, protocol="udp", sockets=8):
        """{side: [[local port, external address, external port to each destination…]…]}; the destinations are the
        server's first endpoint, its other port, and its other address and port."""
        endpoints = [f"{server.address}:{servers.PORTS[0]}", f"{server.address}:{servers.PORTS[1]}",
                     f"{server.alternate}:{servers.PORTS[1]}"]
        started = [(side, subprocess.Popen(side.host.namespace.command(
            [sys.executable, _PROBE, protocol, sockets, *endpoints]), stdout=subprocess.PIPE, stderr=subprocess.PIPE))
            for side in sides]
        found = {}
        for side, process in started:
            out, errors = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, f"{side.name}: {errors.decode()}")
            found[side] = json.loads(out)
        return found

    def assert_ports(self, side, found):
        """The probe over UDP found what the truth says."""
        self.assertEqual({address for _, address, *_ in found}, {side.host.public})
        self._assert_mapping(side.truth.mapping, found)
        self._assert_allocation(side.truth, found)

    def assert_tcp_ports(self, side, found):
        self._assert_mapping(side.truth.tcp_mapping, found)
        as_udp = side.truth.tcp_allocation == side.truth.allocation
        self._assert_allocation(side.truth if as_udp else kernel_nats.Truth(allocation=side.truth.tcp_allocation), found)

    def _assert_mapping(self, mapping, found):
        for local, _, first, other_port, other_address in found:
            ports = len({first, other_port, other_address})
            if mapping in (NONE, INDEPENDENT):
                self.assertEqual(ports, 1, found)
            elif mapping == ADDRESS:
                self.assertEqual((first == other_port, ports), (True, 2), found)
        if mapping not in (NONE, INDEPENDENT, ADDRESS):
            # Chance may give two the same port, but not often: of 256 ports to 1 in 85 sockets.
            self.assertGreaterEqual(sum(len(set(ports)) == 3 for _, _, *ports in found), len(found) / 2, found)

    def _assert_allocation(self, truth, found):
        local = [port for port, *_ in found for _ in range(3)]
        made = [port for _, _, *ports in found for port in dict.fromkeys(ports)]
        if truth.allocation == PRESERVING:
            self.assertEqual(local, [port for _, _, *ports in found for port in ports])
        elif truth.allocation == SEQUENTIAL:
            self.assertEqual({after - before for before, after in zip(made, made[1:])}, {truth.delta}, made)
        elif truth.allocation == BLOCK:
            self.assertTrue(truth.block[0] <= min(made) <= max(made) <= truth.block[1], made)
            self.assertGreater(len({after - before for before, after in zip(made, made[1:])}), len(made) / 2, made)
        elif truth.allocation == RANDOM:
            kept = sum(port in ports for port, _, *ports in found)
            self.assertLessEqual(kept, 1, found)
            self.assertGreater(max(made) - min(made), 2048, made)


def kernel_sides(lab, kinds=tuple(kernel_nats.KINDS)):
    """A host behind a NAT of each kind, each NAT on a line of its own."""
    return [classifiers.Side(kind, lab.add_side(f"k{index}", kind), kernel_nats.KINDS[kind].truth,
                             bool(kernel_nats.KINDS[kind].limits.loss)) for index, kind in enumerate(kinds)]
