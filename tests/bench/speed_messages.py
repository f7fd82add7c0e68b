"""Small messages while a file flows, by several means; and what a connection weighs that does nothing."""

import json

from speed_rivals import Pair, Pinhole, Tls, cost, ending

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
        return ["connect" if sends else "listen", "198.18.3.2", 7200, count, _PER_SECOND]

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


def resting(congestion):
    """All that are weighed in row f."""
    pinhole = Pinhole("pinhole aes", cipher="aes", congestion=congestion)
    tasks = {sends: {"task": "idle-send" if sends else "idle-receive", "size": 200} for sends in (False, True)}
    return [Resting("pinhole aes", pinhole, tasks), Resting("TLS aes128", Tls("TLS aes128", cipher="aes128"))]


