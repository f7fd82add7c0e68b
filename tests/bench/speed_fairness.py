"""One flow on a narrow line: what it does to the round trips of others when it is alone, and what it leaves to a TCP CUBIC
flow that joins it."""

import json
import socket
import struct
import threading
import time

import netlab
import speed_links
import speed_rivals

_PORT = 9
_SETTLE = 5.0  # until a flow is past its start
_PROBES = 20  # a second


class Probe:
    """Small datagrams there and back, for as long as it is not stopped; in milliseconds."""

    def __init__(self, line):
        def bound(namespace, address):
            def make():
                made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                made.bind((address, _PORT))
                made.settimeout(0.1)
                return made
            return netlab.in_namespace(namespace.path, make)
        self._near = bound(line.sender, speed_links.SENDER)
        self._far = bound(line.receiver, speed_links.RECEIVER)
        self._stopped = threading.Event()
        self.trips = []
        self._threads = [threading.Thread(target=each) for each in (self._echo, self._send, self._receive)]
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        self._near.close()
        self._far.close()
        return sorted(self.trips)

    def _each(self, end):
        while not self._stopped.is_set():
            try:
                yield end.recvfrom(100)
            except TimeoutError:
                pass

    def _echo(self):
        for data, sender in self._each(self._far):
            self._far.sendto(data, sender)

    def _send(self):
        while not self._stopped.wait(1 / _PROBES):
            self._near.sendto(struct.pack("d", time.perf_counter()), (speed_links.RECEIVER, _PORT))

    def _receive(self):
        for data, _ in self._each(self._near):
            self.trips.append(1000 * (time.perf_counter() - struct.unpack("d", data)[0]))


def percentile(ordered, part):
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else float("nan")


def _running(rival, line, seconds):
    """The programs of a flow that is past its start and lasts so much longer."""
    programs = rival.flow(line, seconds + _SETTLE + 1, 0)
    time.sleep(_SETTLE)
    return programs


def alone(rival, line, seconds):
    programs = _running(rival, line, seconds)
    probe = Probe(line)
    before, began = line.received_bytes(), time.monotonic()
    time.sleep(seconds)
    carried = 8 * (line.received_bytes() - before) / 1e6 / (time.monotonic() - began)
    trips = probe.stop()
    for program in programs:
        program.kill()
    return {"rtt_p50": percentile(trips, 0.5), "rtt_p99": percentile(trips, 0.99), "line_mbit": carried}


def beside(rival, line, seconds, binaries):
    """What the CUBIC flow got, counted from its first byte."""
    cubic = speed_rivals.Tls("cubic", congestion="cubic", port=7100)
    cubic.prepare(binaries)
    programs = _running(rival, line, seconds)
    joined = cubic.flow(line, seconds, 0)
    try:
        before, began = line.received_bytes(), time.monotonic()
        told = json.loads(joined[0].line(seconds + 60) or "{}")
        carried = 8 * (line.received_bytes() - before) / 1e6 / (time.monotonic() - began)
    finally:
        for program in (*joined, *programs):
            program.kill()
    return {"cubic_mbit": 8 * told["counted_bytes"] / 1e6 / told["counted_seconds"], "both_mbit": carried}
