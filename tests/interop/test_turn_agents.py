"""Two agents of an ICE implementation that this project did not write meet with the help of our server, STUN and TURN."""

import os
import pathlib
import sys

# The pair of agents is the bench's, where it stands beside our own peers.
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "bench"))
import aioice_pair
from turn_case import PASSWORD, USER, TurnCase


class NicePair(aioice_pair.AioicePair):
    NEEDS = "import gi; gi.require_version('Nice', '0.1'); from gi.repository import Nice"
    PROGRAM = pathlib.Path(__file__).resolve().parent / "nice_agent.py"


class AgentCase(TurnCase):
    PAIR = None

    def setUp(self):
        super().setUp()
        if aioice_pair.find_python(self.PAIR.NEEDS) is None:
            self.skipTest(f"what {self.PAIR.PROGRAM.name} needs is not installed; scripts/setup.sh installs it")

    def attempt(self, kind, *options, **side_options):
        """Two agents behind NATs of that kind."""
        self.hosts = [self.lab.add_side(name, kind, **side_options) for name in ("a", "b")]
        pair = self.PAIR(self.lab.server, self.hosts, *options)
        self.addCleanup(pair.close)
        found = pair.attempt()
        self.assertTrue(found["connected"], found)
        return found

    def start_relay(self):
        server = self.lab.add_server()
        self.start()
        return f"{server.address}:3478:{USER}:{PASSWORD}:"


class TurnAgents(AgentCase):
    PAIR = aioice_pair.AioicePair

    def connect(self, transport, **side_options):
        """NATs that have no direct path."""
        relay = self.start_relay()
        found = self.attempt("symmetric", relay + transport, **side_options)
        self.assertEqual(found["remote"], self.lab.server.address)

    def test_aioice_over_udp(self):
        self.connect("udp")

    def test_aioice_over_tcp(self):
        self.connect("tcp")

    def test_aioice_over_tls_without_udp(self):
        self.connect("tls", block_udp=True)


class NiceAgents(AgentCase):
    """libnice speaks no TLS to a TURN server, only what Google and Microsoft once did instead."""

    PAIR = NicePair

    def relayed(self, found, *kinds):
        """All packets came back, and the pair that they took has candidates of these kinds, the remote one at the relay."""
        self.assertEqual(found["returned"], found["sent"], found)
        self.assertEqual((found["local"][0], found["remote"][0]), kinds, found)
        self.assertEqual(found["remote"][1], self.lab.server.address)

    def test_libnice_finds_its_address(self):
        self.start_relay()
        found = self.attempt("eim")
        self.assertEqual(found["returned"], found["sent"], found)
        self.assertEqual(found["remote"][1], self.hosts[1].public)

    def test_libnice_over_udp(self):
        relay = self.start_relay()
        found = self.attempt("symmetric", relay + "udp")
        self.assertIn("relay", (found["local"][0], found["remote"][0]), found)
        self.assertEqual(found["returned"], found["sent"], found)

    def test_libnice_with_nothing_but_relays(self):
        relay = self.start_relay()
        self.relayed(self.attempt("eim", relay + "udp", "relay"), "relay", "relay")

    def test_libnice_over_tcp_without_udp(self):
        relay = self.start_relay()
        self.relayed(self.attempt("eim", relay + "tcp", block_udp=True), "relay", "relay")
