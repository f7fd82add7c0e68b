"""Scenario files: what happens and what must hold, read and checked before anything runs.

A step is a table with one verb; VERBS says which keys each has. README.md is the description for people.
"""

import dataclasses
import pathlib
import re
import tomllib

import reading
import topology

DEFAULT_WITHIN = 15.0  # seconds that a step waits if it does not say
MAX_PAUSE = 60.0
DEFAULT_LIMIT = 120.0  # seconds for a whole scenario
_OPERATORS = ("at_least", "at_most", "contains", "not", "one_of")


@dataclasses.dataclass
class Step:
    number: int
    verb: str
    target: object  # the verb's value: a name, people, a time, expectations
    keys: dict
    place: reading.Place

    def get(self, key, default=None):
        return self.keys.get(key, default)

    @property
    def within(self):
        return self.keys.get("within", DEFAULT_WITHIN)


@dataclasses.dataclass
class Scenario:
    path: pathlib.Path
    about: str
    topology: topology.Topology
    steps: list
    expect: dict
    limit: float

    @property
    def name(self):
        return self.path.stem


def _fields(value, place):
    """A subset of an event: {key: value, table of the same, or {at_least = …} and the like}."""
    for key, inner in reading.table(value, place).items():
        if isinstance(inner, dict):
            _fields(inner, place.inside(key))
        if key == "one_of" and not isinstance(inner, list):
            raise place.error("one_of needs a list")
    return value


def _people(value, place):
    if isinstance(value, list):
        return {name: name for name in reading.texts(value, place)}
    for name, host in reading.table(value, place).items():
        reading.text(host, place.inside(name))
    return value


def _pause(value, place):
    seconds = reading.duration(value, place)
    if seconds > MAX_PAUSE:
        raise place.error(f"longer than {MAX_PAUSE:.0f} s; wait for an event instead")
    return seconds


def _lines(value, place):
    """Texts, or a number of lines to make up."""
    if isinstance(value, int) and not isinstance(value, bool):
        return [f"line {number}" for number in range(1, value + 1)]
    return reading.texts(value, place)


def _folder(value, place):
    return reading.keys(value, {"files": reading.whole, "size": reading.size}, place)


def _text_by_name(value, place):
    return {name: reading.text(entry, place.inside(name)) for name, entry in reading.table(value, place).items()}


def _code_by_name(value, place):
    return {name: reading.whole(entry, place.inside(name)) for name, entry in reading.table(value, place).items()}


_EVENT = {"of": reading.text, "event": reading.text, "fields": _fields}
_PATH = {"of": reading.texts, "kind": reading.choice("direct", "relay"), "transport": reading.choice("udp", "tcp", "tls"),
         "strategy": reading.text, "remote": _text_by_name}


def _events(value, place):
    return [reading.keys(entry, _EVENT, place.inside(f"number {number}"))
            for number, entry in enumerate(reading.tables(value, place), 1)]


EXPECT = {
    "connected": reading.duration, "path": lambda value, place: reading.keys(value, _PATH, place), "no_path": reading.flag,
    "files": reading.choice("intact", "none"), "messages": reading.choice("delivered"), "exit": _code_by_name,
    "error": _text_by_name, "recovered": reading.duration, "rate": reading.rate, "events": _events, "never": _events,
    "running": reading.texts,
}


def expectations(value, place):
    return reading.keys(value, EXPECT, place)


_WAITING = {"within": reading.duration}
_STARTED = {"as": reading.text, "arguments": reading.texts, "exit": reading.whole, **_WAITING}
_LINK = {**topology.DIRECTION, "up": lambda value, place: reading.keys(value, topology.DIRECTION, place),
         "down": lambda value, place: reading.keys(value, topology.DIRECTION, place)}
_PROTOCOLS = {"protocols": reading.choices("udp", "tcp")}


@dataclasses.dataclass(frozen=True)
class Verb:
    target: object  # reader of the verb's value
    keys: dict
    names: str = ""  # what the value must be the name of: host, nat, node, person, program
    needed: tuple = ()


