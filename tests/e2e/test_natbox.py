"""natbox: real kernels and the shipped programs behind model NATs, and that each header that crosses it is right."""

import json
import struct
import subprocess
import sys
import time

import natbox
import programs
from case import LabCase

_TWO_HOMES = {
    "nat": [{"name": "home", "link": {"delay": "5ms"}}, {"name": "office", "link": {"delay": "5ms"}}],
    "host": [{"name": "alice", "behind": "home"}, {"name": "bob", "behind": "office"}, {"name": "server"}],
}
# Answers each datagram with the address that it came from.
_MIRROR = """
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 3478))
print("up", flush=True)
while True:
    data, client = s.recvfrom(2000)
    s.sendto(f"{client[0]} {client[1]}".encode(), client)
"""
_CLIENT = """
import errno, json, socket, struct, sys, time
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.bind(("", 4000))
s.connect((sys.argv[1], int(sys.argv[2])))
"""
_REFLEXIVE = _CLIENT + """
s.send(b"?")
print(s.recv(100).decode())
"""
# Who says "time exceeded" to each TTL; the last is answered by nobody but the other side.
_HOPS = _CLIENT + """
s.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR
hops = []
for ttl in range(1, 10):
    s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
    try:
        s.send(b"?")
        s.recv(100)
        break
    except OSError as error:
        assert error.errno == errno.EHOSTUNREACH, error
    _, ancillary, _, about = s.recvmsg(100, 500, socket.MSG_ERRQUEUE)
    assert about == (sys.argv[1], int(sys.argv[2])), about
    hops.append(socket.inet_ntoa(ancillary[0][2][20:24]))
print(json.dumps(hops))
"""
_REFUSED = _CLIENT + """
s.send(b"?")
try:
    s.recv(100)
except ConnectionRefusedError:
    print("refused")
"""
# Sends as large as is said, learns from errors; prints what the kernel believes, and what was answered.
_MTU = _CLIENT + """
s.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER, IP_PMTUDISC_DO
s.settimeout(float(sys.argv[3]))
answered = []
for size in (1400, 1400, 1200):
    try:
        s.send(bytes(size))
        s.recv(100)
        answered.append(size)
    except TimeoutError:
        pass
    except OSError as error:
        assert error.errno == errno.EMSGSIZE, error
print(json.dumps([s.getsockopt(socket.IPPROTO_IP, 14), answered]))  # IP_MTU
"""
# What a program hears from its kernel about the host's addresses (rtnetlink).
_WATCHER = """
import socket, struct
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
s.bind((0, 0x10))  # RTMGRP_IPV4_IFADDR
print("up", flush=True)
seen = set()
while not {20, 21} <= seen:  # RTM_NEWADDR, RTM_DELADDR
    data = s.recv(65536)
    while data:
        length, kind = struct.unpack("=IH", data[:6])
        seen.add(kind)
        data = data[(length + 3) & ~3:]
print("one went, one came", flush=True)
"""
_TCP = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 80), timeout=float(sys.argv[2]))
except Exception as error:
    print(type(error).__name__)
