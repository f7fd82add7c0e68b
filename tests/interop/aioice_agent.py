"""One ICE agent of aioice, an implementation that this project did not write. Started with the role, `call` or `wait`, the
STUN server and where lines are passed on to the other agent, both ADDRESS:PORT, and perhaps a TURN server, as
ADDRESS:PORT:USER:PASSWORD:TRANSPORT with udp, tcp or tls.

It says "ready" when it is connected there and has gathered its candidates. On the line "go" on stdin the caller connects
to the other agent, and ends with a JSON line: {"connected": …, "exchanged_ms", "connected_ms", "echoed_ms", "remote"}, in
milliseconds from "go": when it had the other's candidates, when connect() was through, and when a packet had been there
and back, which is what `connected` says.
"""

import asyncio
import json
import ssl
import sys
import time

import aioice

_PATIENCE_S = 45
_ECHO_PATIENCE_S = 5


def _turn_options(turn):
    if not turn:
        return {}
    address, port, user, password, transport = turn.split(":")
    return {"turn_server": (address, int(port)), "turn_username": user, "turn_password": password,
            "turn_transport": "udp" if transport == "udp" else "tcp",
            # The certificate of a lab is nobody's.
            "turn_ssl": ssl._create_unverified_context() if transport == "tls" else False}


async def _gather(controlling, stun, turn):
    connection = aioice.Connection(ice_controlling=controlling, stun_server=stun, use_ipv6=False, **_turn_options(turn))
    await connection.gather_candidates()
    return connection


def _description(connection):
    return json.dumps({"user": connection.local_username, "password": connection.local_password,
                       "candidates": [candidate.to_sdp() for candidate in connection.local_candidates]}).encode() + b"\n"


async def _take(connection, line):
    other = json.loads(line)
    connection.remote_username, connection.remote_password = other["user"], other["password"]
    for candidate in other["candidates"]:
        await connection.add_remote_candidate(aioice.Candidate.from_sdp(candidate))
    await connection.add_remote_candidate(None)


async def _call(connection, reader, writer):
    began = time.monotonic()

    def elapsed():
        return 1000 * (time.monotonic() - began)
    writer.write(_description(connection))
    await _take(connection, await reader.readline())
    found = {"connected": False, "exchanged_ms": elapsed()}
    try:
        await asyncio.wait_for(connection.connect(), _PATIENCE_S)
        found["connected_ms"] = elapsed()
        found["remote"] = next(iter(connection._nominated.values())).remote_addr[0]
        await connection.send(b"there")
        found["connected"] = await asyncio.wait_for(connection.recv(), _ECHO_PATIENCE_S) == b"and back"
        found["echoed_ms"] = elapsed()
    except (ConnectionError, asyncio.TimeoutError):
        pass
    return found


async def _answer(connection, reader, writer):
    await _take(connection, await reader.readline())
    writer.write(_description(connection))
    try:
        await asyncio.wait_for(connection.connect(), _PATIENCE_S)
        await connection.recv()
        await connection.send(b"and back")
    except (ConnectionError, asyncio.TimeoutError):
        pass


def _endpoint(text):
    address, port = text.rsplit(":", 1)
    return address, int(port)


async def main(role, stun, other, turn=None):
    reader, writer = await asyncio.open_connection(*_endpoint(other))
    connection = await _gather(role == "call", _endpoint(stun), turn)
    print("ready", flush=True)
    if role == "call":
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        print(json.dumps(await _call(connection, reader, writer)), flush=True)
    else:
        await _answer(connection, reader, writer)
        await reader.read()  # until the caller has gone


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
