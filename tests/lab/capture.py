"""Packet captures without another program: AF_PACKET sockets, one thread, bounded in bytes, packets and effort."""

import ctypes
import os
import select
import socket
import struct
import threading
import time

SNAPLEN = 256
MAX_PACKETS = 20_000  # of one place: 5 MB
_TURN = 0.05  # seconds between looks at the sockets
_PER_TURN = 60  # packets of one place in each: 1200 a second; what is above is counted only
_ETH_P_ALL = 3
_LINKTYPE = {"ethernet": 1, "raw": 101}
_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000


def in_namespace(path, action):
    """Calls action() while this thread is in a network namespace; sockets made there stay there."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(path, os.O_RDONLY)
    try:
        if _libc.setns(there, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter {path}")
        try:
            return action()
        finally:
            _libc.setns(home, _CLONE_NEWNET)
    finally:
        os.close(there)
        os.close(home)


class _Place:
    def __init__(self, namespace, interface, file):
        self.packets = 0
        self._socket = in_namespace(namespace, self._open)
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
                data, _, _, _ = self._socket.recvmsg(SNAPLEN, 0, socket.MSG_DONTWAIT | socket.MSG_TRUNC)
            except BlockingIOError:
                return True
            except OSError:  # the interface is gone
                return False
            self.packets += 1
            now = time.time()
            self._file.write(struct.pack("=IIII", int(now), int(now % 1 * 1e6), len(data), len(data)) + data)
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
