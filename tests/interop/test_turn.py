"""The relay, used by programs of others, and asked from outside for what it must not do.

The clients are turnutils_uclient of coturn and agents of aioice, behind NATs of the kernel. With -P turnutils_uclient
sends on connections that it does not read, and counts that as lost with coturn's own server, too: connections that peers
open are tried by a client of our own.
"""

import os
import re
import socket
import subprocess
import sys

import netlab
import sandbox
import turn_wire
from interop_case import InteropCase

# aioice's pair of agents is the bench's.
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "bench"))
import aioice_pair

_USER, _PASSWORD = "lab", "secret"
_ECHO_PORT = 3480
_V6 = {"server": "2001:db8:1::10", "echo": "2001:db8:2::10"}


class Uclient:
    program = "turnutils_uclient"


class TurnCase(InteropCase):
    NEEDS = (Uclient,)

    def start(self, *arguments):
        return self.start_server(relay=True, arguments=["--turn-user", f"{_USER}:{_PASSWORD}", *arguments])

    def add_v6(self, host, name):
        gateway = _V6[name].replace("::10", "::1")
        host.namespace.ip(f"address add {_V6[name]}/64 dev wan nodad", f"route add default via {gateway}")
        self.lab.core.ip(f"address add {gateway}/64 dev {host.namespace.name} nodad")


class TurnClients(TurnCase):
    def setUp(self):
        super().setUp()
        self.server_host = self.lab.add_server()
        self.echo = self.lab.add_server(name="echo")
        self.lab.core.sysctl(**{"net/ipv6/conf/all/forwarding": 1})
        self.add_v6(self.server_host, "server")
        self.add_v6(self.echo, "echo")
        self.start()
        peer = subprocess.Popen(
            self.echo.namespace.command(["turnutils_peer", "-L", self.echo.address, "-L", _V6["echo"], "-p", _ECHO_PORT]),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=sandbox.die_with_parent)
        self.addCleanup(peer.wait)
        self.addCleanup(peer.kill)
        self.host = self.lab.add_side("a", "eim")

    def begin(self, *flags, server=None, echo=None):
        argv = ["timeout", "60", "turnutils_uclient", "-u", _USER, "-w", _PASSWORD, "-e", echo or self.echo.address,
                "-r", _ECHO_PORT, "-n", 20, "-m", 1, "-c", *flags, server or self.server_host.address]
        return flags, subprocess.Popen(self.host.namespace.command(argv), stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, text=True, preexec_fn=sandbox.die_with_parent)

    def assert_none_lost(self, *begun):
        for flags, process in begun:
            output = process.communicate(timeout=90)[0]
            with self.subTest(flags=" ".join(map(str, flags))):
                sent = re.search(r"start_mclient: tot_send_msgs=(\d+), tot_recv_msgs=(\d+)", output)
                lost = re.search(r"Total lost packets (\d+)", output)
                self.assertTrue(sent and lost, output)
                self.assertEqual((int(sent[1]) > 0, lost[1]), (True, "0"), output)

    def test_udp(self):
        self.assert_none_lost(self.begin(), self.begin("-s"), self.begin("-l", 1200), self.begin("-y"),
                              self.begin("-y", "-s"), self.begin("-g"))

    def test_tcp(self):
        self.assert_none_lost(self.begin("-t"), self.begin("-t", "-s"), self.begin("-t", "-l", 1200),
                              self.begin("-t", "-y"))

    def test_tls_on_the_same_port(self):
        self.assert_none_lost(self.begin("-t", "-S", "-p", 3478), self.begin("-t", "-S", "-p", 3478, "-y"),
                              self.begin("-t", "-S", "-p", 3478, "-T"))

    def test_relayed_tcp(self):
        self.assert_none_lost(self.begin("-T"), self.begin("-T", "-y"))

    def test_ipv6_relayed_address_for_a_client_on_ipv4(self):
        self.assert_none_lost(self.begin("-x", echo=_V6["echo"]), self.begin("-x", "-t", echo=_V6["echo"]))

    def test_both_families(self):
        self.assert_none_lost(self.begin("-Z"), self.begin("-Z", "-s"))

    def test_whole_relay_over_ipv6(self):
        # The NATs of the lab have IPv4 only: from beside the server.
        self.host = self.echo
        self.assert_none_lost(self.begin("-x", server=_V6["server"], echo=_V6["echo"]),
                              self.begin("-t", "-x", server=_V6["server"], echo=_V6["echo"]))

    def test_garbage_and_broken_requests_harm_nobody(self):
        noise = [self.begin("-N", "-R"), self.begin("-t", "-N", "-R")]
        self.assert_none_lost(self.begin(), self.begin("-t"), self.begin("-s"))
        for _, process in noise:
            process.terminate()  # which `timeout` passes on
            process.communicate()
        self.assertIsNone(self.server.process.poll())
        self.assert_none_lost(self.begin())


