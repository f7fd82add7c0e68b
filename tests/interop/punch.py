"""Plain UDP hole punching, to see whether two NATs let it through. Commands and answers are JSON lines:

{"open": N, "server": "ADDRESS:PORT"}              N sockets; answers their external [address, port], as that STUN server
                                                   sees them
{"punch": [[address, port]…], "at": T, "for": S}   from time.monotonic() T on each socket sends to its target, or to whoever
                                                   was heard, for S seconds; answers which of them the other side heard
"""

import json
import select
import socket
import sys
import time

import probe

_INTERVAL = 0.05
_CALL, _HEARD = b"call", b"heard"


def _open(count, server):
    address, port = server.split(":")
    sockets, outside = [], []
    for _ in range(count):
        sockets.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        outside.append(probe.ask_udp(sockets[-1], (address, int(port))))
    return sockets, outside


def _punch(sockets, targets, at, duration):
    targets = [tuple(target) for target in targets]
    says = [_CALL] * len(sockets)
    done = [False] * len(sockets)
    next_round = at
    while (now := time.monotonic()) < at + duration:
        if now >= next_round:
            for client, target, word in zip(sockets, targets, says):
                client.sendto(word, target)
            next_round += _INTERVAL
        for client in select.select(sockets, [], [], max(next_round - time.monotonic(), 0))[0]:
            index = sockets.index(client)
            word, targets[index] = client.recvfrom(100)
            says[index] = _HEARD
            done[index] |= word == _HEARD
    return done


def main():
    sockets = []
    for line in sys.stdin:
        command = json.loads(line)
        if "open" in command:
            sockets, answer = _open(command["open"], command["server"])
        else:
            answer = _punch(sockets, command["punch"], command["at"], command["for"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
