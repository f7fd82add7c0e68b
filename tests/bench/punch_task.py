"""One network and what is tried in it, in a sandbox of its own; run by punch.py, which reads the last line of stdout.

`punch_task.py '{"bin": …, "kind": "class"|"aioice"|"kernel", "pairs": [[…, …]], "delays_ms": [.., ..], "runs": N}'`; the
result is a list for each pair of its attempts, each as Couple.attempt() returns it, of aioice with an `aioice` beside.
"""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parent / "lab"))

import aioice_pair
import netlab
import punch_cells
import punch_network
import sandbox

_WORK = pathlib.Path("/run/bench")  # on the sandbox's own file system: gone with it
_RUNS_ALONE = 3  # of ours, where aioice does not get through
_LUCK = 3  # attempts of a pair of the kernel that are left to luck


def _classes(binaries, order):
    (pair,) = order["pairs"]
    with punch_network.ClassNetwork(binaries, _WORK, pair, order["delays_ms"]) as network:
        return [[network.couple.attempt() for _ in range(order["runs"])]]


def _beside_aioice(binaries, order):
    """In turn, so that both see the same machine. Where aioice does not get through, it is asked once, and we thrice."""
    (pair,) = order["pairs"]
    attempts = []
    with punch_network.ClassNetwork(binaries, _WORK, pair, order["delays_ms"]) as network:
        for run in range(order["runs"]):
            compares = run == 0 or attempts[0]["aioice"]["connected"]
            if not compares and run == _RUNS_ALONE:
                break
            attempts.append(network.couple.attempt())
            if compares:
                attempts[-1]["aioice"] = _aioice(network)
    return [attempts]


def _aioice(network):
    network.couple.reset()
    agents = aioice_pair.AioicePair(network.server, network.couple.hosts)
    try:
        return {**agents.attempt(), "packets": network.couple.packets()}
    finally:
        agents.close()


def _kinds(binaries, order):
    found = []
    with punch_network.KernelNetwork(binaries, _WORK, order["pairs"], order["delays_ms"]) as network:
        for pair in order["pairs"]:
            couple = network.couple(pair)
            attempts = [couple.attempt() for _ in range(order["runs"])]
            lucky = punch_cells.expected_of_kinds(pair) in punch_cells.LUCKY
            while lucky and len(attempts) < _LUCK and not attempts[-1]["direct"]:
                attempts.append(couple.attempt())
            couple.close()
            found.append(attempts)
    return found


def main(order):
    sandbox.enter()
    _WORK.mkdir()
    binaries = netlab.Binaries(order["bin"])
    run = {"class": _classes, "aioice": _beside_aioice, "kernel": _kinds}[order["kind"]]
    print(json.dumps(run(binaries, order)))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
