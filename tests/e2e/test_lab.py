"""The lab itself: a NAT that is not what its name says would make every other test worthless."""

import subprocess
import sys

import netlab
from case import LabCase

# Sends from one port to the server's first port and tells which of the three answers came in, then what a second
# destination sees. The server answers from where it was asked, from another port, and from another address.
_CLIENT = """
import socket, sys
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.bind(("0.0.0.0", 40000))
client.settimeout(5)
client.sendto(b"x", ("203.0.113.10", 3478))
words = {}
try:
    while "end" not in words:
        word, _, seen = client.recvfrom(100)[0].decode().partition(" ")
        words[word] = seen
        client.settimeout(0.3)
except TimeoutError:
    pass
client.settimeout(5)
client.sendto(b"x", ("203.0.113.10", 3479))
second = client.recvfrom(100)[0].decode().partition(" ")[2]
print(words.get("same"), second, "port" in words, "address" in words)
"""
_SERVER = """
import select, socket
def bound(address, port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, port))
    return s
first, port, address = bound("203.0.113.10", 3478), bound("203.0.113.10", 3479), bound("203.0.113.11", 3478)
print("up", flush=True)
while True:
    for s in select.select([first, port], [], [])[0]:
        _, client = s.recvfrom(100)
        seen = f" {client[0]}:{client[1]}".encode()
        s.sendto(b"same" + seen, client)
        if s is first:
            port.sendto(b"port" + seen, client)
            address.sendto(b"address" + seen, client)
"""
# kind: (mapping is endpoint-independent, port is preserved, another port may answer, another address may answer)
_EXPECTED = {
    "eim": (True, True, False, False),
    "eim-random": (True, False, False, False),
    "symmetric": (False, False, False, False),
    "adf": (True, True, True, False),
    "fullcone": (True, True, True, True),
    "public": (True, True, True, True),
}


class Lab(LabCase):
    def setUp(self):
        super().setUp()
        self.lab.add_server()
        self.lab.server.namespace.ip("address add 203.0.113.11/24 dev wan")

    def echo(self):
        server = subprocess.Popen(self.lab.server.namespace.command([sys.executable, "-c", _SERVER]),
                                  stdout=subprocess.PIPE, text=True)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        self.assertEqual(server.stdout.readline(), "up\n")

    def test_every_nat_is_what_its_name_says(self):
        self.echo()
        for index, (kind, expected) in enumerate(_EXPECTED.items()):
            with self.subTest(kind=kind):
                host = self.lab.add_side("abcdef"[index], kind)
                first, second, port, address = host.namespace.run([sys.executable, "-c", _CLIENT]).split()
                seen = (first == second, first.endswith(":40000"), port == "True", address == "True")
                self.assertEqual(seen, expected)
                self.assertEqual(first.partition(":")[0], host.public)

    def test_udp_can_be_blocked(self):
        self.echo()
        host = self.lab.add_side("a", "eim", block_udp=True)
        with self.assertRaisesRegex(netlab.LabError, "TimeoutError"):
            host.namespace.run([sys.executable, "-c", _CLIENT.replace("settimeout(5)", "settimeout(0.3)")])

    def test_delay_is_what_was_asked_for(self):
        self.echo()
        host = self.lab.add_side("a", "public", delay_ms=20)
        measure = """
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
def once():
    start = time.monotonic()
    s.sendto(b"x", ("203.0.113.10", 3479))
    s.recvfrom(100)
    return (time.monotonic() - start) * 1000
print(min(once() for _ in range(5)))
"""
        rtt = float(host.namespace.run([sys.executable, "-c", measure]))
        self.assertGreaterEqual(rtt, 40)
        self.assertLess(rtt, 45)