"""


class Natbox(LabCase):
    def start_box(self, topology, **options):
        self.box = natbox.NatBox(self.binaries, topology, **options)
        self.addCleanup(self.box.close)
        return self.box.hosts

    def start_on(self, host, program, *arguments):
        """A program that says when it is up, until the end of the test."""
        process = subprocess.Popen(host.namespace.command([sys.executable, "-c", program, *arguments]),
                                   stdout=subprocess.PIPE, text=True)
        for cleanup in (process.stdout.close, process.wait, process.kill):
            self.addCleanup(cleanup)
        self.assertEqual(process.stdout.readline(), "up\n")
        return process

    def start_mirror(self, host, address=None):
        self.start_on(host, _MIRROR, address or host.address)

    def run_on(self, host, program, *arguments):
        return host.namespace.run([sys.executable, "-c", program, *arguments]).strip()

    def reflexive(self, host, server, port=3478):
        """What the mirror sees of port 4000 of the host."""
        return self.run_on(host, _REFLEXIVE, server, port).split()

    # --- the programs --------------------------------------------------------------------------------------------

    def test_a_file_crosses_two_model_nats_directly(self):
        hosts = self.start_box(_TWO_HOMES)
        self.lab.server = hosts["server"]
        self.start_server()
        self.alice = self.person("alice", hosts["alice"], hosts["server"].address)
        self.bob = self.person("bob", hosts["bob"], hosts["server"].address)
        self.alice.knows(self.bob)
        self.bob.knows(self.alice)
        sent = self.make_file("photo.raw", 3_000_000)
        sender, receiver, inbox = self.transfer(sent)
        self.assert_same_file(sent, inbox / "photo.raw")
        self.assert_direct(sender, hosts["bob"].public)
        self.assert_direct(receiver, hosts["alice"].public)
        stats = self.box.stats()
        self.assertGreater(stats["hosts"]["bob"]["received"], 2000)
        self.assertGreater(stats["nats"]["home"]["mappings_made"], 0)

    # --- headers -------------------------------------------------------------------------------------------------

    def test_every_hop_says_where_a_packet_ended(self):
        hosts = self.start_box({**_TWO_HOMES, "nat": [{"name": "home"},
                                                      {"name": "office", "filtering": "endpoint-independent"}]})
        self.start_mirror(hosts["bob"])
        self.start_mirror(hosts["server"])
        # From the mirror's port, to open the office's.
        self.run_on(hosts["bob"], """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
