"""Programs that classify a NAT from behind it, each made to say it in the same words.

A verdict is a dict with some of the fields of kernel_nats.Truth, only those that the program can tell at all. `expected`
turns a truth into the verdict that the program must come to; what it cannot express or gets wrong is written down there.
"""

import dataclasses
import json
import re
import shutil
import subprocess
import time

from kernel_nats import ADDRESS, ADDRESS_AND_PORT, INDEPENDENT, NONE, PRESERVING
import programs
import sandbox

COTURN, OURS = "coturn", "ours"  # the servers

_FROM_WORDS = {"Endpoint Independent": INDEPENDENT, "Address Dependent": ADDRESS,
               "Address and Port Dependent": ADDRESS_AND_PORT}


class NatDiscovery:
    """turnutils_natdiscovery of coturn: RFC 5780 mapping, filtering and hairpinning.

    It sends each request once and waits three seconds for the answer: a lost packet is a wrong verdict. It does not tell
    no filter from one that lets everyone in, and so cannot say "none".

    Its last mapping test goes where the OTHER-ADDRESS of the answer before it points, not that of the first answer.
    RFC 5780 §7.4 makes that the first address again, with the other port, which cannot tell mappings that depend on
    the address from those that depend on the port as well. coturn up to 4.6 and our server name their second address
    there, so that its verdict is right.
    """

    name = "natdiscovery"
    program = "turnutils_natdiscovery"
    copes_with_loss = False
    alone = False

    def commands(self, host, server):
        # With the machine's own address it sees that there is no NAT.
        return [[self.program, *what, "-L", host.address, server] for what in (("-m", "-f"), ("-H",))]

    def read(self, outputs):
        behavior, hairpin = outputs
        verdict = {"open": "reflexive addr" in behavior}
        if not verdict["open"]:
            return verdict
        mapping = re.search(r"NAT with (.*) Mapping!", behavior)
        verdict["mapping"] = NONE if "No NAT!" in behavior else _FROM_WORDS[mapping[1]] if mapping else "?"
        filtering = re.search(r"NAT with (.*) Filtering!", behavior)
        verdict["filtering"] = _FROM_WORDS[filtering[1]] if filtering else "?"
        verdict["hairpin"] = "successful hairpinning" in hairpin
        return verdict

    def expected(self, truth, _):
        if not truth.open:
            return {"open": False}
        return _known(open=True, mapping=truth.mapping, hairpin=truth.hairpin,
                      filtering=INDEPENDENT if truth.filtering == NONE else truth.filtering)


class Stun:
    """The RFC 3489 client of Debian's stun-client.

    Of a mapping that depends on the destination it cannot say on what it depends, nor what the filter does; of ports
    only whether the one that it used was preserved.
    """

    name = "stun"
    program = "stun"
    copes_with_loss = True
    alone = False

    _FILTERS = {"Independent": INDEPENDENT, "Address Dependent": ADDRESS, "Port Dependent": ADDRESS_AND_PORT}

    def commands(self, host, server):
        # From a port outside of every range that a kind translates to, as a kernel keeps a port that is in its range; and
        # from one for each server.
        return [[self.program, server, "-p", 10_000 + 10 * int(server.split(".")[2])]]

    def read(self, outputs):
        found = re.search(r"^Primary: (.*?)\s*$", outputs[0], re.MULTILINE)
        said = found[1] if found else "?"
        if said.startswith("Blocked"):
            return {"open": False}
        if said in ("Open", "Firewall"):
            return {"open": True, "mapping": NONE, "filtering": NONE if said == "Open" else ADDRESS_AND_PORT}
        if said.startswith("Dependent Mapping"):
            return {"open": True, "mapping": "dependent", "preserving": "preserves" in said}
        parts = re.fullmatch(r"Independent Mapping, (.*) Filter, (preserves ports|random port), (will|no) hairpin", said)
        if not parts:
            return {"open": said}
        return {"open": True, "mapping": INDEPENDENT, "filtering": self._FILTERS[parts[1]],
                "preserving": parts[2] == "preserves ports", "hairpin": parts[3] == "will"}

    def expected(self, truth, _):
        if not truth.open:
            return {"open": False}
        if truth.mapping == NONE:
            return {"open": True, "mapping": NONE, "filtering": truth.filtering}
        preserving = truth.allocation == PRESERVING
        if truth.mapping != INDEPENDENT:
            return {"open": True, "mapping": "dependent", "preserving": preserving}
        return _known(open=True, mapping=INDEPENDENT, filtering=truth.filtering, preserving=preserving,
                      hairpin=truth.hairpin)


