"""Reads tables of a scenario file so that every mistake becomes one sentence that says where it is."""

import difflib
import re

_TIMES = {"ms": 0.001, "s": 1, "min": 60, "h": 3600}
_SIZES = {"B": 1, "kB": 1000, "MB": 10**6, "GB": 10**9}
_RATES = {"bit": 1, "kbit": 1000, "mbit": 10**6, "gbit": 10**9}


class ScenarioError(Exception):
    """A mistake in a file; the text names the file and the place."""


class Place:
    """Where in which file: carried along so that complaints can say it."""

    def __init__(self, file, what=""):
        self.file = file
        self.what = what

    def inside(self, what):
        return Place(self.file, f"{self.what}, {what}" if self.what else what)

    def error(self, sentence):
        return ScenarioError(f"{self.file}: {self.what + ': ' if self.what else ''}{sentence}")


def quantity(text, units, example, place):
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([A-Za-z]+)", text) if isinstance(text, str) else None
    if not match or match[2] not in units:
        raise place.error(f"{text!r} is not {example}")
    return float(match[1]) * units[match[2]]


def duration(value, place):
    """Seconds."""
    return quantity(value, _TIMES, 'a time like "20ms", "1.5s" or "2min"', place)


def size(value, place):
    """Bytes."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return int(quantity(value, _SIZES, 'a size like "300kB" or "2MB"', place))


def rate(value, place):
    """Bits per second."""
    return quantity(value, _RATES, 'a rate like "20mbit" or "64kbit"', place)


def text(value, place):
    if not isinstance(value, str):
        raise place.error(f"{value!r} is not a text")
    return value


def flag(value, place):
    if not isinstance(value, bool):
        raise place.error(f"{value!r} is neither true nor false")
    return value


def whole(value, place):
    if not isinstance(value, int) or isinstance(value, bool):
        raise place.error(f"{value!r} is not a whole number")
    return value


def number(value, place):
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise place.error(f"{value!r} is not a number")
    return value


def chance(value, place):
    if not 0 <= number(value, place) <= 1:
        raise place.error(f"{value!r} is not a chance between 0 and 1")
    return value


def texts(value, place):
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise place.error(f"{value!r} is not a list of texts")
    return value


def table(value, place):
    if not isinstance(value, dict):
        raise place.error(f"{value!r} is not a table")
    return value


def tables(value, place):
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise place.error("this is not a list of tables")
    return value


def choice(*words):
    def check(value, place):
        if value not in words:
            raise place.error(f"{value!r} is none of {', '.join(words)}")
        return value
    return check


def choices(*words):
    def check(value, place):
        for word in texts(value, place):
            choice(*words)(word, place)
        return value
    return check


def keys(given, known, place):
    """Reads a table by {key: reader}; a key that is not among them is an error with the nearest that is."""
    result = {}
    for key, value in table(given, place).items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
            raise place.error(f"unknown key {key!r}{hint}")
        result[key] = known[key](value, place.inside(key))
    return result


def one_of(name, known, what, place):
    """A name that must exist."""
    if name not in known:
        near = difflib.get_close_matches(str(name), known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there is {', '.join(known) or 'none'}"
        raise place.error(f"no {what} is named {name!r}; {hint}")
    return name