s.sendto(bytes([3478 >> 8, 3478 & 255, 0, 9, 0, 9, 0, 0, 0]), (sys.argv[1], 0))
""", hosts["server"].address)
        hops = json.loads(self.run_on(hosts["alice"], _HOPS, hosts["bob"].public, 3478))
        self.assertEqual(len(hops), 3, hops)
        self.assertEqual(hops[0], hosts["alice"].address.rpartition(".")[0] + ".1")
        self.assertEqual(hops[2], hosts["bob"].public)

    def test_port_unreachable_reaches_the_socket_that_asked(self):
        hosts = self.start_box(_TWO_HOMES)
        self.assertEqual(self.run_on(hosts["alice"], _REFUSED, hosts["server"].address, 9), "refused")

    def test_a_nat_that_rejects_refuses_tcp_and_one_that_drops_is_silent(self):
        hosts = self.start_box({**_TWO_HOMES, "nat": [{"name": "home", "unsolicited": "reject"}, {"name": "office"}]})
        server = hosts["server"]
        self.assertEqual(self.run_on(server, _TCP, hosts["alice"].public, 5), "ConnectionRefusedError")
        self.assertEqual(self.run_on(server, _TCP, hosts["bob"].public, 0.3), "TimeoutError")

    def test_a_narrow_line_tells_its_mtu(self):
        hosts = self.start_box({**_TWO_HOMES, "nat": [{"name": "home", "link": {"mtu": 1280}}, {"name": "office"}]})
        self.start_mirror(hosts["server"])
        mtu, answered = json.loads(self.run_on(hosts["alice"], _MTU, hosts["server"].address, 3478, 0.5))
        self.assertEqual((mtu, answered), (1280, [1200]))

    def test_a_narrow_line_that_is_silent_swallows_what_is_too_large(self):
        hosts = self.start_box({**_TWO_HOMES, "nat": [{"name": "home", "link": {"mtu": 1280, "mtu_icmp": False}},
                                                      {"name": "office"}]})
        self.start_mirror(hosts["server"])
        mtu, answered = json.loads(self.run_on(hosts["alice"], _MTU, hosts["server"].address, 3478, 0.5))
        self.assertEqual((mtu, answered), (1500, [1200]))

    def test_ipv6_crosses_a_nat_as_it_is(self):
        hosts = self.start_box({"nat": [{"name": "home", "ipv6": "closed"}],
                                "host": [{"name": "alice", "behind": "home", "ipv6": True},
                                         {"name": "server", "ipv6": True}]})
        addresses = {name: host["addresses"][-1] for name, host in self.box.stats()["hosts"].items()}
        self.start_mirror(hosts["server"], addresses["server"])
        self.assertEqual(self.reflexive(hosts["alice"], addresses["server"]), [addresses["alice"], "4000"])
        self.assertEqual(self.run_on(hosts["alice"], _REFUSED, addresses["server"], 9), "refused")

    # --- commands ------------------------------------------------------------------------------------------------

    def test_rebind_gives_a_socket_another_reflexive_address(self):
        hosts = self.start_box(_TWO_HOMES)
        self.start_mirror(hosts["server"])
        server = hosts["server"].address
        self.assertEqual(self.reflexive(hosts["alice"], server), [hosts["alice"].public, "4000"])
        self.box.command("rebind home")
        address, port = self.reflexive(hosts["alice"], server)
        self.assertEqual(address, hosts["alice"].public)
        self.assertNotEqual(port, "4000")

    def test_move_gives_the_host_another_address_and_another_nat(self):
        hosts = self.start_box(_TWO_HOMES)
        self.start_mirror(hosts["server"])
        alice = hosts["alice"]
        before = alice.address
        watcher = self.start_on(alice, _WATCHER)
        after = self.box.move("alice", "office")
        self.assertNotEqual(before, after)
        self.assertEqual(watcher.stdout.readline(), "one went, one came\n")
        self.assertEqual((alice.address, alice.public), (after, hosts["bob"].public))
        addresses = json.loads(alice.namespace.run(["ip", "-j", "address", "show", "dev", "wan"]))[0]["addr_info"]
        self.assertEqual([(one["local"], one["prefixlen"]) for one in addresses], [(after, 24)])
        self.assertEqual(self.reflexive(alice, hosts["server"].address)[0], hosts["bob"].public)

    def test_a_wrong_command_is_refused_and_changes_nothing(self):
        hosts = self.start_box(_TWO_HOMES)
        self.start_mirror(hosts["server"])
        for line in ("rebind nowhere", "link home both delay=fast", "explode", "move alice bob"):
            with self.assertRaises(natbox.NatBoxError):
                self.box.command(line)
        self.assertEqual(self.reflexive(hosts["alice"], hosts["server"].address), [hosts["alice"].public, "4000"])

    # --- the program ---------------------------------------------------------------------------------------------

    def test_two_nats_stand_in_less_than_half_a_second(self):
        began = time.monotonic()
        self.start_box(_TWO_HOMES)
        self.assertLess(time.monotonic() - began, 0.5 * programs.PATIENCE)

    def test_a_capture_holds_what_passed_each_device(self):
        hosts = self.start_box(_TWO_HOMES, capture=self.folder / "captures", snap_length=64)
        self.start_mirror(hosts["server"])
        self.reflexive(hosts["alice"], hosts["server"].address)
        self.box.close()
        for name in ("alice", "server"):
            data = (self.folder / "captures" / f"{name}.pcap").read_bytes()
            magic, _, _, _, _, length, kind = struct.unpack("=IHHIIII", data[:24])
            self.assertEqual((magic, length, kind), (0xa1b2c3d4, 64, 101))
            seconds, _, kept, size = struct.unpack("=IIII", data[24:40])
            self.assertLess(abs(seconds - time.time()), 60)
            self.assertEqual((kept, size, data[40] >> 4), (29, 29, 4))

    def test_a_wrong_topology_is_refused_with_a_sentence(self):
        with self.assertRaisesRegex(natbox.NatBoxError, "ended with 1: .*mood"):
            self.start_box({"nat": [{"name": "home", "mood": "bad"}], "host": [{"name": "alice"}]})

    def test_it_works_in_a_user_namespace_and_ends_with_its_input(self):
        topology = self.folder / "topology.toml"
        topology.write_text('[[host]]\nname = "alice"\n')
        done = subprocess.run(["unshare", "--user", "--map-root-user", "--net", self.binaries.find("natbox"),
                               "--topology", topology, "--host", "alice=/proc/self/ns/net"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(json.loads(done.stdout)["ready"]["alice"]["device"], "wan")