class Netcheck:
    """`pinhole netcheck --json`: the only one that must be right about everything."""

    name = "netcheck"
    program = "pinhole"
    copes_with_loss = True
    alone = True  # other traffic of the same NAT would be in its way

    def __init__(self, binaries, homes, rendezvous=None, patience=3, arguments=()):
        """`homes` is a folder; the server at `rendezvous` is ours. Dozens that run at once on a few cores may take
        `patience` times as long as the contract says."""
        self._program = binaries.find(self.program)
        self._homes = homes
        self._rendezvous = rendezvous
        self._patience = patience
        self._arguments = arguments

    def commands(self, host, server):
        argv = [self._program, "--home", self._homes / f"home-{host.namespace.name}-{server}", "--json"]
        if server == self._rendezvous:
            return [[*argv, "--server", server, "netcheck", *self._arguments]]
        return [[*argv, "netcheck", "--stun", server, *self._arguments]]

    def read(self, outputs):
        reports = [event for event in map(_event, outputs[0].splitlines()) if event.get("event") == "netcheck"]
        if not reports or not reports[-1]["complete"]:
            return {"open": False, "answered": False}
        udp, tcp = reports[-1]["udp"], reports[-1]["tcp"]
        return {"answered": True, "open": udp["open"], "mapping": udp["mapping"], "filtering": udp["filtering"],
                "allocation": udp["allocation"], "delta": udp["delta"], "block": udp["block"], "hairpin": udp["hairpin"],
                "lifetime_s": udp["lifetime_s"],
                "tcp_open": tcp["open"], "tcp_mapping": tcp["mapping"], "tcp_allocation": tcp["allocation"],
                "first_ms": reports[0]["elapsed_ms"], "complete_ms": reports[-1]["elapsed_ms"]}

    def expected(self, truth, _):
        if not truth.tcp_open:
            return {"answered": False}
        found = _known(answered=True, first_ms=Below(1000 * self._patience), complete_ms=Below(6000 * self._patience),
                       open=truth.open, tcp_open=True, tcp_mapping=truth.tcp_mapping)
        if truth.open:
            translated = truth.mapping != NONE
            found |= _known(mapping=truth.mapping, filtering=truth.filtering, hairpin=truth.hairpin,
                            allocation=truth.allocation if translated else None, delta=truth.delta,
                            tcp_allocation=truth.tcp_allocation if translated else None)
            if truth.block:
                found["block"] = Within(*truth.block)
        return found


class Within:
    """Equals every range of ports within this one: a few samples do not show where a block ends."""

    def __init__(self, first, last):
        self._first, self._last = first, last

    def __eq__(self, other):
        return bool(other) and self._first <= min(other) <= max(other) <= self._last

    def __repr__(self):
        return f"within {self._first} to {self._last}"


class Below:
    """Equals every shorter time; a slow build or machine has more."""

    def __init__(self, milliseconds):
        self._milliseconds = milliseconds * programs.PATIENCE

    def __eq__(self, other):
        return other < self._milliseconds

    def __repr__(self):
        return f"below {self._milliseconds:.0f}"


def _event(line):
    try:
        return json.loads(line)
    except ValueError:
        return {}


def _known(**fields):
    return {key: value for key, value in fields.items() if value is not None}


def disagreements(expected, verdict):
    """What the verdict says otherwise: sentences."""
    return [f"{key} is {verdict.get(key)!r}, not {value!r}" for key, value in expected.items()
            if not value == verdict.get(key)]


def missing(*tools):
    return [tool.program for tool in tools if shutil.which(tool.program) is None]


# --- running many at once ------------------------------------------------------------------------------------------


@dataclasses.dataclass(eq=False)
class Side:
    """Where a classifier is started, and what it should find."""

    name: str
    host: object
    truth: object
    lossy: bool = False


@dataclasses.dataclass(eq=False)
class Finding:
    side: Side
    tool: object
    server: str
    verdict: dict
    outputs: list

    @property
    def wrong(self):
        return disagreements(self.tool.expected(self.side.truth, self.server), self.verdict)

    def __str__(self):
        text = "\n".join(self.outputs)
        return f"{self.side.name}: {self.tool.name} against {self.server}: {'; '.join(self.wrong)}\n{text}"


def classify(sides, tools, servers, timeout=40):
    """Every tool from every side against every server ({name: address}). All sides at once, as they mostly wait; tools
    that want a NAT to themselves one after the other."""
    tasks = [(tool, server) for tool in tools for server in servers]
    sociable = [task for task in tasks if not task[0].alone]
    findings = []
    for together in ([sociable] if sociable else []) + [[task] for task in tasks if task[0].alone]:
        started = [(side, tool, server, [_start(side.host, argv) for argv in tool.commands(side.host, servers[server])])
                   for side in sides for tool, server in together if tool.copes_with_loss or not side.lossy]
        deadline = time.monotonic() + timeout * programs.PATIENCE
        for side, tool, server, processes in started:
            outputs = [_finish(process, deadline) for process in processes]
            findings.append(Finding(side, tool, server, tool.read(outputs), outputs))
    return findings


def _start(host, argv):
    return subprocess.Popen(host.namespace.command(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, errors="replace", preexec_fn=sandbox.die_with_parent)


def _finish(process, deadline):
    try:
        return process.communicate(timeout=max(deadline - time.monotonic(), 0.1))[0]
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()[0] + "\n(killed: it did not end)"
