"""The relay with lifetimes of seconds: what is renewed lives on past all of them, and what is not ends in time.

turnutils_uclient asks again every 30 s for its allocation, its permission and its channel (refresh_channel of coturn),
whatever the server grants: a little more than that is as short as lifetimes can be.
"""

import socket
import time

import netlab
import programs
import turn_wire
from turn_case import OutsideCase, UclientCase

_MODES = ((), ("-s",), ("-y",), ("-t",), ("-t", "-S", "-p", 3478), ("-T",), ("-Z",), ("-Z", "-s"))


class RenewedLifetimes(UclientCase):
    SERVER_ARGUMENTS = ("--allocation-lifetime", "36", "--permission-lifetime", "32", "--channel-lifetime", "34")

    def test_who_renews_everything_loses_nothing_in_three_lifetimes(self):
        self.assert_none_lost(*(self.begin(*flags, messages=5600) for flags in _MODES))


class RenewedNonces(UclientCase):
    # It repeats a Refresh that had an old nonce, but no other request.
    SERVER_ARGUMENTS = ("--allocation-lifetime", "36", "--nonce-lifetime", "20")

    def test_a_nonce_may_end_in_the_middle(self):
        self.assert_none_lost(*(self.begin(*flags, messages=2600) for flags in _MODES))


class LapsedLifetimes(UclientCase):
    SERVER_ARGUMENTS = ("--allocation-lifetime", "10", "--permission-lifetime", "10", "--channel-lifetime", "10")

    def test_who_renews_nothing_is_cut_off(self):
        # What it sends first may take six seconds, and it renews for the first time when all is over.
        for run in [self.begin(*flags, messages=1000) for flags in ((), ("-s",), ("-t",))]:
            with self.subTest(flags=run.name):
                sent, received = run.totals()
                self.assertEqual(sent, run.messages, run.output)
                self.assertTrue(150 <= received <= 550, run.output)


class Lifetimes(OutsideCase):
    """Each alone, with a client and a peer that stand on the router."""

    PEER = "203.0.113.1"

    def begin(self, **lifetimes):
        self.start("--relay-ports", "50000-50001",
                   *(word for name, value in lifetimes.items() for word in (f"--{name}-lifetime", value)))
        self.peer = netlab.in_namespace(self.lab.core.path, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.addCleanup(self.peer.close)
        self.peer.bind((self.PEER, 0))
        self.turn = self.client()
        error, found = self.turn.allocate()
        self.assertEqual(error, 0)
        self.relayed = turn_wire.endpoint(found[turn_wire.RELAYED])

    def permit(self):
        self.assertEqual(self.turn.ask(turn_wire.CREATE_PERMISSION, lambda t: turn_wire.peer(self.PEER, 0, t))[0], 0)

    def bind(self):
        number = turn_wire.attribute(turn_wire.CHANNEL, b"\x40\x01\0\0")
        self.assertEqual(self.turn.ask(turn_wire.CHANNEL_BIND, lambda t: number + turn_wire.peer(
            *self.peer.getsockname(), t))[0], 0)

    def by_send(self):
        return self.passes(lambda: self.turn.send_indication(*self.peer.getsockname(), b"data"), self.peer)

    def by_channel(self):
        return self.passes(lambda: self.turn.raw.send(b"\x40\x01\0\x04data"), self.peer)

    def to_client(self):
        return self.passes(lambda: self.peer.sendto(b"data", self.relayed), self.turn.raw)

    def passes(self, send, receiver):
        receiver.settimeout(0.3)
        send()
        try:
            return bool(receiver.recv(2000))
        except TimeoutError:
            return False

    def assert_ends(self, passes, lifetime):
        """It passes for about so long from now."""
        began = time.monotonic()
        self.assertTrue(passes())
        # Once more, for a machine that was busy for a moment.
        while passes() or passes():
            self.assertLess(time.monotonic() - began, lifetime + 2 * programs.PATIENCE)
            time.sleep(0.02)
        self.assertGreater(time.monotonic() - began, lifetime - 0.5)

    def test_a_permission_ends_and_can_be_had_again(self):
        self.begin(permission=3)
        for passes in (self.by_send, self.to_client):
            self.permit()
            self.assert_ends(passes, 3)
        self.permit()
        self.assertTrue(self.by_send())

    def test_a_channel_ends_and_can_be_bound_again(self):
        self.begin(channel=3)
        self.bind()
        self.assert_ends(self.by_channel, 3)
        self.assertTrue(self.by_send())  # its permission lasts longer
        self.bind()
        self.assertTrue(self.by_channel())

    def test_an_allocation_ends_and_leaves_its_port_to_others(self):
        self.begin(allocation=3)
        granted = self.client().allocate()
        self.assertEqual(granted[0], 0)
        self.assertEqual(int.from_bytes(granted[1][turn_wire.LIFETIME], "big"), 3)
        self.assertEqual(self.client().allocate()[0], 508)  # both ports are taken
        self.bind()
        self.assert_ends(self.by_channel, 2.5)
        self.assertEqual(self.turn.ask(turn_wire.REFRESH, lambda _: b"")[0], 437)
        self.assertEqual(self.client().allocate()[0], 0)
        began = time.monotonic()
        while self.client().allocate()[0] == 508:  # the other one was made a moment later
            self.assertLess(time.monotonic() - began, 2 * programs.PATIENCE)
            time.sleep(0.02)
        self.assertEqual(self.client().allocate()[0], 508)

    def test_an_allocation_that_is_refreshed_stays(self):
        self.begin(allocation=2)
        self.bind()
        began = time.monotonic()
        while time.monotonic() - began < 7:
            self.assertEqual(self.turn.ask(turn_wire.REFRESH, lambda _: b"")[0], 0)
            self.assertTrue(self.by_channel())
            self.assertTrue(self.to_client())
            time.sleep(0.5)

    def test_an_old_nonce_is_answered_with_a_new_one(self):
        self.begin(nonce=2)
        began = time.monotonic()
        while (error := self.turn.ask(turn_wire.REFRESH, lambda _: b"")[0]) == 0:
            self.assertLess(time.monotonic() - began, 5 * programs.PATIENCE)
            time.sleep(0.1)
        self.assertEqual(error, 438)
        self.assertGreater(time.monotonic() - began, 1.5)