class TurnAgents(TurnCase):
    def setUp(self):
        super().setUp()
        if aioice_pair.find_python() is None:
            self.skipTest("aioice is not installed; scripts/setup.sh installs it")

    def connect(self, transport, port=3478, **side_options):
        """Two agents behind NATs that have no direct path."""
        server = self.lab.add_server()
        self.start()
        hosts = [self.lab.add_side(name, "symmetric", **side_options) for name in ("a", "b")]
        pair = aioice_pair.AioicePair(server, hosts, turn=f"{server.address}:{port}:{_USER}:{_PASSWORD}:{transport}")
        self.addCleanup(pair.close)
        found = pair.attempt()
        self.assertTrue(found["connected"], found)
        self.assertEqual(found["remote"], server.address)

    def test_aioice_over_udp(self):
        self.connect("udp")

    def test_aioice_over_tcp(self):
        self.connect("tcp")

    def test_aioice_over_tls_without_udp(self):
        self.connect("tls", block_udp=True)


class TurnFromOutside(TurnCase):
    """The client stands on the router next to the server."""

    def setUp(self):
        super().setUp()
        self.host = self.lab.add_server()

    def connection(self, kind=socket.SOCK_DGRAM, address=netlab.SERVER_ADDRESS, port=3478):
        def make():
            made = socket.socket(socket.AF_INET, kind)
            made.settimeout(10)
            made.connect((address, port))
            return made
        made = netlab.in_namespace(self.lab.core.path, make)
        self.addCleanup(made.close)
        return made

    def client(self, kind=socket.SOCK_DGRAM):
        return turn_wire.Client(self.connection(kind), _USER, _PASSWORD)

    def test_strangers_get_small_answers_and_not_many(self):
        self.start()
        connection = self.connection()
        client = turn_wire.Client(connection, _USER, _PASSWORD)
        first = client.challenge()
        asked = len(turn_wire.message(turn_wire.ALLOCATE, turn_wire.attribute(turn_wire.TRANSPORT, bytes(4))))
        self.assertLessEqual(len(first), 5 * asked)
        self.assertLessEqual(len(first), 128)
        connection.settimeout(0.5)
        answers = 0
        for _ in range(2000):
            connection.send(turn_wire.message(turn_wire.ALLOCATE, turn_wire.attribute(turn_wire.TRANSPORT, bytes(4))))
        try:
            while connection.recv(2000):
                answers += 1
        except TimeoutError:
            pass
        self.assertGreater(answers, 0)
        self.assertLess(answers, 1000)

    # RFC 8656 §21.1.5, and every spelling that IPv6 has for them
    REFUSED = ("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254",
               "100.64.0.1", "192.0.0.8", "224.0.0.1", "240.0.0.1", "255.255.255.255")
    REFUSED_V6 = ("::1", "::", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::10.0.0.1",
                  "2002:7f00:1::", "fe80::1", "fc00::1", "ff02::1")

    def test_what_the_relay_must_not_reach_is_refused_at_every_entry(self):
        self.add_v6(self.host, "server")
        self.start()
        client = self.client()
        self.assertEqual(client.allocate()[0], 0)
        for address in self.REFUSED + self.REFUSED_V6:
            with self.subTest(address=address):
                self.assertIn(client.ask(turn_wire.CREATE_PERMISSION,
                                         lambda t, a=address: turn_wire.peer(a, 99, t))[0], (403, 443))
                self.assertIn(client.ask(turn_wire.CHANNEL_BIND, lambda t, a=address: turn_wire.attribute(
                    turn_wire.CHANNEL, b"\x40\x01\0\0") + turn_wire.peer(a, 99, t))[0], (403, 443))
        tcp = self.client(socket.SOCK_STREAM)
        self.assertEqual(tcp.allocate(turn_wire.TCP)[0], 0)
        for address in self.REFUSED + self.REFUSED_V6:
            with self.subTest(connect=address):
                self.assertIn(tcp.ask(turn_wire.CONNECT, lambda t, a=address: turn_wire.peer(a, 99, t))[0], (403, 443))

    def test_its_own_ports_are_refused_even_where_everything_is_open(self):
        self.start("--allow-peer", "0.0.0.0/0")
        client = self.client(socket.SOCK_STREAM)
        self.assertEqual(client.allocate(turn_wire.TCP)[0], 0)
        for address in (netlab.SERVER_ADDRESS, "127.0.0.1"):
            self.assertEqual(client.ask(turn_wire.CONNECT, lambda t, a=address: turn_wire.peer(a, 3478, t))[0], 403)

    def test_a_send_indication_reaches_nobody_without_permission(self):
        self.start()
        heard = netlab.in_namespace(self.host.namespace.path, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.addCleanup(heard.close)
        heard.bind(("127.0.0.1", 9999))
        heard.settimeout(0.5)
        client = self.client()
        self.assertEqual(client.allocate()[0], 0)
        client.send_indication("127.0.0.1", 9999, b"in")
        client.send_indication(netlab.SERVER_ADDRESS, 9999, b"in")
        with self.assertRaises(TimeoutError):
            heard.recv(100)

    def test_what_a_peer_says_before_its_connection_is_bound_is_kept(self):
        self.start()
        control, data = self.client(socket.SOCK_STREAM), self.client(socket.SOCK_STREAM)
        error, found = control.allocate(turn_wire.TCP)
        self.assertEqual(error, 0)
        relayed = turn_wire.endpoint(found[turn_wire.RELAYED])
        self.assertEqual(control.ask(turn_wire.CREATE_PERMISSION, lambda t: turn_wire.peer("203.0.113.1", 0, t))[0], 0)
        peer = self.connection(socket.SOCK_STREAM, *relayed)
        peer.sendall(b"early")
        kind, found = control.indication()
        self.assertEqual(kind, turn_wire.INDICATION | turn_wire.CONNECTION_ATTEMPT)
        self.assertEqual(turn_wire.endpoint(found[turn_wire.PEER]), peer.getsockname())
        data.login_of(control)
        connection = turn_wire.attribute(turn_wire.CONNECTION_ID, found[turn_wire.CONNECTION_ID])
        self.assertEqual(data.ask(turn_wire.CONNECTION_BIND, lambda _: connection)[0], 0)
        self.assertEqual(data.raw.recv(100), b"early")
        data.raw.sendall(b"answer")
        self.assertEqual(peer.recv(100), b"answer")
        # Each end is told of the other's.
        peer.shutdown(socket.SHUT_WR)
        self.assertEqual(data.raw.recv(100), b"")
        data.raw.sendall(b"last words")
        data.raw.close()
        self.assertEqual(peer.recv(100) + peer.recv(100), b"last words")

    def test_a_peer_without_permission_is_not_let_in(self):
        self.start()
        control = self.client(socket.SOCK_STREAM)
        _, found = control.allocate(turn_wire.TCP)
        peer = self.connection(socket.SOCK_STREAM, *turn_wire.endpoint(found[turn_wire.RELAYED]))
        with self.subTest("closed, politely or not"):
            try:
                self.assertEqual(peer.recv(100), b"")
            except ConnectionError:
                pass

    def test_relay_ports_stay_in_their_range_and_end_with_it(self):
        self.start("--relay-ports", "50000-50003")
        ports = []
        for _ in range(4):
            error, found = self.client().allocate()
            self.assertEqual(error, 0)
            ports.append(turn_wire.endpoint(found[turn_wire.RELAYED])[1])
        self.assertEqual(sorted(ports), [50000, 50001, 50002, 50003])
        self.assertEqual(self.client().allocate()[0], 508)

    def test_the_external_address_is_told(self):
        self.start("--external", "198.18.77.1")
        error, found = self.client().allocate()
        self.assertEqual(error, 0)
        self.assertEqual(turn_wire.endpoint(found[turn_wire.RELAYED])[0], "198.18.77.1")

    def test_without_the_relay_stun_still_answers(self):
        self.start("--no-relay")
        connection = self.connection()
        connection.settimeout(0.5)
        connection.send(turn_wire.message(turn_wire.ALLOCATE, turn_wire.attribute(turn_wire.TRANSPORT, b"\x11\0\0\0")))
        with self.assertRaises(TimeoutError):
            connection.recv(2000)
        connection.settimeout(10)
        connection.send(turn_wire.message(0x001, b""))
        self.assertEqual(turn_wire.parse(connection.recv(2000))[0], 0x0101)
