"""A box for everything that makes network namespaces, mounts and traffic.

`enter()` restarts the program as the first process of its own mount, PID and network namespaces. Whatever it makes
there has private names, and the kernel removes all of it when the program ends, however it ends: Ctrl-C, a crash,
kill -9. Runs therefore cannot see or disturb each other, nor the machine.
"""

import ctypes
import os
import signal
import subprocess
import sys

SKIPPED = 77  # the exit code that ctest reads as "skipped"

_INSIDE = "PINHOLE_LAB_SANDBOX"
_UNSHARE = ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child=SIGKILL", "--mount-proc"]
_PR_SET_PDEATHSIG = 1


def why_impossible():
    """None if namespaces can be made here, else one sentence why not."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not os.path.exists("/dev/net/tun"):
        return "/dev/net/tun is missing"
    probe = subprocess.run([*_UNSHARE, "true"], capture_output=True, text=True)
    if probe.returncode != 0:
        return "namespaces cannot be created here: " + probe.stderr.strip()
    return None


def enter():
    """Returns inside the box; outside it, runs this program again inside one and exits as that did, or with SKIPPED."""
    if os.environ.get(_INSIDE) == "1":
        # Taken out again so that a program started in here can make a box of its own.
        del os.environ[_INSIDE]
        os.makedirs("/run/netns", exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", "/run/netns"], check=True)
        return
    reason = why_impossible()
    if reason is not None:
        print(f"SKIPPED: {reason}", file=sys.stderr)
        sys.exit(SKIPPED)
    box = subprocess.Popen([*_UNSHARE, sys.executable, *sys.argv], env={**os.environ, _INSIDE: "1"},
                           preexec_fn=die_with_parent)
    # A terminal sends Ctrl-C to those inside as well, and they tidy up; whoever ends only this process ends the box.
    signal.signal(signal.SIGINT, lambda *_: None)
    for deadly in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(deadly, lambda number, _: (box.kill(), sys.exit(128 + number)))
    sys.exit(box.wait())


def die_with_parent():
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, 9)
