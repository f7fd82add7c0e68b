"""What tshark reads in the packets between our server and the clients of others and our own."""

import re
import subprocess

import natbox_cells
import servers
from classifiers import OURS, NatDiscovery, Stun, classify
from interop_case import InteropCase

_REQUEST, _ANSWER = "0x0001", "0x0101"
_CRC_GOOD = "1"
_OTHER_ADDRESS = "0x802c"
_CELLS = ("EI-EI", "AD-APD", "public")


class StunClient:
    program = "turnutils_stunclient"


class Tshark:
    program = "tshark"


class Wire(InteropCase):
    NEEDS = (NatDiscovery, Stun, StunClient, Tshark)

    def test_the_plainest_client_learns_its_address(self):
        ours = self.start_ours()
        host = self.lab.add_side("a", "public")
        # It ends with a request for a padded answer to another port. Nobody has to answer that, so it would wait for ever.
        said = subprocess.run(host.namespace.command(["timeout", "3", StunClient.program, ours.address]),
                              capture_output=True, text=True).stdout
        for origin, number in ((f"{ours.address}:3478", 1), (f"{ours.alternate}:3479", 2)):
            self.assertRegex(said, rf"RFC 5780 response {number}\n(.*\n)*?.*Response origin: : {re.escape(origin)}\n")
        self.assertEqual(len(re.findall(rf"UDP reflexive addr: {re.escape(host.address)}:", said)), 2, said)

    def test_tshark_agrees_with_every_message(self):
        rows = self.capture("stun.id", "stun.type", "ip.src", "udp.srcport", "ip.dst", "udp.dstport", "stun.att.type",
                            "stun.att.ipv4", "stun.att.port", "stun.att.crc32.status", "stun.att.crc32.bad",
                            "_ws.malformed")
        with self.subTest("nothing is malformed"):
            types = [row[1] for row in rows]
            self.assertGreater(types.count(_REQUEST), 30)
            self.assertGreater(types.count(_ANSWER), 30)
            self.assertEqual([row for row in rows if row[10] or row[11]], [])
            # Those of our own client have a FINGERPRINT, and its check sum is right.
            self.assertEqual({row[9] for row in rows}, {"", _CRC_GOOD})
        with self.subTest("answers name their origin and the other address"):
            self.assert_addresses([row[:9] for row in rows])

    def assert_addresses(self, rows):
        asked = {row[0]: (row[4], row[5]) for row in rows if row[1] == _REQUEST}
        other_address = {self.ours.address: self.ours.alternate, self.ours.alternate: self.ours.address}
        first, second = map(str, servers.PORTS)
        other_port = {first: second, second: first}
        seen = set()
        for transaction, kind, source, port, _, _, attributes, addresses, ports in rows:
            if kind != _ANSWER or not attributes.endswith(_OTHER_ADDRESS) or not port:
                continue
            origin, other = list(zip(addresses.split(","), ports.split(",")))[-2:]
            self.assertEqual(origin, (source, port))  # RFC 5780 §7.3
            to, to_port = asked[transaction]
            # RFC 5780 §7.4: what a change of address and port would give, wherever this answer came from; but for the
            # second mapping test, whose answer leads natdiscovery to the third.
            led_on = [(to, second)] if (to, to_port) == (self.ours.alternate, first) else []
            self.assertIn(other, [(other_address[to], other_port[to_port]), *led_on])
            seen.add((to, to_port))
        self.assertGreaterEqual(len(seen), 3, seen)

    def capture(self, *fields):
        """Those fields of all STUN packets at our server while three clients behind three NATs ask it."""
        cells = [cell for cell in natbox_cells.CELLS if cell.name in _CELLS]
        box, sides = natbox_cells.start(self.binaries, cells, capture=self.folder)
        with box:
            self.ours = self.start_ours(box.hosts["ours"])
            tools = [NatDiscovery(), Stun(), self.netcheck(self.ours)]
            self.assert_right(classify(sides, tools, {OURS: self.ours.address}))
        options = [word for field in fields for word in ("-e", field)]
        read = subprocess.run([Tshark.program, "-r", self.folder / "ours.pcap", "-Y", "stun", "-T", "fields", *options],
                              capture_output=True, text=True, check=True)
        return [line.split("\t") for line in read.stdout.splitlines()]
