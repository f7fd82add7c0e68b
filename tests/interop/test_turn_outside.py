"""The relay, asked for what it must not do, and for what no client of others shows."""

import socket

import netlab
import turn_wire
from turn_case import PASSWORD, USER, OutsideCase


class TurnFromOutside(OutsideCase):
    def test_strangers_get_small_answers_and_not_many(self):
        self.start()
        connection = self.connection()
        client = turn_wire.Client(connection, USER, PASSWORD)
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
    REFUSEDV6 = ("::1", "::", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::10.0.0.1",
                  "2002:7f00:1::", "fe80::1", "fc00::1", "ff02::1")

    def test_what_the_relay_must_not_reach_is_refused_at_every_entry(self):
        self.add_v6(self.host, "server")
        self.start()
        client = self.client()
        self.assertEqual(client.allocate()[0], 0)
        for address in self.REFUSED + self.REFUSEDV6:
            with self.subTest(address=address):
                self.assertIn(client.ask(turn_wire.CREATE_PERMISSION,
                                         lambda t, a=address: turn_wire.peer(a, 99, t))[0], (403, 443))
                self.assertIn(client.ask(turn_wire.CHANNEL_BIND, lambda t, a=address: turn_wire.attribute(
                    turn_wire.CHANNEL, b"\x40\x01\0\0") + turn_wire.peer(a, 99, t))[0], (403, 443))
        tcp = self.client(socket.SOCK_STREAM)
        self.assertEqual(tcp.allocate(turn_wire.TCP)[0], 0)
        for address in self.REFUSED + self.REFUSEDV6:
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
