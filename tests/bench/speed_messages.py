"""Small messages while a file flows, by several means; and what a connection weighs that does nothing."""

import contextlib
import json
import time

import speed_machine
from speed_links import RECEIVER, SENDER
from speed_rivals import Ngtcp2, Pair, Pinhole, Tls, cost, ending

_PER_SECOND = 20


def _figures(bulk, latency, programs):
    cpu, peak = cost(*programs)
    seconds = bulk["counted_seconds"]
    return {**{key: latency[key] for key in ("p50", "p90", "p99", "max")}, "count": latency["count"],
            "bulk_mbit": 8 * bulk["counted_bytes"] / 1e6 / seconds if seconds else 0.0, "cpu": cpu, "peak_mb": peak}


class OneConnection(Pair):
    """Messages and file in one connection of `pair`."""

    def __init__(self, name, pair):
        super().__init__(name)
        self._pair = pair
        self.ours = pair.ours

    def missing(self, binaries):
        return self._pair.missing(binaries)

    def prepare(self, binaries):
        self._pair.prepare(binaries)

    def run(self, line, count, timeout):
        receiver = self._pair.start(line, False, messages=count)
        sender = self._pair.start(line, True, messages=count)
        with ending(sender, receiver):
            told = json.loads(receiver.line(timeout) or "{}")
            sender.wait(10)
            receiver.wait(10)
        return _figures(told, told["latency_ms"], (sender, receiver))


class TwoConnections(Pair):
    """A TCP connection for the messages and another for the file."""

    def __init__(self, congestion):
        super().__init__(f"two TCP {congestion}")
        self._bulk = Tls("bulk", congestion=congestion)
        self._chat = Tls("chat", congestion=congestion, port=7001)

    def missing(self, binaries):
        return self._bulk.missing(binaries)

    def prepare(self, binaries):
        self._bulk.prepare(binaries)
        self._chat.prepare(binaries)

    def run(self, line, count, timeout):
        bulk = self._bulk.flow(line, count / _PER_SECOND + 1, 0)
        chat = [self._chat.start(line, sends, messages=count, no_bulk=True) for sends in (False, True)]
        with ending(*bulk, *chat):
            latency = json.loads(chat[0].line(timeout) or "{}")["latency_ms"]
            carried = json.loads(bulk[0].line(timeout) or "{}")
            for program in (*bulk, *chat):
                program.wait(10)
        return _figures(carried, latency, (*bulk, *chat))


class Enet(Pair):
    program = "enet-load"

    def argv(self, sends, count):
        return ["connect" if sends else "listen", RECEIVER, 7200, count, _PER_SECOND]

    def run(self, line, count, timeout):
        receiver = self.start(line, False, count=count)
        sender = self.start(line, True, count=count)
        with ending(sender, receiver):
            told = json.loads(receiver.line(timeout) or "{}")
            sender.wait(10)
            receiver.wait(10)
        return _figures(told, told["latency_ms"], (sender, receiver))


def means(congestion):
    """All that carry messages in row d."""
    return [OneConnection("pinhole aes", Pinhole("pinhole aes", cipher="aes", congestion=congestion)),
            TwoConnections("bbr"), TwoConnections("cubic"),
            OneConnection("one TCP bbr", Tls("one", congestion="bbr")), Enet("ENet")]


class Resting(Pair):
    """Many connections of one pair of processes."""

    def __init__(self, name, pair, tasks=None):
        super().__init__(name)
        self._pair = pair
        self.ours = pair.ours
        self._tasks = tasks or {}

    def missing(self, binaries):
        return self._pair.missing(binaries)

    def prepare(self, binaries):
        self._pair.prepare(binaries)

    def run(self, line, connections, seconds):
        receiver, sender = (self._pair.start(line, sends, connections=connections, rest=seconds, **self._tasks.get(sends, {}))
                            for sends in (False, True))
        with ending(sender, receiver):
            timeout = seconds + 60
            told = [json.loads(program.line(timeout) or "{}") for program in (sender, receiver)]
        return {"sender_bytes": told[0]["bytes_per_connection"], "receiver_bytes": told[1]["bytes_per_connection"]}


class RestingNgtcp2(Ngtcp2):
    """Its server; each of the clients is a process, so they are fewer."""

    _FIRST, _MOST = 20, 80
    _DONE = "QUIC handshake has completed"

    def run(self, line, connections, seconds):
        count = min(connections, self._MOST)
        server = self.server(line, "--timeout=300s")
        programs = [server]
        with contextlib.ExitStack() as stack:
            stack.callback(lambda: [program.kill() for program in programs])
            self._connect(line, programs, self._FIRST)
            before = server.anonymous_kb()
            self._connect(line, programs, count)
            time.sleep(seconds)
            return {"sender_bytes": 1024 * (server.anonymous_kb() - before) / count}

    def _connect(self, line, programs, count):
        wanted = len(programs) - 1 + count
        for _ in range(count):
            programs.append(speed_machine.Program(line.receiver, [
                "gtlsclient", "--no-quic-dump", "--no-http-dump", "--timeout=300s", SENDER, 4433]))
        deadline = time.monotonic() + 30
        while speed_machine.LOG.read_text(errors="replace").count(self._DONE) < wanted:
            if time.monotonic() > deadline:
                raise speed_machine.RunError("not all clients of gtlsserver have connected")
            time.sleep(0.05)


def resting(congestion):
    """All that are weighed in row f."""
    pinhole = Pinhole("pinhole aes", cipher="aes", congestion=congestion)
    tasks = {sends: {"task": "idle-send" if sends else "idle-receive", "size": 200} for sends in (False, True)}
    return [Resting("pinhole aes", pinhole, tasks), Resting("TLS aes128", Tls("TLS aes128", cipher="aes128")),
            RestingNgtcp2("ngtcp2 server, 80 connections")]


