"""Which external ports does a NAT give? `probe.py udp|tcp SOCKETS ADDRESS:PORT…` asks each of these STUN servers from
each of so many sockets, one after the other, and prints [[local port, external address, external ports…]…] as JSON.
"""

import json
import os
import socket
import struct
import sys

_MAGIC = 0x2112A442
_XOR_MAPPED_ADDRESS = 0x0020


def _request():
    return struct.pack("!HHI12s", 0x0001, 0, _MAGIC, os.urandom(12))


def _mapped(answer):
    """(address, port) of XOR-MAPPED-ADDRESS (RFC 8489 §14.2)."""
    offset = 20
    while offset + 4 <= len(answer):
        kind, length = struct.unpack_from("!HH", answer, offset)
        if kind == _XOR_MAPPED_ADDRESS:
            port, address = struct.unpack_from("!HI", answer, offset + 6)
            return socket.inet_ntoa(struct.pack("!I", address ^ _MAGIC)), port ^ (_MAGIC >> 16)
        offset += 4 + (length + 3) // 4 * 4
    raise ValueError("no XOR-MAPPED-ADDRESS")


def ask_udp(client, server):
    client.settimeout(0.4)
    for _ in range(8):
        client.sendto(_request(), server)
        try:
            return _mapped(client.recvfrom(2000)[0])
        except TimeoutError:
            continue
    raise TimeoutError


def _ask_tcp(local, server):
    client = _bound(socket.SOCK_STREAM, local)
    client.settimeout(5)
    client.connect(server)
    client.sendall(_request())
    return client, _mapped(client.recv(2000))


def _bound(kind, port):
    sock = socket.socket(socket.AF_INET, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("0.0.0.0", port))
    return sock


def main(protocol, sockets, servers):
    kept = []  # a closed connection could free its mapping
    found = []
    for _ in range(sockets):
        first = _bound(socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM, 0)
        local = first.getsockname()[1]
        kept.append(first)
        seen = []
        for server in servers:
            if protocol == "udp":
                seen.append(ask_udp(first, server))
            else:
                client, mapped = _ask_tcp(local, server)
                kept.append(client)
                seen.append(mapped)
        found.append([local, seen[0][0], *(port for _, port in seen)])
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]),
         [(address, int(port)) for address, port in (word.split(":") for word in sys.argv[3:])])
