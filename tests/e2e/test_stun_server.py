"""The server's STUN on real sockets: two addresses and two ports of both families, and what it does with one address.

The client stands on the router next to the server. It is written here, from the RFCs, so that no code of ours is on both
sides.
"""

import ctypes
import itertools
import os
import socket
import struct

import programs
from case import LabCase

V4 = ("203.0.113.10", "203.0.113.11")
V6 = ("2001:db8::10", "2001:db8::11")
PORTS = (3478, 3479)

MAGIC = 0x2112A442
MAPPED, CHANGE_REQUEST, ERROR, XOR_MAPPED, RESPONSE_PORT = 0x0001, 0x0003, 0x0009, 0x0020, 0x0027
RESPONSE_ORIGIN, OTHER_ADDRESS = 0x802B, 0x802C
CHANGE_IP, CHANGE_PORT = 4, 2


def request(*attributes):
    body = b"".join(struct.pack("!HH4s", kind, 4, value) for kind, value in attributes)
    return struct.pack("!HHI", 1, len(body), MAGIC) + os.urandom(12) + body


def change(flags):
    return CHANGE_REQUEST, struct.pack("!I", flags)


def endpoint(value):
    _, family, port = struct.unpack("!BBH", value[:4])
    return socket.inet_ntop({1: socket.AF_INET, 2: socket.AF_INET6}[family], value[4:]), port


def parse(answer):
    """{attribute: value} with addresses read; an error answer has its code."""
    found, offset = {}, 20
    while offset < len(answer):
        kind, length = struct.unpack_from("!HH", answer, offset)
        value = answer[offset + 4:offset + 4 + length]
        found[kind] = endpoint(value) if kind in (MAPPED, RESPONSE_ORIGIN, OTHER_ADDRESS) else value
        offset += 4 + (length + 3) // 4 * 4
    if ERROR in found:
        found[ERROR] = found[ERROR][2] * 100 + found[ERROR][3]
    return found


