"""What the tests of the relay stand on: our server with a user for clients of others, turnutils_uclient of coturn, and
clients of our own that send what nobody else does."""

import re
import socket
import subprocess

import netlab
import sandbox
import turn_wire
from interop_case import InteropCase

USER, PASSWORD = "lab", "secret"
V6 = {"server": "2001:db8:1::10", "echo": "2001:db8:2::10"}
_ECHO_PORT = 3480


class Uclient:
    program = "turnutils_uclient"


class TurnCase(InteropCase):
    def start(self, *arguments):
        return self.start_server(relay=True, arguments=["--turn-user", f"{USER}:{PASSWORD}", *arguments])

    def add_v6(self, host, name):
        gateway = V6[name].replace("::10", "::1")
        host.namespace.ip(f"address add {V6[name]}/64 dev wan nodad", f"route add default via {gateway}")
        self.lab.core.ip(f"address add {gateway}/64 dev {host.namespace.name} nodad")


class UclientCase(TurnCase):
    """A host behind a NAT, and one that sends back what it gets, with IPv6 at the servers."""

    NEEDS = (Uclient,)
    SERVER_ARGUMENTS = ()

    def setUp(self):
        super().setUp()
        self.server_host = self.lab.add_server()
        self.echo = self.lab.add_server(name="echo")
        self.lab.core.sysctl(**{"net/ipv6/conf/all/forwarding": 1})
        self.add_v6(self.server_host, "server")
        self.add_v6(self.echo, "echo")
        self.start(*self.SERVER_ARGUMENTS)
        peer = subprocess.Popen(
            self.echo.namespace.command(["turnutils_peer", "-L", self.echo.address, "-L", V6["echo"], "-p", _ECHO_PORT]),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=sandbox.die_with_parent)
        self.addCleanup(peer.wait)
        self.addCleanup(peer.kill)
        self.host = self.lab.add_side("a", "eim")

    def begin(self, *flags, messages=20, server=None, echo=None):
        """A run of turnutils_uclient, which begins within six seconds of its start, sends a message every 20 ms and waits
        for what is missing for ten after the last."""
        interval_ms = 20
        argv = ["timeout", 60 + messages * interval_ms // 1000, "turnutils_uclient", "-u", USER, "-w", PASSWORD,
                "-e", echo or self.echo.address, "-r", _ECHO_PORT, "-n", messages, "-z", interval_ms, "-m", 1, "-c", *flags,
                server or self.server_host.address]
        run = Run(flags, messages, subprocess.Popen(
            self.host.namespace.command(argv), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            preexec_fn=sandbox.die_with_parent))
        self.addCleanup(run.end)
        return run

    def assert_none_lost(self, *begun):
        for run in begun:
            with self.subTest(flags=run.name):
                sent, received = run.totals()
                self.assertGreaterEqual(sent, run.messages, run.output)
                self.assertEqual(received, sent, run.output)


class OutsideCase(TurnCase):
    """The client stands on the router next to the server."""

    def setUp(self):
        super().setUp()
        self.host = self.lab.add_server()

    def connection(self, kind=socket.SOCK_DGRAM, address=netlab.SERVER_ADDRESS, port=3478):
        def make():
            made = socket.socket(socket.AF_INET, kind)
            made.settimeout(10)
            made.connect((address, port))
            return made
        made = netlab.in_namespace(self.lab.core.path, make)
        self.addCleanup(made.close)
        return made

    def client(self, kind=socket.SOCK_DGRAM):
        return turn_wire.Client(self.connection(kind), USER, PASSWORD)


class Run:
    def __init__(self, flags, messages, process):
        self.name = " ".join(map(str, flags))
        self.messages = messages
        self.output = ""
        self._process = process

    def totals(self):
        """Waits for the end. How many messages were sent, and how many came back."""
        self.end()
        found = re.search(r"start_mclient: tot_send_msgs=(\d+), tot_recv_msgs=(\d+)\n", self.output)
        if not found or "Total lost packets" not in self.output:
            raise AssertionError(f"turnutils_uclient {self.name} did not end as it should\n{self.output}")
        return int(found[1]), int(found[2])

    def stop(self):
        self._process.terminate()  # which `timeout` passes on
        self.end()

    def end(self):
        if not self._process.stdout.closed:
            self.output = self._process.communicate()[0]
