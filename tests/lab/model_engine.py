"""The model engine: a scenario's whole network inside one `natbox` process; only its hosts are namespaces."""

import natbox
import topology


def why_not(_):
    """The model expresses everything that a file can say."""
    return None


class ModelEngine:
    name = "model"

    def __init__(self, scenario, binaries, folder):
        self._network = scenario.topology
        self._box = natbox.NatBox(binaries, scenario.path, capture=folder)

    def __enter__(self):
        self._box.__enter__()
        return self

    def __exit__(self, *error):
        self._box.__exit__(*(error or (None, None, None)))

    def host(self, name):
        return self._box.hosts[name]

    def addresses(self, name):
        return self._box.addresses[name]

    # --- faults ------------------------------------------------------------------------------------------------

    def rebind(self, name):
        self._box.command(f"rebind {name}")

    def expire(self, name):
        self._box.command(f"expire {name}")

    def background(self, name, rate):
        self._box.command(f"background {name} {rate:g}")

    def block(self, name, protocols):
        for protocol in protocols:
            self._box.command(f"block {name} {protocol}")

    def unblock(self, name, protocols):
        for protocol in protocols:
            self._box.command(f"unblock {name} {protocol}")

    def cut(self, name):
        self._box.command(f"link {name} both up=false")

    def restore(self, name):
        self._box.command(f"link {name} both up=true")

    def change_link(self, name, up, down):
        for way, values in (("up", up), ("down", down)):
            if values:
                self._box.command(f"link {name} {way} " + " ".join(map(_setting, values.items())))

    def move(self, name, behind):
        self._box.command(f"move {name} {behind}")


def _setting(pair):
    """A link's key and read value in the words of a file."""
    key, value = pair
    if key in ("delay", "jitter", "reorder_delay"):
        return f"{key}={value * 1000:g}ms"
    if key == "rate":
        return f"{key}={value:g}bit"
    if key == "queue":
        return f"{key}={value}B"
    if isinstance(value, bool):
        return f"{key}={str(value).lower()}"
    return f"{key}={value:g}"
