"""One ICE agent of libnice, started and answering as aioice_agent.py does, and with the word `relay` behind the TURN
server it uses relayed candidates only. It says more: {"connected": …, "sent", "returned", "local", "remote"} with the
packets that the other was sent and sent back, and of each side of the chosen pair its kind, address and port.

libnice knows TURN over UDP and TCP; over TLS it knows what Google and Microsoft made of it before there was an RFC. TCP
allocations (RFC 6062) it does not know.
"""

import collections
import ctypes
import json
import socket
import sys
import time

import gi

gi.require_version("Nice", "0.1")
from gi.repository import GLib, Nice

_PATIENCE_S = 45
_PACKETS = 200
_INTERVAL_S = 0.005
_COMPONENT = 1
_TRANSPORTS = {"udp": Nice.RelayType.UDP, "tcp": Nice.RelayType.TCP}

# The introspection leaves nice_agent_attach_recv() out, and what takes its place wants a thread for each agent.
_library = ctypes.CDLL("libnice.so.10")
_Receive = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p,
                            ctypes.c_void_p)
_library.nice_agent_attach_recv.argtypes = [ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, _Receive,
                                            ctypes.c_void_p]


class Agent:
    def __init__(self, controlling, stun, turn, only_relay):
        self.received = collections.deque()
        self.pair = None  # kind, address and port of the local candidate and of the remote one
        self._context = GLib.MainContext.default()
        self._gathered = False
        self._agent = Nice.Agent.new(self._context, Nice.Compatibility.RFC5245)
        self._agent.set_property("controlling-mode", controlling)
        self._agent.set_property("upnp", False)
        self._agent.set_property("stun-server", stun[0])
        self._agent.set_property("stun-server-port", stun[1])
        self._agent.set_property("force-relay", only_relay)
        self._agent.connect("candidate-gathering-done", self._on_gathered)
        self._agent.connect("new-selected-pair-full", self._on_selected)
        self._stream = self._agent.add_stream(1)
        self._agent.set_stream_name(self._stream, "application")
        if turn:
            address, port, user, password, transport = turn.split(":")
            self._agent.set_relay_info(self._stream, _COMPONENT, address, int(port), user, password,
                                       _TRANSPORTS[transport])
        self._on_receive = _Receive(self._take)
        # The hash of an object of GObject is its address.
        _library.nice_agent_attach_recv(hash(self._agent), self._stream, _COMPONENT, None, self._on_receive, None)
        self._agent.gather_candidates(self._stream)
        if not self.run_until(lambda: self._gathered):
            raise RuntimeError("candidates were not gathered")

    def _on_gathered(self, *_):
        self._gathered = True

    def _take(self, agent, stream, component, size, data, context):
        self.received.append(ctypes.string_at(data, size))

    def run_until(self, condition, patience=_PATIENCE_S):
        deadline = time.monotonic() + patience
        while not condition():
            if time.monotonic() > deadline:
                return False
            timer = GLib.timeout_add(5, lambda: True)
            self._context.iteration(True)
            GLib.source_remove(timer)
        return True

    def description(self):
        return json.dumps(self._agent.generate_local_sdp()).encode() + b"\n"

    def meet(self, line):
        """Whether there is a path to the agent that this describes."""
        self._agent.parse_remote_sdp(json.loads(line))
        return self.run_until(
            lambda: self._agent.get_component_state(self._stream, _COMPONENT) == Nice.ComponentState.READY)

    def send(self, packet):
        # What a socket does not take at once is lost, as anywhere else.
        self._agent.send(self._stream, _COMPONENT, len(packet), packet)

    def _on_selected(self, agent, stream, component, *pair):
        self.pair = [(Nice.candidate_type_to_string(end.type), end.addr.dup_string(), end.addr.get_port())
                     for end in pair]


def _call(agent, connection, lines):
    connection.sendall(agent.description())
    if not agent.meet(lines.readline()):
        return {"connected": False}
    for number in range(_PACKETS):
        agent.send(f"packet {number}")
        agent.run_until(lambda: False, _INTERVAL_S)
    agent.run_until(lambda: len(agent.received) >= _PACKETS, 5)
    wanted = {f"packet {number}".encode() for number in range(_PACKETS)}
    return {"connected": True, "sent": _PACKETS, "returned": len(wanted & set(agent.received)), "local": agent.pair[0],
            "remote": agent.pair[1]}


def _answer(agent, connection, lines):
    line = lines.readline()
    connection.sendall(agent.description())
    agent.meet(line)
    while True:
        agent.run_until(lambda: agent.received)
        while agent.received:
            agent.send(agent.received.popleft().decode())


def main(role, stun, other, turn=None, only=None):
    address, port = other.rsplit(":", 1)
    connection = socket.create_connection((address, int(port)))
    stun_address, stun_port = stun.rsplit(":", 1)
    agent = Agent(role == "call", (stun_address, int(stun_port)), turn, only == "relay")
    print("ready", flush=True)
    with connection, connection.makefile("rb") as lines:
        if role == "call":
            sys.stdin.readline()
            print(json.dumps(_call(agent, connection, lines)), flush=True)
        else:
            _answer(agent, connection, lines)


if __name__ == "__main__":
    main(*sys.argv[1:])
