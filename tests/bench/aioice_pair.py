"""Two agents of aioice, or of another library, who exchange their candidates through a TCP relay on the server's host."""

import json
import pathlib
import shutil
import socket
import subprocess
import sys
import threading

import netlab
import sandbox

_INTEROP = pathlib.Path(__file__).resolve().parent.parent / "interop"
_RELAY_PORT = 7000
_STUN_PORT = 3478


def find_python(needs="import aioice"):
    """One that can do this; None if there is none."""
    for python in dict.fromkeys((sys.executable, "/usr/bin/python3", shutil.which("python3"))):
        if python and subprocess.run([python, "-c", needs], capture_output=True).returncode == 0:
            return python
    return None


class AioicePair:
    """For one attempt, after Couple.reset(). Both are connected to the relay and have gathered before it begins. `options`
    are what the program of the agents takes behind the addresses."""

    NEEDS = "import aioice"
    PROGRAM = _INTEROP / "aioice_agent.py"

    def __init__(self, server, hosts, *options):
        self._listener = netlab.in_namespace(server.namespace.path,
                                             lambda: socket.create_server((server.address, _RELAY_PORT)))
        threading.Thread(target=self._relay, daemon=True).start()
        self._agents = []
        python = find_python(self.NEEDS)
        for role, host in zip(("call", "wait"), hosts):
            self._agents.append(subprocess.Popen(
                host.namespace.command([python, "-B", self.PROGRAM, role, f"{server.address}:{_STUN_PORT}",
                                        f"{server.address}:{_RELAY_PORT}", *options]),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=sandbox.die_with_parent))
        for agent in self._agents:
            if agent.stdout.readline() != "ready\n":
                raise netlab.LabError(f"an agent of {self.PROGRAM.name} did not start")

    def attempt(self):
        """What aioice_agent.py answers."""
        caller = self._agents[0]
        caller.stdin.write("go\n")
        caller.stdin.flush()
        return json.loads(caller.stdout.readline())

    def close(self):
        for agent in self._agents:
            agent.kill()
            agent.wait()
            agent.stdin.close()
            agent.stdout.close()
        self._listener.close()

    def _relay(self):
        ends = []
        for _ in range(2):
            ends.append(self._listener.accept()[0])
            ends[-1].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        other_way = threading.Thread(target=_pass_on, args=reversed(ends), daemon=True)
        other_way.start()
        _pass_on(*ends)
        other_way.join()
        for end in ends:
            end.close()


def _pass_on(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass
