"""Just enough of TURN, written from the RFCs, to ask a server for what no honest client asks for."""

import hashlib
import hmac
import os
import socket
import struct

MAGIC = 0x2112A442
ALLOCATE, REFRESH, SEND, CREATE_PERMISSION, CHANNEL_BIND = 0x003, 0x004, 0x006, 0x008, 0x009
CONNECT, CONNECTION_BIND, CONNECTION_ATTEMPT = 0x00A, 0x00B, 0x00C
CONNECTION_ID = 0x002A
LIFETIME = 0x000D
USERNAME, INTEGRITY, ERROR, CHANNEL, PEER, DATA, REALM, NONCE, RELAYED, TRANSPORT = (
    0x0006, 0x0008, 0x0009, 0x000C, 0x0012, 0x0013, 0x0014, 0x0015, 0x0016, 0x0019)
UDP, TCP = 17, 6
REQUEST, INDICATION = 0x0000, 0x0010


def attribute(kind, value):
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def message(method, body, kind=REQUEST, transaction=None):
    return struct.pack("!HHI", kind | method, len(body), MAGIC) + (transaction or os.urandom(12)) + body


def parse(answer):
    """(type, {attribute: value})."""
    found, offset = {}, 20
    while offset < len(answer):
        kind, length = struct.unpack_from("!HH", answer, offset)
        found.setdefault(kind, answer[offset + 4:offset + 4 + length])
        offset += 4 + (length + 3) // 4 * 4
    return struct.unpack_from("!H", answer)[0], found


def endpoint(value):
    """An IPv4 XOR-…-ADDRESS."""
    address = int.from_bytes(value[4:8], "big") ^ MAGIC
    return socket.inet_ntoa(address.to_bytes(4, "big")), int.from_bytes(value[2:4], "big") ^ MAGIC >> 16


def peer(address, port, transaction):
    """XOR-PEER-ADDRESS."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    mask = struct.pack("!I", MAGIC) + transaction
    packed = bytes(a ^ b for a, b in zip(socket.inet_pton(family, address), mask))
    return attribute(PEER, struct.pack("!BBH", 0, 2 if family == socket.AF_INET6 else 1, port ^ MAGIC >> 16) + packed)


class Client:
    """On a connected socket, UDP or TCP. Answers are (error code or 0, attributes)."""

    def __init__(self, connection, user, password):
        self.raw = connection
        self._user, self._password = user.encode(), password
        self._realm = self._nonce = None

    def _receive(self):
        """One message: a stream may bring more behind it."""
        if self.raw.type != socket.SOCK_STREAM:
            return self.raw.recv(4096)
        head = self.raw.recv(20, socket.MSG_WAITALL)
        length = int.from_bytes(head[2:4], "big")
        return head + (self.raw.recv(length, socket.MSG_WAITALL) if length else b"")

    def challenge(self, transport=UDP):
        """A first Allocate without credentials: the bytes of its answer."""
        self.raw.send(message(ALLOCATE, attribute(TRANSPORT, struct.pack("!I", transport << 24))))
        answer = self._receive()
        _, found = parse(answer)
        self._realm, self._nonce = found[REALM], found[NONCE]
        return answer

    def allocate(self, transport=UDP):
        self.challenge(transport)
        return self.ask(ALLOCATE, lambda _: attribute(TRANSPORT, struct.pack("!I", transport << 24)))

    def ask(self, method, attributes):
        """`attributes` makes them from the transaction."""
        transaction = os.urandom(12)
        body = (attributes(transaction) + attribute(USERNAME, self._user) + attribute(REALM, self._realm)
                + attribute(NONCE, self._nonce))
        key = hashlib.md5(b":".join((self._user, self._realm, self._password.encode()))).digest()
        head = message(method, body + bytes(24), transaction=transaction)[:20]
        body += attribute(INTEGRITY, hmac.new(key, head + body, hashlib.sha1).digest())
        self.raw.send(message(method, body, transaction=transaction))
        _, found = parse(self._receive())
        error = found.get(ERROR)
        return (error[2] * 100 + error[3] if error else 0), found

    def login_of(self, other):
        """The challenge that another connection of the same client got."""
        self._realm, self._nonce = other._realm, other._nonce

    def indication(self):
        """The next message: its type and attributes."""
        return parse(self._receive())

    def send_indication(self, address, port, data):
        transaction = os.urandom(12)
        self.raw.send(message(SEND, peer(address, port, transaction) + attribute(DATA, data), INDICATION,
                                  transaction))