VERBS = {
    "server": Verb(reading.text, {"arguments": reading.texts, "port": reading.whole, **_WAITING}, "host"),
    "people": Verb(_people, {"via": reading.text}),
    "receive": Verb(reading.text, {**_STARTED, "into": reading.text, "yes": reading.flag, "once": reading.flag}, "person"),
    "send": Verb(reading.text, {**_STARTED, "to": reading.text, "file": reading.text, "size": reading.size,
                                "folder": _folder}, "person", ("to",)),
    "chat": Verb(reading.text, {**_STARTED, "with": reading.text, "waits": reading.flag, "lines": _lines,
                                "close": reading.flag}, "person", ("with",)),
    "say": Verb(reading.text, {"lines": _lines, "close": reading.flag}, "program"),
    "netcheck": Verb(reading.text, {**_STARTED, "fields": _fields}, "person"),
    "run": Verb(reading.text, _STARTED, "person", ("arguments",)),
    "wait": Verb(reading.text, {**_WAITING, "event": reading.text, "fields": _fields, "new": reading.flag,
                                "exit": reading.whole}, "program"),
    "pause": Verb(_pause, {}),
    "interrupt": Verb(reading.text, {}, "program"),
    "stop": Verb(reading.text, {}, "program"),
    "kill": Verb(reading.text, {}, "program"),
    "freeze": Verb(reading.text, {}, "program"),
    "thaw": Verb(reading.text, {}, "program"),
    "rebind": Verb(reading.text, {}, "nat"),
    "expire": Verb(reading.text, {}, "nat"),
    "background": Verb(reading.text, {"rate": reading.number}, "nat", ("rate",)),
    "block": Verb(reading.text, _PROTOCOLS, "nat", ("protocols",)),
    "unblock": Verb(reading.text, _PROTOCOLS, "nat", ("protocols",)),
    "cut": Verb(reading.text, {"towards": reading.text}, "node"),
    "restore": Verb(reading.text, {"towards": reading.text}, "node"),
    "link": Verb(reading.text, _LINK, "node"),
    "move": Verb(reading.text, {"to": reading.text}, "host", ("to",)),
    "expect": Verb(expectations, {}),
}
# A disturbance from which a scenario may expect recovery.
FAULTS = {"interrupt", "stop", "kill", "freeze", "thaw", "rebind", "expire", "block", "cut", "restore", "link", "move"}


def load(path):
    """Parses and checks one file."""
    place = reading.Place(str(path))
    try:
        document = tomllib.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise place.error(error.strerror) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise place.error(f"this is not TOML: {error}") from None
    known = {"about": reading.text, "seed": reading.whole, "limit": reading.duration, "nat": reading.tables,
             "host": reading.tables, "step": reading.tables, "expect": expectations}
    values = reading.keys(document, known, place)
    network = topology.read(document, place)
    steps = [_step(entry, number, place) for number, entry in enumerate(values.get("step", []), 1)]
    if not steps:
        raise place.error("there is no [[step]]")
    found = Scenario(pathlib.Path(path), values.get("about", ""), network, steps, values.get("expect", {}),
                     values.get("limit", DEFAULT_LIMIT))
    _check_names(found, place)
    return found


def _step(entry, number, place):
    verbs = [key for key in entry if key in VERBS]
    place = place.inside(f"step {number}")
    if len(verbs) != 1:
        unknown = ", ".join(map(repr, verbs or entry)) or "an empty table"
        raise place.error(f"a step has one verb of {', '.join(VERBS)}; here is {unknown}")
    verb = verbs[0]
    place = place.inside(verb)
    rule = VERBS[verb]
    target = rule.target(entry[verb], place)
    given = reading.keys({key: value for key, value in entry.items() if key != verb}, rule.keys, place)
    for key in rule.needed:
        if key not in given:
            raise place.error(f"it needs the key {key!r}")
    return Step(number, verb, target, given, place)


class _Names:
    """Who and what exists at a step, in the order of the steps."""

    def __init__(self, network):
        self.network = network
        self.behind = {node.name: node.behind for node in (*network.nats.values(), *network.hosts.values())}
        self.people = {}
        self.programs = {}
        self.servers = []


def _check_names(scenario, place):
    names = _Names(scenario.topology)
    for step in scenario.steps:
        _check_step(step, names)
    _check_expectations(scenario.expect, names, place.inside("[expect]"))


