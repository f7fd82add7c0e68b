"""A box for everything that makes network namespaces, mounts and traffic.

`enter()` restarts the program as the first process of its own mount, PID and network namespaces, and for whoever is not
root of its own user namespace. Whatever it makes there has private names, and the kernel removes all of it when the
program ends, however it ends: Ctrl-C, a crash, kill -9. Runs therefore cannot see or disturb each other, nor the machine.
"""

import ctypes
import functools
import os
import shutil
import signal
import subprocess
import sys

SKIPPED = 77  # the exit code that ctest reads as "skipped"

_INSIDE = "PINHOLE_LAB_SANDBOX"
_UNSHARE = ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child=SIGKILL", "--mount-proc"]
_AS_USER = ["--user", "--map-root-user"]
_PR_SET_PDEATHSIG = 1
# What every lab needs, tried in a box; the words before it fails are the reason.
_PROBE = """
say() { echo "$1" >&2; exit 1; }
mount -t tmpfs none /run || say "no file system can be mounted in a namespace"
(: <>/dev/net/tun) 2>/dev/null || say "{who} may not open /dev/net/tun (as root: chmod 666 /dev/net/tun)"
ip netns add probe || say "no network namespace can be made"
nft list ruleset >/dev/null || say "nftables does not work in a namespace"
"""
_TOOLS = {"unshare": "util-linux", "nsenter": "util-linux", "mount": "mount", "ip": "iproute2", "nft": "nftables"}


@functools.cache
def _look():
    """(how a box is made, None), or (None, one sentence why it cannot be made)."""
    for tool, package in _TOOLS.items():
        if not shutil.which(tool, path=_environment()["PATH"]):
            return None, f"`{tool}` is missing (package {package})"
    if not os.path.exists("/dev/net/tun"):
        return None, "/dev/net/tun is missing"
    root = os.geteuid() == 0
    reason = None
    # Root of a container may lack the right to make namespaces and still be allowed a user namespace.
    for extra in ([], _AS_USER) if root else (_AS_USER,):
        argv = [*_UNSHARE, *extra]
        probe = subprocess.run([*argv, "sh", "-c", _PROBE.replace("{who}", "root" if root else "this user")],
                               capture_output=True, text=True, env=_environment())
        if probe.returncode == 0:
            return argv, None
        words = (probe.stderr.strip().splitlines() or ["no reason given"])[-1]
        if "unshare" in words:
            words = (f"this machine gives {'root' if root else 'users'} no namespaces of their own ({words}); "
                     "see user.max_user_namespaces and kernel.*unprivileged_userns* of sysctl, or be root")
        reason = reason or words
    return None, reason


def _environment():
    """nft, ip and others are in folders that a user's PATH may lack."""
    path = os.environ.get("PATH", os.defpath)
    return {**os.environ, "PATH": path + ":/usr/sbin:/sbin"}


def why_impossible():
    """None if a box can be made here, else one sentence why not."""
    return _look()[1]


def start(argv, **options):
    """Runs a program in a box of its own, that it enters by calling `enter()`; the box ends with this thread."""
    how, reason = _look()
    if how is None:
        raise OSError(reason)
    environment = {**_environment(), **options.pop("env", {}), _INSIDE: "1"}
    return subprocess.Popen([*how, *argv], env=environment, preexec_fn=die_with_parent, **options)


def enter():
    """Returns inside the box; outside it, runs this program again inside one and exits as that did, or with SKIPPED."""
    if os.environ.get(_INSIDE) == "1":
        # Taken out again so that a program started in here can make a box of its own.
        del os.environ[_INSIDE]
        subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
        os.mkdir("/run/netns")
        return
    reason = why_impossible()
    if reason is not None:
        print(f"SKIPPED: {reason}", file=sys.stderr)
        sys.exit(SKIPPED)
    box = start([sys.executable, *sys.argv])
    # A terminal sends Ctrl-C to those inside as well, and they tidy up; whoever ends only this process ends the box.
    signal.signal(signal.SIGINT, lambda *_: None)
    for deadly in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(deadly, lambda number, _: (box.kill(), sys.exit(128 + number)))
    sys.exit(box.wait())


def die_with_parent():
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
