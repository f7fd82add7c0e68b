"""Packet captures without another program: AF_PACKET sockets, one thread, bounded in bytes, packets and effort."""

import select
import socket
import struct
import threading
import time

import netlab

SNAPLEN = 256
MAX_PACKETS = 20_000  # of one place: 5 MB
_TURN = 0.05  # seconds between looks at the sockets
_PER_TURN = 60  # packets of one place in each: 1200 a second; more than that overflows its buffer
_ETH_P_ALL = 3
_LINKTYPE = {"ethernet": 1, "raw": 101}


class _Place:
    def __init__(self, namespace, interface, file):
        self.packets = 0
        self._buffer = bytearray(SNAPLEN)
        self._socket = netlab.in_namespace(namespace, self._open)
        self._socket.bind((interface, 0))
        self._file = open(file, "wb")
        kind = "ethernet" if self._socket.getsockname()[3] == 1 else "raw"  # ARPHRD_ETHER; TUN has no link header
        self._file.write(struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, SNAPLEN, _LINKTYPE[kind]))

    @staticmethod
    def _open():
        return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))

    def fileno(self):
        return self._socket.fileno()

    def drain(self):
        """Takes what is there; returns False when nothing more will be."""
        for _ in range(_PER_TURN):
            try:
                whole = self._socket.recv_into(self._buffer, SNAPLEN, socket.MSG_DONTWAIT | socket.MSG_TRUNC)
            except BlockingIOError:
                return True
            except OSError:  # the interface is gone
                return False
            self.packets += 1
            now = time.time()
            kept = min(whole, SNAPLEN)
            self._file.write(struct.pack("=IIII", int(now), int(now % 1 * 1e6), kept, whole) + self._buffer[:kept])
        return self.packets < MAX_PACKETS

    def close(self):
        self._socket.close()
        self._file.close()


class Capture:
    """Writes FOLDER/PLACE.pcap for every place added, until closed."""

    def __init__(self, folder):
        self._folder = folder
        self._places = []
        self._all = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def add(self, name, namespace, interface):
        place = _Place(namespace, interface, self._folder / f"{name}.pcap")
        with self._lock:
            self._places.append(place)
            self._all.append(place)

    def close(self):
        self._stop.set()
        self._thread.join()
        for place in self._all:
            place.close()

    def _run(self):
        while not self._stop.is_set():
            self._turn()
            self._stop.wait(_TURN)
        self._turn()

    def _turn(self):
        with self._lock:
            places = list(self._places)
        ready = select.select(places, [], [], 0)[0] if places else []
        for place in ready:
            if not place.drain():
                with self._lock:
                    self._places.remove(place)