def _check_step(step, names):
    network = names.network
    nodes = {**network.nats, **network.hosts}
    spaces = {"host": (network.hosts, "host"), "nat": (network.nats, "NAT"), "node": (nodes, "host or NAT"),
              "person": (names.people, "person (of an earlier `people`)"),
              "program": (names.programs, "program (started by an earlier step)")}
    if kind := VERBS[step.verb].names:
        reading.one_of(step.target, *spaces[kind], step.place)
    if step.verb == "server":
        names.servers.append(step.target)
        names.programs[step.target] = step
    elif step.verb == "people":
        if not names.servers and "via" not in step.keys:
            raise step.place.error("nobody can be online without a server: a step `server` comes first")
        for person, host in step.target.items():
            names.people[person] = reading.one_of(host, network.hosts, "host", step.place)
    elif step.verb in ("receive", "send", "chat", "netcheck", "run"):
        for key in ("to", "with"):
            if key in step.keys:
                reading.one_of(step.keys[key], names.people, "person", step.place.inside(key))
        names.programs[step.get("as", step.target)] = step
    elif step.verb == "move":
        reading.one_of(step.keys["to"], [topology.INTERNET, *network.nats], "NAT (or internet)", step.place.inside("to"))
        names.behind[step.target] = step.keys["to"]
    elif "towards" in step.keys:
        here = names.behind[step.target]
        beside = [name for name, behind in names.behind.items() if behind == here and name != step.target]
        reading.one_of(step.keys["towards"], beside, f"neighbour of {step.target!r}", step.place.inside("towards"))
    elif step.verb == "expect":
        _check_expectations(step.target, names, step.place)
    elif step.verb == "wait" and not {"event", "exit"} & set(step.keys):
        raise step.place.error("wait for what? It needs `event` or `exit`")
    for word in step.get("arguments", []):
        check_placeholders(word, nodes, step.place)
    if "via" in step.keys:
        check_placeholders(step.keys["via"], nodes, step.place)


PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def check_placeholders(word, nodes, place):
    """`{server}`, `{server.2}`, `{server.v6}`: addresses."""
    for inner in PLACEHOLDER.findall(word):
        name, _, which = inner.partition(".")
        reading.one_of(name, nodes, "host or NAT", place)
        if which and which != "v6" and not which.isdigit():
            raise place.error(f"{{{inner}}}: after the point comes the number of an address, or v6")


def _check_expectations(expect, names, place):
    programs = names.programs
    path = expect.get("path", {})
    named = [*expect.get("exit", {}), *expect.get("error", {}), *expect.get("running", []), *path.get("remote", {}),
             *path.get("of", []), *(entry["of"] for key in ("events", "never") for entry in expect.get(key, [])
                                    if "of" in entry)]
    for name in named:
        reading.one_of(name, programs, "program", place)
    outer = [nat.name for nat in names.network.nats.values() if nat.behind == topology.INTERNET]
    for name in path.get("remote", {}).values():
        reading.one_of(name, [*outer, *names.network.hosts], "host or NAT on the internet", place.inside("path.remote"))
    for key in ("events", "never"):
        for entry in expect.get(key, []):
            if "event" not in entry:
                raise place.inside(key).error("it needs the key 'event'")


def matches(expected, actual):
    """Whether a value of an event is what a file expects: tables are subsets, with the words of _OPERATORS."""
    if not isinstance(expected, dict):
        return expected == actual
    for key, value in expected.items():
        if key not in _OPERATORS:
            if not isinstance(actual, dict) or not matches(value, actual.get(key)):
                return False
        elif not _holds(key, value, actual):
            return False
    return True


def _holds(operator, value, actual):
    if operator == "not":
        return not matches(value, actual)
    if operator == "one_of":
        return any(matches(choice, actual) for choice in value)
    if operator == "contains":
        return actual is not None and (value in actual if isinstance(actual, list)
                                       else str(value).lower() in str(actual).lower())
    if not isinstance(actual, (int, float)):
        return False
    return actual >= value if operator == "at_least" else actual <= value


def find(paths):
    """The scenario files that arguments of the command line mean: files, and *.toml of folders."""
    found = []
    for path in map(pathlib.Path, paths):
        if path.is_dir():
            inside = sorted(path.rglob("*.toml"))
            if not inside:
                raise reading.Place(str(path)).error("no *.toml in this folder")
            found += inside
        else:
            found.append(path)
    return found

