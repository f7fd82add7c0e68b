"""STUN servers with two addresses, ours and one that others wrote."""

import subprocess
import sys
import types

import programs
import sandbox

PORTS = (3478, 3479)

# Asks every endpoint until each has answered.
_PROBE = """
import os, socket, struct, sys
wanted = {(address, int(port)) for address, port in (word.split(":") for word in sys.argv[1:])}
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(0.05)
for attempt in range(400):
    for endpoint in wanted:
        client.sendto(struct.pack("!HHI12s", 1, 0, 0x2112A442, os.urandom(12)), endpoint)
    try:
        while wanted:
            wanted.discard(client.recvfrom(2000)[1])
    except (TimeoutError, ConnectionError):
        continue
    break
sys.exit(f"no answer from {sorted(wanted)}" if wanted else 0)
"""


class Coturn:
    """turnserver of coturn 4.6; from 4.7 on it wants the option rfc5780 as well."""

    program = "turnserver"

    def __init__(self, host, folder):
        folder.mkdir()
        self.address, self.alternate = host.address, host.alternate
        config = folder / "turnserver.conf"
        config.write_text("\n".join([
            f"listening-ip={host.address}", f"listening-ip={host.alternate}", f"listening-port={PORTS[0]}",
            f"alt-listening-port={PORTS[1]}", "fingerprint", "no-tls", "no-dtls", "no-cli", "no-auth", "realm=test",
            f"pidfile={folder / 'pid'}", f"userdb={folder / 'users'}", "log-file=stdout", "relay-threads=2", ""]))
        with open(folder / "log", "w") as log:
            self._process = subprocess.Popen(host.namespace.command([self.program, "-c", config]), stdout=log,
                                             stderr=subprocess.STDOUT, preexec_fn=sandbox.die_with_parent)
        try:
            await_answers(host)
        except BaseException:
            self.stop()
            raise

    def stop(self):
        self._process.kill()
        self._process.wait()


class Ours(programs.Server):
    def __init__(self, host, binaries, data):
        on_host = types.SimpleNamespace(server=host)
        super().__init__(on_host, binaries, data, host.address, ("--alternate", host.alternate))
        self.address, self.alternate = host.address, host.alternate


def await_answers(host):
    """All four endpoints of a server with two addresses answer to STUN over UDP."""
    endpoints = [f"{address}:{port}" for address in (host.address, host.alternate) for port in PORTS]
    host.namespace.run([sys.executable, "-c", _PROBE, *endpoints])
