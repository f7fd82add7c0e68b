"""What the kernel's NATs forbid, lose and forget, each seen from behind them."""

import re
import subprocess
import sys

import kernel_nats
import netlab
import servers
from classifiers import NatDiscovery, Side
from interop_case import InteropCase

# Sends one request from each of so many sockets and counts the answers.
_COUNT = """
import os, socket, struct, sys
server, count = sys.argv[1], int(sys.argv[2])
sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
answers = 0
for client in sockets:
    client.sendto(struct.pack("!HHI12s", 1, 0, 0x2112A442, os.urandom(12)), (server, 3478))
for client in sockets:
    client.settimeout(0.5 if answers == 0 else 0.02)
    try:
        client.recv(2000)
        answers += 1
    except TimeoutError:
        pass
print(answers)
"""
_LOSSES = """
import os, socket, struct, sys
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(0.3)
answers, rounds, each = 0, 100, 40
for _ in range(rounds):
    for _ in range(each):
        client.sendto(struct.pack("!HHI12s", 1, 0, 0x2112A442, os.urandom(12)), (sys.argv[1], 3478))
    try:
        for _ in range(each):
            client.recv(2000)
            answers += 1
            client.settimeout(0.02)
    except TimeoutError:
        pass
print(1 - answers / rounds / each)
"""
_LISTEN = """
import socket, sys
kept = [socket.create_server(("0.0.0.0", port)) for port in (443, 3478)]
print("up", flush=True)
sys.stdin.read()
"""
_CONNECT = """
import socket, sys
def reaches(port):
    try:
        socket.create_connection((sys.argv[1], port), 0.7).close()
        return True
    except TimeoutError:
        return False
print(reaches(443), reaches(3478))
"""


class KernelLimits(InteropCase):
    NEEDS = (servers.Coturn, NatDiscovery)

    def python(self, host, script, *arguments):
        return host.namespace.run([sys.executable, "-c", script, *arguments])

    def ports(self, nat, host, coturn):
        """The external (address, port) of three sockets; what is kept there is theirs alone."""
        side = Side(nat.kind, host, kernel_nats.KINDS[nat.kind].truth)
        return {(address, port) for _, address, port, *_ in self.probe([side], coturn, sockets=3)[side]}

    def test_a_quota_lets_so_many_flows_out(self):
        coturn = self.start_coturn()
        self.assertEqual(int(self.python(self.lab.add_side("a", "quota"), _COUNT, coturn.address, 100)), 64)

    def test_a_lossy_line_loses_what_it_should(self):
        coturn = self.start_coturn()
        lost = float(self.python(self.lab.add_side("a", "lossy"), _LOSSES, coturn.address))
        # 4000 round trips, 3.96 % of them expected to be lost, standard deviation 0.3 %.
        self.assertTrue(0.025 < lost < 0.055, lost)

    def test_only_port_443_is_open(self):
        server = self.lab.add_server()
        listening = subprocess.Popen(server.namespace.command([sys.executable, "-c", _LISTEN]),
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(listening.wait)
        self.addCleanup(listening.stdin.close)
        self.addCleanup(listening.stdout.close)
        self.assertEqual(listening.stdout.readline(), "up\n")
        for kind, expected in (("tcp-443-only", "True False"), ("udp-blocked", "True True"), ("eim", "True True")):
            with self.subTest(kind=kind):
                host = self.lab.add_side({"tcp-443-only": "a", "udp-blocked": "b", "eim": "c"}[kind], kind)
                self.assertEqual(self.python(host, _CONNECT, server.address).strip(), expected)

    def test_idle_mappings_end_when_the_kind_says(self):
        coturn = self.start_coturn()
        lifetime = int(kernel_nats.KINDS["short-timers"].truth.lifetime_s)
        host = self.lab.add_side("a", "short-timers")
        # After the time, natdiscovery asks from another port for an answer to the first one.
        running = {seconds: subprocess.Popen(host.namespace.command(
            [NatDiscovery.program, "-t", "-T", seconds, coturn.address]), stdout=subprocess.PIPE, text=True)
            for seconds in (lifetime - 1, lifetime + 2)}
        said = {seconds: process.communicate(timeout=30)[0] for seconds, process in running.items()}
        self.assertEqual([bool(re.search("receive timeout", text)) for text in said.values()], [False, True], said)

    def test_a_rebinding_gives_other_ports(self):
        coturn = self.start_coturn()
        for index, (name, kind) in enumerate(kernel_nats.KINDS.items()):
            if kind.layers or kind.host_firewall or not kind.rules or not kind.truth.open or not kind.moves:
                continue
            with self.subTest(kind=name):
                nat = self.lab.add_nat(f"n{index}", name)
                host = nat.add_host(f"h{index}")
                before = self.ports(nat, host, coturn)
                nat.rebind()
                after = self.ports(nat, host, coturn)
                self.assertFalse(before & after)
                self.assertEqual({address for address, _ in before | after}, {nat.public})
        with self.assertRaises(netlab.LabError):
            self.lab.add_nat("nx", "fullcone").rebind()

    def test_a_new_address_keeps_the_kind(self):
        coturn = self.start_coturn()
        for kind in ("fullcone-hairpin", "sequential"):
            with self.subTest(kind=kind):
                nat = self.lab.add_nat(kind[:4], kind)
                host = nat.add_host(kind[5:9])
                old = nat.public
                self.assertEqual({address for address, _ in self.ports(nat, host, coturn)}, {old})
                self.assertNotEqual(nat.change_address(), old)
                self.assertEqual({address for address, _ in self.ports(nat, host, coturn)}, {nat.public})

    def test_expired_mappings_come_back_where_ports_are_preserved(self):
        coturn = self.start_coturn()
        nat = self.lab.add_nat("na", "eim")
        host = nat.add_host("a")
        self.ports(nat, host, coturn)
        held = nat.namespace.run(["conntrack", "-L", "-p", "udp"])
        self.assertIn(f"dst={coturn.address}", held)
        nat.expire()
        self.assertNotIn(f"dst={coturn.address}", nat.namespace.run(["conntrack", "-L", "-p", "udp"]))

    def test_limits_can_come_and_go(self):
        coturn = self.start_coturn()
        nat = self.lab.add_nat("na", "eim")
        host = nat.add_host("a")
        self.assertEqual(int(self.python(host, _COUNT, coturn.address, 3)), 3)
        nat.limit(kernel_nats.Limits(blocked=("udp",)))
        self.assertEqual(int(self.python(host, _COUNT, coturn.address, 3)), 0)
        nat.limit(kernel_nats.Limits())
        self.assertEqual(int(self.python(host, _COUNT, coturn.address, 3)), 3)
