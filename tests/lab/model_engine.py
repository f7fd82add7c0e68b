"""The model engine: a scenario's whole network inside one `natbox` process; only its hosts are namespaces."""

import capture
import natbox
import netlab
import topology


def why_not(_):
    """The model expresses everything that a file can say."""
    return None


class ModelEngine:
    name = "model"

    def __init__(self, scenario, binaries, folder):
        self._network = scenario.topology
        self._start = lambda: natbox.NatBox(binaries, scenario.path, capture=folder, snap_length=capture.SNAPLEN)
        self._box = None

    def __enter__(self):
        self._box = self._start()
        return self

    def __exit__(self, *_):
        self._box.close()

    def _command(self, line):
        try:
            self._box.command(line)
        except natbox.NatBoxError as error:
            raise netlab.LabError(str(error)) from None

    def host(self, name):
        return self._box.hosts[name]

    def addresses(self, name):
        """IPv4 addresses of a host, external ones of a NAT on the internet; IPv6 ones follow."""
        if name in self._network.hosts:
            return self._box.stats()["hosts"][name]["addresses"]
        external = self._network.nats[name].get("external", 1)
        if isinstance(external, list):
            return external
        # As natbox assigns them: 198.18.N.2 and following for the N-th thing on the internet.
        outer = [nat.name for nat in self._network.nats.values() if nat.behind == topology.INTERNET]
        return [f"198.18.{outer.index(name) + 1}.{2 + index}" for index in range(external)]

    # --- faults ------------------------------------------------------------------------------------------------

    def rebind(self, name):
        self._command(f"rebind {name}")

    def expire(self, name):
        self._command(f"expire {name}")

    def background(self, name, rate):
        self._command(f"background {name} {rate:g}")

    def block(self, name, protocols):
        for protocol in protocols:
            self._command(f"block {name} {protocol}")

    def unblock(self, name, protocols):
        for protocol in protocols:
            self._command(f"unblock {name} {protocol}")

    def cut(self, name, towards=None):
        self._command(f"cut {name} {towards}" if towards else f"link {name} both up=false")

    def restore(self, name, towards=None):
        self._command(f"restore {name} {towards}" if towards else f"link {name} both up=true")

    def change_link(self, name, up, down):
        for way, values in (("up", up), ("down", down)):
            if values:
                self._command(f"link {name} {way} " + " ".join(
                    f"{key}={topology.setting(key, value)}" for key, value in values.items()))

    def move(self, name, behind):
        host = self._box.hosts[name]
        self._box.move(name, behind)
        moved = self._box.hosts[name]
        host.address, host.public = moved.address, moved.public  # people hold on to the host
        self._box.hosts[name] = host
