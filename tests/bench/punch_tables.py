"""The tables of punch.py: what is to be tried for each, its lines, and which aims were missed."""

import itertools
import statistics

import aioice_pair
import kernel_nats
import punch_cells
from punch_cells import DIRECT, EITHER, LUCKY, NO_PATH, NO_SERVER

# Without a server: of who calls, or is called.
_EXITS_OF = {NO_PATH: {5}, NO_SERVER: {3, 4}}
# One way, of the lines of the two sides.
_DELAYS_MS = (5, 10)
# What two medians may differ by on a machine that does other things besides.
_SAME_MS = 5


class Table:
    """`tasks` are for punch_task.py; `take` gets their results in the same order."""

    kind = "class"
    title = ""
    runs = 20
    at_once = 5  # attempts in one network: the more, the fewer can be made at the same time

    def __init__(self, runs, only):
        self._runs = runs or self.runs
        self._cells = {key: [] for key in self.keys() if not only or _wanted(key[0], only)}
        self.tasks = []
        self._order = []
        for pair, delays in self._cells:
            for first in range(0, self._runs, self.at_once):
                self._order.append((pair, delays))
                self.tasks.append({"kind": self.kind, "pairs": [pair], "delays_ms": delays,
                                   "runs": min(self.at_once, self._runs - first)})

    def keys(self):
        """(pair, delays) of each cell."""
        return [(pair, _DELAYS_MS) for pair in punch_cells.class_pairs()]

    def take(self, results):
        for key, (attempts,) in zip(self._order, results):
            self._cells[key] += attempts

    def figures(self):
        return [{"pair": pair, "delays_ms": delays, "attempts": attempts}
                for (pair, delays), attempts in self._cells.items()]

    def misses(self):
        return [f"{_name(pair)}: {words}" for (pair, delays), attempts in self._cells.items()
                for words in self.judge(pair, delays, attempts)]

    def judge(self, pair, _, attempts):
        return judge(punch_cells.expected_of_classes(pair), attempts)


def _wanted(pair, only):
    return tuple(pair) in only or tuple(reversed(pair)) in only


def judge(verdict, attempts):
    """Sentences."""
    found = sorted({attempt["wrong"] for attempt in attempts if "wrong" in attempt})
    direct = sum(attempt["direct"] for attempt in attempts)
    if verdict in (NO_PATH, NO_SERVER):
        if direct:
            found.append(f"{direct} of {len(attempts)} are direct, which cannot be")
        codes = {attempt["exit"] for attempt in attempts if not attempt["direct"]}
        if codes - _EXITS_OF[verdict]:
            found.append(f"exit codes {sorted(codes)} instead of {sorted(_EXITS_OF[verdict])}")
    elif len(attempts) - direct > punch_cells.unlucky(verdict, len(attempts)):
        reasons = {attempt.get("error", f"exit {attempt['exit']}") for attempt in attempts if not attempt["direct"]}
        found.append(f"only {direct} of {len(attempts)} are direct ({'; '.join(sorted(reasons))})")
    if any(not attempt["direct"] and not attempt.get("error") for attempt in attempts):
        found.append("no path, and no sentence that says why")
    return found


# --- figures of attempts -------------------------------------------------------------------------------------------


def _name(pair):
    return " x ".join(pair)


def _median(values):
    return statistics.median(values) if values else None


def _ms(value):
    return "-" if value is None else f"{value:.0f} ms"


def _of(attempts, value):
    """The values of what is direct."""
    return [value(attempt) for attempt in attempts if attempt["direct"]]


def _packets(attempt, kinds=("probes", "checks", "answers")):
    """Of both sides."""
    return sum(side[kind] for side in attempt["packets"] for kind in kinds)


def _strategies(attempts):
    counts = {}
    for attempt in attempts:
        for strategy in dict.fromkeys(attempt.get("strategies", ())):
            counts[strategy] = counts.get(strategy, 0) + 1
    return " ".join(sorted(counts, key=counts.get, reverse=True)) or "-"


