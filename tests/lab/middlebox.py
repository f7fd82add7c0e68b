"""A router that looks into TCP: it lets TLS and the rendezvous protocol through and ends everything else, as strict networks
do; and, with a certificate of its own, it is the man in the middle of each TLS connection.
"""

import selectors
import socket
import ssl
import threading

import netlab

_PORT = 3999
_TLS, _LAST_OF_STUN = 22, 3
_PATIENCE = 20


class Middlebox:
    """On a NAT of the lab, between those behind it and `port` of `server`. `certificate`: (file, key file)."""

    def __init__(self, nat, server, port=3478, certificate=None):
        self._namespace = nat.namespace
        self._upstream = (server.address, port)
        self._context = None
        if certificate:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(*map(str, certificate))
        self.refused = 0  # connections that were not to be let through
        self.handshakes = 0  # of TLS that ended at the man in the middle
        self.overheard = b""  # what clients have told him
        self.sources = set()  # addresses that TLS came from
        self._namespace.nft(f"""
table ip middlebox {{
  chain pre {{
    type nat hook prerouting priority dstnat - 10
    iifname "lan" tcp dport {port} redirect to :{_PORT}
  }}
}}
""")
        self._listener = self._make(lambda: socket.create_server(("0.0.0.0", _PORT)))
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _make(self, action):
        return netlab.in_namespace(self._namespace.path, action)

    def _accept(self):
        while True:
            try:
                client, source = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client, source[0]), daemon=True).start()

    def _serve(self, client, source):
        with client:
            try:
                first = client.recv(1, socket.MSG_PEEK)
                if not first or first[0] <= _LAST_OF_STUN:
                    self.refused += 1
                    return
                if first[0] == _TLS:
                    self.sources.add(source)
                    if self._context:
                        self._overhear(client)
                        return
                with self._make(lambda: socket.create_connection(self._upstream, timeout=_PATIENCE)) as server:
                    server.settimeout(None)
                    _splice(client, server)
            except OSError:
                pass  # one end is gone, and the other follows

    def _overhear(self, client):
        client.settimeout(_PATIENCE)
        with self._context.wrap_socket(client, server_side=True) as tls:
            self.handshakes += 1
            while heard := tls.recv(4096):
                self.overheard += heard


def _splice(one, other):
    with selectors.DefaultSelector() as waiting:
        waiting.register(one, selectors.EVENT_READ, other)
        waiting.register(other, selectors.EVENT_READ, one)
        while True:
            for key, _ in waiting.select():
                data = key.fileobj.recv(65536)
                if not data:
                    return
                key.data.sendall(data)
