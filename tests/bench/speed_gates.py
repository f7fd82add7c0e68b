"""What the transport has to reach, as ratios to the others of the same run, and whether it has."""

import dataclasses
import statistics
import typing


class Results:
    """Medians of what was measured."""

    def __init__(self, measurements):
        self._figures = {}
        for each in measurements:
            for key, value in each.figures.items():
                self._figures.setdefault((each.row, each.name, key), []).append(value)

    def median(self, row, name, key):
        values = self._figures.get((row, name, key))
        return statistics.median(values) if values else None

    def values(self, row, name, key):
        return self._figures.get((row, name, key), [])

    def names(self, row):
        return list(dict.fromkeys(name for found, name, _ in self._figures if found == row))


@dataclasses.dataclass
class Gate:
    row: str
    text: str
    figure: typing.Callable  # Results -> figure, or None when something was not measured
    bound: float
    stretch: typing.Optional[float] = None
    most: bool = False  # the figure must not be above the bound, instead of below

    def verdict(self, results):
        """(figure, "held", "stretch" or "missed"), or None."""
        figure = self.figure(results)
        if figure is None:
            return None
        reaches = (lambda bound: figure <= bound) if self.most else (lambda bound: figure >= bound)
        if self.stretch is not None and reaches(self.stretch):
            return figure, "stretch"
        return figure, "held" if reaches(self.bound) else "missed"


AES, CHACHA = "pinhole aes", "pinhole chacha"


def _of(row, name, key="mbit"):
    return lambda results: results.median(row, name, key)


def _ratio(row, name, other, key="mbit"):
    def figure(results):
        mine, theirs = results.median(row, name, key), results.median(row, other, key)
        return mine / theirs if mine is not None and theirs else None
    return figure


def _of_best(row, name):
    def figure(results):
        rivals = [results.median(row, other, "mbit") for other in results.names(row) if not other.startswith("pinhole")]
        mine, rivals = results.median(row, name, "mbit"), [each for each in rivals if each]
        return mine / max(rivals) if mine is not None and rivals else None
    return figure


def _above_base(row, key):
    def figure(results):
        trip = results.median(row, AES, key)
        return trip - 40 if trip is not None else None
    return figure


def _used(row):
    def figure(results):
        carried = results.median(row, AES, "line_mbit")
        return carried / 20 if carried is not None else None
    return figure


def _heavier_end(results):
    ends = [results.median("f", AES, key) for key in ("sender_bytes", "receiver_bytes")]
    return max(ends) / 1000 if None not in ends else None


def _fairness(row):
    return [Gate(row, "CUBIC beside it keeps, Mbit/s: at least", _of(row, AES, "cubic_mbit"), 5.5, 7.5),
            Gate(row, "CUBIC beside it keeps, Mbit/s: at most", _of(row, AES, "cubic_mbit"), 13, 12, most=True),
            Gate(row, "alone: RTT p50 above the base, ms", _above_base(row, "rtt_p50"), 5, most=True),
            Gate(row, "alone: RTT p99 above the base, ms", _above_base(row, "rtt_p99"), 15, most=True),
            Gate(row, "alone: share of the line that is used", _used(row), 0.97)]


GATES = [
    Gate("a", "AES / ngtcp2", _ratio("a", AES, "ngtcp2 aes"), 2.0),
    Gate("a", "AES / SRT", _ratio("a", AES, "SRT aes128"), 4.0),
    Gate("a", "AES / UDT", _ratio("a", AES, "UDT, no crypto"), 4.0),
    Gate("a", "AES / kcptun", _ratio("a", AES, "kcptun aes128"), 8.0),
    Gate("a", "ChaCha / ngtcp2's ChaCha", _ratio("a", CHACHA, "ngtcp2 chacha"), 2.5),
    Gate("a", "AES / TLS over TCP (stretch only)", _ratio("a", AES, "TLS aes128 cubic"), 0.0, 0.85),
    Gate("a'", "AES / ngtcp2", _ratio("a'", AES, "ngtcp2 aes"), 1.3),
    Gate("a'", "AES / floor", _ratio("a'", AES, "floor aes"), 0.70, 0.85),
    Gate("a'", "ChaCha / floor", _ratio("a'", CHACHA, "floor chacha"), 0.70, 0.85),
    Gate("b", "Mbit/s", _of("b", AES), 88, 92),
    Gate("b", "AES / TLS bbr", _ratio("b", AES, "TLS aes128 bbr"), 1.03),
    Gate("b", "AES / best of the others", _of_best("b", AES), 0.97, 1.0),
    Gate("b", "AES / TLS cubic", _ratio("b", AES, "TLS aes128 cubic"), 40),
    Gate("b2", "Mbit/s", _of("b2", AES), 80, 85),
    Gate("b2", "AES / TLS bbr", _ratio("b2", AES, "TLS aes128 bbr"), 1.15),
    *_fairness("b3/1"),
    *_fairness("b3/4"),
    Gate("c", "Mbit/s", _of("c", AES), 850, 900),
    Gate("c", "AES / TLS bbr", _ratio("c", AES, "TLS aes128 bbr"), 0.97),
    Gate("c2", "AES / TLS bbr", _ratio("c2", AES, "TLS aes128 bbr"), 1.2),
    Gate("c2", "Mbit/s (stretch only)", _of("c2", AES), 0, 864),
    Gate("d", "p50, ms", _of("d", AES, "p50"), 27, most=True),
    Gate("d", "p99, ms", _of("d", AES, "p99"), 60, 40, most=True),
    Gate("d", "file beside, Mbit/s", _of("d", AES, "bulk_mbit"), 43),
    Gate("e", "row a, CPU s/GB: AES / ngtcp2", _ratio("a", AES, "ngtcp2 aes", "cpu_per_gb"), 0.5, most=True),
    Gate("e", "row a, CPU s/GB: ChaCha / ngtcp2's", _ratio("a", CHACHA, "ngtcp2 chacha", "cpu_per_gb"), 0.4, most=True),
    Gate("e", "row b, CPU s/GB: AES / ngtcp2", _ratio("b", AES, "ngtcp2 bbr2", "cpu_per_gb"), 1 / 3, most=True),
    Gate("e", "row a, CPU s/GB, AES (stretch only)", _of("a", AES, "cpu_per_gb"), 1e9, 2.0, most=True),
    Gate("e", "row a, CPU s/GB, ChaCha (stretch only)", _of("a", CHACHA, "cpu_per_gb"), 1e9, 3.1, most=True),
    Gate("e", "row b, CPU s/GB, AES (stretch only)", _of("b", AES, "cpu_per_gb"), 1e9, 4.0, most=True),
    Gate("g", "file / transport", _ratio("g", "pinhole send", AES), 0.75),
    Gate("h", "relayed / direct", _ratio("h", "pinhole send, relayed", "pinhole send"), 0.90),
    Gate("f", "KB of the heavier end", _heavier_end, 8, 4, most=True),
]
