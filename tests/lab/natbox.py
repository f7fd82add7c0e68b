"""A topology with model NATs between real network namespaces: starts the program `natbox` and talks to it.

    with NatBox(binaries, "two-homes.toml", capture="logs") as box:
        box.hosts["alice"]            a netlab.Host: .namespace.command(argv) runs something there, .address, .public
        box.command("rebind home")    any command of `natbox --help`; NatBoxError if it is refused
        box.move("alice", "mobile")   as the command; the Host that is there has its new address then
        box.stats()                   {"hosts": {…}, "nats": {…}, "links": {…}, "drops": {"home: filtered": 3}}

`topology` is a file, or a dict as tomllib reads one from such a file (README.md); whatever else is in it is not looked at.
Every host of it gets a namespace of its name, or those in `hosts` only. With `capture`, a folder, there is HOST.pcap of
each host in it, complete when the box is closed. Run inside sandbox.enter(): the namespaces end with the sandbox.
May be used by several threads at once.
"""

import json
import pathlib
import subprocess
import tempfile
import threading
import tomllib

import netlab


class NatBoxError(Exception):
    pass


class NatBox:
    def __init__(self, binaries, topology, capture=None, hosts=None, snap_length=None):
        self._lock = threading.Lock()
        with tempfile.TemporaryDirectory(prefix="natbox-") as folder:
            if isinstance(topology, dict):
                path = pathlib.Path(folder) / "topology.toml"
                path.write_text(_topology_toml(topology))
            else:
                path = pathlib.Path(topology)
                topology = tomllib.loads(path.read_text())
            names = [host["name"] for host in topology.get("host", [])]
            namespaces = {name: netlab.Namespace(name) for name in names if hosts is None or name in hosts}
            argv = [binaries.find("natbox"), "--topology", path]
            for name, namespace in namespaces.items():
                argv += ["--host", f"{name}={namespace.path}"]
            if capture is not None:
                argv += ["--capture", capture]
            if snap_length is not None:
                argv += ["--snaplen", snap_length]
            self._process = subprocess.Popen(list(map(str, argv)), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                             stderr=subprocess.PIPE, text=True)
            ready = self._read()
        self.hosts = {}
        for name, host in ready["ready"].items():
            self.hosts[name] = _host(namespaces[name], host)

    @property
    def pid(self):
        return self._process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends natbox; captures are complete then. Whatever runs in the namespaces has no network any more."""
        if self._process.poll() is None:
            try:
                self._process.communicate(timeout=10)  # it serves until its stdin ends
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            stream.close()

    def command(self, line):
        """One command; NatBoxError says why it was refused."""
        answer = self._ask(line)
        if answer != "ok":
            raise NatBoxError(f"{line}: {answer.removeprefix('error: ')}")

    def stats(self):
        return json.loads(self._ask("stats"))

    def move(self, host, behind):
        """Plugs a host into another LAN, or into "internet". Returns its new address."""
        self.command(f"move {host} {behind}")
        known = self.hosts[host]
        moved = _host(known.namespace, self.stats()["hosts"][host])
        known.address, known.public, known.alternate = moved.address, moved.public, moved.alternate
        return known.address

    def _ask(self, line):
        if "\n" in line:
            raise NatBoxError("a command is one line")
        with self._lock:
            try:
                self._process.stdin.write(line + "\n")
                self._process.stdin.flush()
            except (BrokenPipeError, ValueError):
                raise NatBoxError(f"natbox has ended; {line!r} was not done") from None
            return self._read_line()

    def _read(self):
        return json.loads(self._read_line())

    def _read_line(self):
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            raise NatBoxError(f"natbox ended with {self._process.returncode}: {self._process.stderr.read().strip()}")
        return line.rstrip("\n")


def _host(namespace, description):
    ipv4 = [address for address in description["addresses"] if ":" not in address]
    return netlab.Host(namespace, ipv4[0], description["public"], ipv4[1] if len(ipv4) > 1 else None)


def _topology_toml(topology):
    lines = [f"seed = {topology.get('seed', 1)}"]
    for kind in ("nat", "host"):
        for table in topology.get(kind, []):
            lines += ["", f"[[{kind}]]"]
            lines += [f"{key} = {_toml(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def _toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)  # strings, numbers and booleans are the same in both