def _command_to_path(attempt):
    return attempt["command_to_path_ms"]


def _rows(rows):
    """Columns of a Markdown table, aligned."""
    widths = [max(len(str(row[column])) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(str(cell).ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


# --- the tables ----------------------------------------------------------------------------------------------------


class Classes(Table):
    title = f"each class of NAT with each; lines of {_DELAYS_MS[0]} and {_DELAYS_MS[1]} ms one way; both have measured " \
            "their networks before"

    def lines(self):
        rows = [("cell", "aim", "direct", "path", "command to path", "packets", "no path after")]
        for (pair, _), attempts in self._cells.items():
            verdict = punch_cells.expected_of_classes(pair)
            failed = [attempt for attempt in attempts if not attempt["direct"]]
            packets = [_packets(attempt) for attempt in attempts]
            rows.append((_name(pair), verdict, f"{sum(attempt['direct'] for attempt in attempts)}/{len(attempts)}",
                         _strategies(attempts), _ms(_median(_of(attempts, _command_to_path))),
                         f"{_median(packets):.0f}, at most {max(packets)}",
                         _ms(_median([attempt["ended_ms"] for attempt in failed]))))
        return [*_rows(rows), "", *_LEGEND]


_LEGEND = [
    "aim: direct, in every run; so many of 100, one of fewer may fail; none, no path is claimed and the caller says why",
    "path: strategies of the path that carried the file, by both sides' events; it leads to the other's NAT, and the file is "
    "intact", "times and packets: medians; packets of both sides together to anybody but the server: probes, checks and answers"]


class Aioice(Table):
    kind = "aioice"
    title = "aioice 0.8 in the same networks"
    runs = 10
    at_once = 10

    def __init__(self, runs, only):
        self.absent = aioice_pair.find_python() is None
        super().__init__(runs, only)
        if self.absent:
            self.tasks = []

    def lines(self):
        rows = [("cell", "aioice direct", "aioice connect()", "pinhole direct", "pinhole path", "from command",
                 "aioice echo", "pinhole connected", "packets")]
        for (pair, _), attempts in self._cells.items():
            theirs = _theirs(attempts)
            rows.append((
                _name(pair), f"{sum(their['connected'] for their in theirs)}/{len(theirs)}",
                _ms(_median(_times(theirs, "connected_ms"))),
                f"{sum(attempt['direct'] for attempt in attempts)}/{len(attempts)}",
                _ms(_median(_of(attempts, _called_to_path))), _ms(_median(_of(attempts, _command_to_path))),
                _ms(_median(_times(theirs, "echoed_ms"))),
                _ms(_median(_of(attempts, _called_to_data))),
                f"{_median([_packets(their) for their in theirs]):.0f} and "
                f"{_median([_packets(attempt) for attempt in attempts]):.0f}"))
        return [*_rows(rows), "", *_FAIR]

    def judge(self, pair, _, attempts):
        theirs = [their for their in _theirs(attempts) if their["connected"]]
        found = sorted({attempt["wrong"] for attempt in attempts if "wrong" in attempt})
        if not theirs:
            return found
        if not all(attempt["direct"] for attempt in attempts):
            found.append("aioice connects, and not each run of ours does")
        for what, mine, other in (("path", _called_to_path, "connected_ms"), ("connected", _called_to_data, "echoed_ms")):
            ours, others = _median(_of(attempts, mine)), _median(_times(theirs, other))
            if ours is not None and ours > others + _SAME_MS:
                found.append(f"{what} after {ours:.0f} ms, aioice after {others:.0f} ms")
        return found


_FAIR = [
    "Both run already, are connected to their servers, on the same host, and have gathered their candidates when the clock "
    "starts: aioice when it is told",
    "to connect (its agents exchange candidates through a TCP relay on the server's host), pinhole at `connecting`. It stops "
    "when connect() is through, and",
    "at `path`: a pair is nominated. `from command` counts the whole program besides, from its start: identity, database, "
    "server connection, gathering.",
    f"echo and connected: something of the other side's came back over it. Neither may be slower by more than {_SAME_MS} ms, "
    "which is what the clocks are", "worth here. Attempts take turns; where aioice fails it is asked once, pinhole thrice."]


def _called_to_path(attempt):
    return attempt["path_ms"] - attempt["connecting_ms"]


def _called_to_data(attempt):
    return attempt["connected_ms"] - attempt["connecting_ms"]


def _theirs(attempts):
    return [attempt["aioice"] for attempt in attempts if "aioice" in attempt]


def _times(theirs, name):
    return [their[name] for their in theirs if their["connected"]]


class Kernel(Table):
    kind = "kernel"
    title = f"NATs of the kernel, each kind with each; lines of {_DELAYS_MS[0]} and {_DELAYS_MS[1]} ms one way"
    runs = 1
    _PAIRS_OF_A_NETWORK = 25
    _MARKS = {"host": "h", "reverse": "r", "udp": "u", "predict": "p", "birthday": "b"}

    def __init__(self, runs, only):
        super().__init__(runs, only)
        self._order = list(self._cells)
        pairs = [pair for pair, _ in self._order]
        self.tasks = [{"kind": self.kind, "pairs": pairs[first:first + self._PAIRS_OF_A_NETWORK],
                       "delays_ms": _DELAYS_MS, "runs": self._runs}
                      for first in range(0, len(pairs), self._PAIRS_OF_A_NETWORK)]

    def keys(self):
        return [(pair, _DELAYS_MS) for pair in punch_cells.kernel_pairs()]

    def take(self, results):
        for key, attempts in zip(self._order, itertools.chain(*results)):
            self._cells[key] = attempts

    def judge(self, pair, _, attempts):
        verdict = punch_cells.expected_of_kinds(pair)
        if verdict in LUCKY:
            direct = [attempt for attempt in attempts if attempt["direct"]]
            return judge(DIRECT, direct) if direct else [*judge(EITHER, attempts), f"not once direct of {len(attempts)}"]
        return judge(verdict, attempts)

    def lines(self):
        kinds = [kind for kind in kernel_nats.KINDS if any(kind in pair for pair, _ in self._cells)]
        width = max(map(len, kinds))
        lines = [" " * (width + 4) + " ".join(f"{index:2}" for index, _ in enumerate(kinds, 1))]
        for index, row in enumerate(kinds, 1):
            marks = [self._mark((row, column)) for column in kinds]
            lines.append(f"{index:2} {row.ljust(width)} " + " ".join(f"{mark:>2}" for mark in marks))
        seen = [(punch_cells.expected_of_kinds(pair), attempts) for (pair, _), attempts in self._cells.items()]
        direct = sum(any(attempt["direct"] for attempt in attempts) for _, attempts in seen)
        possible = sum(verdict == DIRECT or verdict in LUCKY for verdict, _ in seen)
        again = sum(verdict in LUCKY and len(attempts) > self._runs for verdict, attempts in seen)
        return [*lines, "", "caller: row; h host, r reverse, u udp, p predict, b birthday; - no path; . no server",
                f"{len(seen)} pairs: {possible} can be direct, {direct} are; {again} of those that are left to luck took "
                "more than one attempt",
                f"without a path that arithmetic allows or with one that it does not: "
                f"{len({words.partition(':')[0] for words in self.misses()})}; left to luck, with no aim: "
                f"{sum(verdict == EITHER for verdict, _ in seen)}"]

    def _mark(self, pair):
        attempts = self._cells.get((pair, _DELAYS_MS))
        if not attempts:
            return ""
        if not attempts[-1]["direct"]:
            return "." if attempts[-1]["exit"] in _EXITS_OF[NO_SERVER] else "-"
        return self._MARKS.get(attempts[-1]["strategies"][0], "?")


class Time(Table):
    title = "from the command to a direct path"
    runs = 10
    at_once = 10
    _SIMPLE, _BRACKET, _BIRTHDAY = "simple", "bracket", "birthday"
    _PAIRS = {("E", "E"): _SIMPLE, ("E+", "R"): _SIMPLE, ("O", "S"): _SIMPLE, ("E", "S"): _BRACKET,
              ("E", "R"): _BIRTHDAY}

    def keys(self):
        return [(pair, (delay, delay)) for pair in self._PAIRS for delay in (5, 20, 75)]

    def lines(self):
        rows = [("cell", "delay", "RTT", "direct", "online", "plan", "path", "plan to path", "at most", "aim")]
        for (pair, delays), attempts in self._cells.items():
            after_plan = _of(attempts, _plan_to_path)
            rows.append((_name(pair), f"{delays[0]} ms", f"{_rtt(delays)} ms",
                         f"{sum(attempt['direct'] for attempt in attempts)}/{len(attempts)}",
                         _ms(_median([attempt["online_ms"] for attempt in attempts if "online_ms" in attempt])),
                         _ms(_median([attempt["plan_ms"] for attempt in attempts if "plan_ms" in attempt])),
                         _ms(_median(_of(attempts, _command_to_path))), _ms(_median(after_plan)),
                         _ms(max(after_plan, default=None)), self._aim(pair, delays)[0]))
        return [*_rows(rows), "", "delay: one way, of the line of each side; RTT: between the two. Medians; online, plan and path "
                "from the command, at the caller.", "The plan is the end of signaling; both start within 10 ms of it (T0)."]

    def _aim(self, pair, delays):
        """(words, milliseconds of the median after the plan)."""
        what = self._PAIRS[pair]
        if what == self._SIMPLE:
            bound = 3 * _rtt(delays) + 100
            return f"3 RTT + 100 = {bound} ms", bound
        return ("1 s", 1000) if what == self._BRACKET else ("6 s", 6000)

    def judge(self, pair, delays, attempts):
        found = judge(punch_cells.expected_of_classes(pair), attempts)
        after_plan = _median(_of(attempts, _plan_to_path))
        words, bound = self._aim(pair, delays)
        if after_plan is not None and after_plan > bound:
            found.append(f"{delays[0]} ms: path {after_plan:.0f} ms after the plan, not within {words}")
        return found


def _plan_to_path(attempt):
    return attempt["path_ms"] - attempt["plan_ms"]


def _rtt(delays):
    return 2 * sum(delays)


class Packets(Table):
    title = "packets of one attempt, of both sides together"
    _OTHERS = (("openp2p: 800 sockets, 800 probes", 1600, "99 %, by its own account"),
               ("EasyTier: 84 sockets, 700 probes, a round", 784, "60 %, by arithmetic"))

    def keys(self):
        return [(pair, _DELAYS_MS) for pair in (("E", "R"), ("E", "S"))]

    def lines(self):
        rows = [("who", "where", "packets", "90 % at most", "at most", "gets through")]
        for (pair, _), attempts in self._cells.items():
            packets = sorted(_packets(attempt) for attempt in attempts)
            rows.append(("pinhole", _name(pair), f"{_median(packets):.0f}", packets[(len(packets) * 9 - 1) // 10],
                         packets[-1], f"{sum(attempt['direct'] for attempt in attempts)}/{len(attempts)}"))
        rows += [(who, "E x R", packets, packets, packets, through) for who, packets, through in self._OTHERS]
        return _rows(rows)

    def judge(self, pair, _, attempts):
        found = judge(punch_cells.expected_of_classes(pair), attempts)
        packets = _median([_packets(attempt) for attempt in attempts])
        return found + ([f"{packets:.0f} packets"] if packets >= self._OTHERS[1][1] else [])


TABLES = {"class": Classes, "aioice": Aioice, "kernel": Kernel, "time": Time, "packets": Packets}
