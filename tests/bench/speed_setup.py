"""What the rivals need, from Debian; nothing else of the project needs it."""

import os
import subprocess
import sys

PACKAGES = ["ngtcp2-client", "ngtcp2-server", "srt-tools", "kcptun", "uftp", "magic-wormhole",
            "python3-magic-wormhole-mailbox-server", "libudt-dev", "libenet-dev", "libbenchmark-dev", "iperf3", "socat",
            "openssl", "ethtool"]
_TARGETS = ["transport-load", "transport-micro", "tls-load", "udt-load", "enet-load", "natbox"]


def run(folder):
    """Installs the packages and builds what has become possible in a build folder."""
    prefix = [] if os.geteuid() == 0 else ["sudo", "--"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = [*prefix, "apt-get", "install", "-y", "-q", "--no-install-recommends", *PACKAGES]
    if subprocess.run(install, env=environment, stdout=sys.stderr).returncode != 0:
        subprocess.run([*prefix, "apt-get", "update", "-q"], check=True, stdout=sys.stderr)
        subprocess.run(install, env=environment, check=True, stdout=sys.stderr)
    subprocess.run(["cmake", folder], check=True, stdout=sys.stderr)
    subprocess.run(["cmake", "--build", folder, "--target", *_TARGETS], check=True, stdout=sys.stderr)