class StunServer(LabCase):
    def setUp(self):
        super().setUp()
        self.host = self.lab.add_server(alternate=True)
        self.host.namespace.ip(*[f"address add {address}/64 dev wan nodad" for address in V6])
        self.lab.core.ip("address add 2001:db8::1/64 dev server nodad")

    def start(self, *arguments):
        return self.start_server(arguments=arguments)

    def socket(self, address, kind=socket.SOCK_DGRAM, namespace=None):
        """In the router's namespace if not another; a socket stays where it was made."""
        here = os.open("/proc/self/ns/net", os.O_RDONLY)
        try:
            self.enter((namespace or self.lab.core).path)
            made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
        finally:
            self.enter(f"/proc/self/fd/{here}")
            os.close(here)
        made.settimeout(5 * programs.PATIENCE)
        self.addCleanup(made.close)
        return made

    @staticmethod
    def enter(path):
        with open(path) as namespace:
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0) != 0:
                raise OSError(ctypes.get_errno(), path)

    def ask(self, server, *attributes):
        """(answer, where it came from) over UDP."""
        client = self.socket(server[0])
        client.sendto(request(*attributes), server)
        answer, source = client.recvfrom(2000)
        return parse(answer), source[:2]

    def ask_tcp(self, server, *attributes):
        client = self.socket(server[0], socket.SOCK_STREAM)
        client.connect(server)
        client.sendall(request(*attributes))
        return parse(client.recv(2000))

    def assert_discovery(self, addresses):
        for address, port, flags in itertools.product((0, 1), (0, 1), (0, CHANGE_IP, CHANGE_PORT, CHANGE_IP | CHANGE_PORT)):
            origin = (addresses[address ^ bool(flags & CHANGE_IP)], PORTS[port ^ bool(flags & CHANGE_PORT)])
            other = (addresses[1 - address], PORTS[1 - port])
            with self.subTest(address=address, port=port, flags=flags):
                answer, source = self.ask((addresses[address], PORTS[port]), change(flags))
                self.assertEqual(source, origin)
                self.assertEqual(answer[RESPONSE_ORIGIN], origin)
                self.assertEqual(answer[OTHER_ADDRESS], other)
        for address, port in itertools.product((0, 1), (0, 1)):
            with self.subTest(address=address, port=port, over="tcp"):
                server = (addresses[address], PORTS[port])
                answer = self.ask_tcp(server)
                self.assertEqual(answer[RESPONSE_ORIGIN], server)
                self.assertEqual(answer[OTHER_ADDRESS], (addresses[1 - address], PORTS[1 - port]))
                self.assertEqual(self.ask_tcp(server, change(0))[ERROR], 420)

    def test_two_addresses_of_both_families_as_asked(self):
        server = self.start("--listen", V4[0], "--listen", V6[0], "--alternate", V4[1], "--alternate", V6[1])
        self.assertEqual(sorted(server.wait_event("ready")["listen"]),
                         sorted([f"{address}:{port}" for address in V4 for port in PORTS]
                                + [f"[{address}]:{port}" for address in V6 for port in PORTS]))
        self.assert_discovery(V4)
        self.assert_discovery(V6)

    def test_two_addresses_where_it_listens_on_all(self):
        server = self.start("--alternate", V4[1], "--alternate", V6[1])
        self.assertEqual(server.wait_event("ready")["listen"][:2], ["[::]:3478", "0.0.0.0:3478"])
        self.assert_discovery(V4)
        self.assert_discovery(V6)

    def test_with_one_address_there_is_a_second_port_and_nothing_to_change(self):
        server = self.start("--listen", V4[0])
        self.assertEqual(server.wait_event("ready")["listen"], [f"{V4[0]}:{port}" for port in PORTS])
        for port in PORTS:
            answer, source = self.ask((V4[0], port))
            self.assertEqual(source, (V4[0], port))
            self.assertEqual(list(answer), [XOR_MAPPED])
            self.assertEqual(self.ask((V4[0], port), change(0))[0][ERROR], 420)
        self.assertEqual(server.errors, [])

    def test_a_second_port_that_is_taken_is_no_failure(self):
        self.socket(V4[0], namespace=self.host.namespace).bind((V4[0], PORTS[1]))
        server = self.start("--listen", V4[0])
        self.assertEqual(server.wait_event("ready")["listen"], [f"{V4[0]}:{PORTS[0]}"])
        server.wait_until(lambda _: [line for line in server.errors if "no second port" in line], what="a warning")
        self.assertEqual(len(server.errors), 1)
        self.assertIn(XOR_MAPPED, self.ask((V4[0], PORTS[0]))[0])

    def test_an_answer_can_go_to_another_port_of_the_same_address(self):
        self.start("--listen", V4[0])
        asking, waiting = self.socket(V4[0]), self.socket(V4[0])
        waiting.bind(("203.0.113.1", 0))
        port = waiting.getsockname()[1]
        asking.sendto(request((RESPONSE_PORT, struct.pack("!HH", port, 0))), (V4[0], PORTS[0]))
        self.assertIn(XOR_MAPPED, parse(waiting.recvfrom(2000)[0]))
        self.assertEqual(self.ask((V4[0], PORTS[0]), (RESPONSE_PORT, struct.pack("!HH", 53, 0)))[0][ERROR], 400)

    def test_it_does_not_start_with_addresses_that_cannot_be_meant(self):
        self.host.namespace.ip("address add 203.0.113.12/24 dev wan")
        for arguments, reason in ((["--alternate", V4[1]], "several IPv4 addresses"),
                                  (["--listen", V4[0], "--alternate", V4[0]], "another one"),
                                  (["--listen", V4[0], "--alternate", V6[1]], "its family"),
                                  (["--listen", V4[0], "--alternate", "192.0.2.1"], "192.0.2.1")):
            with self.subTest(arguments=arguments):
                argv = [self.binaries.find("pinhole-rendezvous"), "--json", "--data", self.folder / "data", *arguments]
                program = programs.Program("server", self.host, argv)
                self._programs.append(program)
                self.assert_exit(program, 1)
                self.assertIn(reason, program.wait_event("error")["message"])
                self.assertEqual(len(program.errors), 1)
