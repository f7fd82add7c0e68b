#!/usr/bin/env python3
"""Includes against the architecture: who may use whom, and what a core must never see.

    base <- net, crypto, store <- stun, signaling <- cores <- shells <- main
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

VALUES = {"common/base", "common/net", "common/crypto"}
ALL_COMMON = VALUES | {"common/stun", "common/signaling", "common/io", "common/store"}
# Every room that production code lives in, and the rooms it may include besides itself.
MAY_USE = {
    "common/base": set(),
    "common/net": {"common/base"},
    "common/crypto": {"common/base"},
    "common/store": {"common/base"},
    "common/io": {"common/base", "common/net"},
    "common/stun": VALUES,
    "common/signaling": VALUES | {"proto"},
    "rendezvous/core": VALUES | {"common/stun", "common/signaling"},
    "rendezvous/core/turn": VALUES | {"common/stun", "rendezvous/core"},
    "rendezvous/shell": ALL_COMMON | {"rendezvous/core", "rendezvous/core/turn"},
    "rendezvous": ALL_COMMON | {"rendezvous/core", "rendezvous/core/turn", "rendezvous/shell"},
    "peer/ice": VALUES | {"common/stun"},
    "peer/netcheck": VALUES | {"common/stun"},
    "peer/punch": VALUES | {"common/stun"},
    "peer/relay": VALUES | {"common/stun"},
    "peer/transport": VALUES,
    "peer/session": VALUES | {"common/stun", "common/signaling", "peer/ice", "peer/punch", "peer/transport"},
    "peer/chat": VALUES | {"common/signaling"},
    "peer/files": VALUES | {"common/signaling"},
    "peer/store": VALUES | {"common/signaling", "common/store"},
    "peer/shell": ALL_COMMON - {"common/store"} | {"peer/ice", "peer/netcheck", "peer/relay", "peer/transport",
                                                   "peer/session"},
    "peer/cli": ALL_COMMON | {"peer/ice", "peer/netcheck", "peer/transport", "peer/session", "peer/chat", "peer/files",
                              "peer/store", "peer/shell"},
    "peer": {"common/base", "peer/cli"},
}
# (what, pattern, rooms or single files that may); everywhere else it is an error.
RESERVED = [
    ("Asio", r"#include [<\"]boost/asio", {"common/io", "rendezvous/shell", "rendezvous", "peer/shell", "peer/cli"}),
    ("Protobuf", r"#include [<\"](google/protobuf|[^>\"]*\.pb\.h)", {"common/signaling"}),
    ("SQLite", r"#include [<\"]sqlite3", {"common/store"}),
    ("libsodium", r"#include [<\"]sodium", {"common/crypto"}),
    ("a clock", r"(_clock::now|clock_gettime|gettimeofday|std::time)\b",
     {"common/base", "common/io", "rendezvous/shell", "rendezvous", "peer/shell", "peer/cli", "peer",
      # the disk side of the room: ages of leftover parts, the date of what came from a pipe
      "peer/files/folder_sink.cpp", "peer/files/source.cpp"}),
    ("the system's randomness", r"\b(random_device|randombytes\w*|getrandom|std::rand)\b", {"common/crypto"}),
    ("threads", r"#include <(thread|mutex|condition_variable|future|semaphore)>|\bthread_local\b",
     {"common/base", "common/io", "rendezvous/shell", "rendezvous", "peer/shell", "peer/cli", "peer"}),
    ("a library's random distribution", r"std::\w+_distribution\b", set()),
]
INCLUDE = re.compile(r'^\s*#include "([^"]+)"')


def room_of(path):
    """common/base/x.hpp -> common/base; rendezvous/main.cpp -> rendezvous; proto files -> proto."""
    if path.endswith(".pb.h") or path.startswith("proto/"):
        return "proto"
    return str(pathlib.PurePosixPath(path).parent)


def code_of(line):
    return line.split("//", 1)[0]


def complaints(path):
    room = room_of(path)
    if room not in MAY_USE:
        yield f"{path}: {room} is not in the table of rooms in scripts/check_layers.py"
        return
    for number, line in enumerate((ROOT / path).read_text().splitlines(), 1):
        include = INCLUDE.match(line)
        if include:
            used = room_of(include[1])
            if used != room and used not in MAY_USE[room]:
                yield f"{path}:{number}: {room} may not use {used}"
        for what, pattern, rooms in RESERVED:
            if not {room, path} & rooms and re.search(pattern, code_of(line)):
                yield f"{path}:{number}: {room} may not see {what}"


def main():
    files = subprocess.run(["git", "ls-files", "--", "common/*.[ch]pp", "rendezvous/*.[ch]pp", "peer/*.[ch]pp"],
                           cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    found = [complaint for path in files for complaint in complaints(path)]
    print("\n".join(found) or f"layers: {len(files)} files keep to the architecture")
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main())
