"""Ringing, refusing, being offline, being online twice, and what strangers do to the server meanwhile."""

import subprocess
import sys
import time

from case import DONE, NO_PEER, REFUSED, LabCase

# Everything a stranger may throw at the port, for as long as it is not killed: noise and truncated or lying STUN over
# UDP; over TCP connections that say nothing, say one byte now and then, or say nonsense.
_STRANGER = """
import os, random, socket, struct
random.seed(1)
server = ("203.0.113.10", 3478)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
def stun(length, attributes):
    return struct.pack("!HHI", 1, length, 0x2112A442) + os.urandom(12) + attributes
def nonsense():
    yield os.urandom(random.randrange(1, 1400))
    yield stun(0, b"")[: random.randrange(1, 20)]
    yield stun(65532, b"")
    yield stun(8, struct.pack("!HH", 6, 65535) + b"abcd")
    yield stun(4, struct.pack("!HH", 0x8028, 4))
    yield b"\\x00\\x01"
    yield b""
held = []
def connect(first):
    s = socket.socket()
    s.settimeout(2)
    try:
        s.connect(server)
        s.sendall(first)
    except OSError:
        return
    held.append(s)
    if len(held) > 300:
        held.pop(0).close()
said = 0
while True:
    for data in nonsense():
        try:
            udp.sendto(data, server)
        except OSError:
            pass
    connect(random.choice([b"", b"\\x00", b"\\xff\\xff", b"GET / HTTP/1.1\\r\\n", os.urandom(3000), b"\\xff" * 100000]))
    for s in random.sample(held, min(len(held), 20)):
        try:
            s.send(b"\\x00")
        except OSError:
            held.remove(s)
    said += 1
    if said == 50:
        print("under way", flush=True)
"""


class Calls(LabCase):
    def test_offline_peer(self):
        self.across()
        error = self.assert_fails(self.alice.send(self.make_file("f", 10), "bob"), NO_PEER)
        self.assertIn("bob", error["message"])

    def test_refused_without_consent(self):
        self.across()
        receiver = self.bob.receive(self.inbox())
        self.assert_fails(self.alice.send(self.make_file("f", 10), "bob"), REFUSED)
        self.assertEqual(list(self.inbox().iterdir()), [])
        self.assertTrue(receiver.running)

    def test_a_stranger_is_refused(self):
        self.across()
        self.bob.run("contacts", "remove", "alice")
        receiver = self.bob.receive(self.inbox(), "--yes")
        self.assert_fails(self.alice.send(self.make_file("f", 10), "bob"), REFUSED)
        self.assertEqual(list(self.inbox().iterdir()), [])
        self.assertTrue(receiver.running)

    def test_one_identity_online_twice_takes_the_call_once(self):
        self.across()
        sent = self.make_file("f", 1000)
        inboxes = [self.inbox("first"), self.inbox("second")]
        receivers = [self.bob.receive(inbox, "--yes", label=f"bob {inbox.name}") for inbox in inboxes]
        self.assert_exit(self.alice.send(sent, "bob"), DONE)
        got = [inbox for inbox in inboxes if list(inbox.iterdir())]
        self.assertEqual(len(got), 1, "the file must arrive once")
        # The other one is rung as well: it answers when the first is gone.
        first = inboxes.index(got[0])
        receivers[first].stop()
        self.assert_exit(self.alice.send(sent, "bob"), DONE)
        self.assert_same_file(sent, inboxes[1 - first] / "f")

    def test_a_call_rings_every_place_and_the_one_that_wants_it_answers(self):
        self.across()
        chat = self.bob.chat("alice", "--wait", label="bob's chat")
        chat.wait_event("online")
        receiver = self.bob.receive(self.inbox(), "--yes", label="bob's receive")
        sent = self.make_file("f", 1000)
        self.assert_exit(self.alice.send(sent, "bob"), DONE)
        self.assert_same_file(sent, self.inbox() / "f")
        alice = self.alice.chat("bob")
        alice.say("hello")
        self.assertEqual(chat.wait_event("message")["text"], "hello")
        self.assertEqual(receiver.events_named("message"), [])

    def test_goes_through_while_strangers_flood_the_server(self):
        self.across()
        stranger_host = self.lab.add_side("x", "public")
        stranger = subprocess.Popen(stranger_host.namespace.command([sys.executable, "-c", _STRANGER]),
                                    stdout=subprocess.PIPE, text=True)
        self.addCleanup(stranger.stdout.close)
        self.addCleanup(stranger.wait)
        self.addCleanup(stranger.kill)
        self.assertEqual(stranger.stdout.readline(), "under way\n")
        sent = self.make_file("f", 200_000)
        _, _, inbox = self.transfer(sent)
        self.assert_same_file(sent, inbox / "f")
        self.assertIsNone(stranger.poll())
        self.assertTrue(self.server.running)

    def test_server_notices_a_peer_that_vanishes(self):
        self.across()
        receiver = self.bob.receive(self.inbox(), "--yes")
        self.lab.core.ip("link set dev nb down")
        sent = self.make_file("f", 10)

        def offline():
            program = self.alice.run("send", sent, "--to", "bob", timeout=45)
            self.assertEqual(program.process.returncode, NO_PEER, program.transcript())
            return program.wait_event("error")["code"] == "peer-offline"

        deadline = time.monotonic() + 40
        while not offline():
            self.assertLess(time.monotonic(), deadline, "the server still takes bob for online")
        # and bob comes back by himself
        self.lab.core.ip("link set dev nb up")
        receiver.wait_until(lambda events: sum(event["event"] == "online" for event in events) >= 2, 60,
                            "second event online")
        self.assert_exit(self.alice.send(sent, "bob"), DONE)
