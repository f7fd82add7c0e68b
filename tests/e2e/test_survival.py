"""Faults that no path of a transfer survives: the peers find each other again through the server, and the bytes are intact."""

from case import DONE, TRANSFER_FAILED, LabCase

LINE = {"delay": "5ms", "rate": "10mbit", "queue": "60kB"}
STRICT = {"link": LINE}
CAFE = {"name": "cafe", "link": LINE}
TRAIN = {"name": "train", "link": LINE}


class Survival(LabCase):
    def start_transfer(self, size=6_000_000, *more_nats):
        """At 10 Mbit/s this takes about 5 s; returns as soon as bytes flow."""
        self.across_models(STRICT, STRICT, *more_nats)
        self.sent = self.make_file("big", size)
        self.receiver = self.bob.receive(self.inbox(), "--yes", "--once")
        self.sender = self.alice.send(self.sent, "bob")
        self.await_progress(self.receiver)

    def await_progress(self, program, timeout=15):
        """Bytes arrive that had not before."""
        def most(events):
            return max((event["bytes"] for event in events if event["event"] == "progress"), default=0)
        before = most(program.events)
        program.wait_until(lambda events: most(events) > before, timeout, "progress")

    def both(self, command):
        for nat in ("home", "office"):
            self.box.command(f"{command} {nat}")

    def assert_goes_on(self, timeout=60):
        self.assert_exit(self.sender, DONE, timeout)
        self.assert_exit(self.receiver, DONE)
        self.assert_same_file(self.sent, self.inbox() / "big")

    def assert_stalls(self, program, timeout=15):
        return program.wait_event("path", timeout=timeout, kind="stalled")

    def test_both_nats_reboot_at_once(self):
        self.start_transfer()
        self.both("rebind")
        self.assert_goes_on()

    def test_both_uplinks_are_switched_at_once(self):
        self.start_transfer(6_000_000, CAFE, TRAIN)
        self.box.move("alice", "cafe")
        self.box.move("bob", "train")
        self.assert_goes_on()

    def test_the_server_restarts_and_then_both_nats_reboot(self):
        self.start_transfer(12_000_000)
        self.server.kill()
        self.start_server(arguments=["--alternate", self.box.hosts["server"].alternate])
        online = [len(program.events_named("online")) for program in (self.sender, self.receiver)]
        for program, before in zip((self.sender, self.receiver), online):
            program.wait_until(lambda events, n=before: sum(e["event"] == "online" for e in events) >= max(n, 2), 30,
                               "online again")
        self.both("rebind")
        self.assert_goes_on()

    def test_both_nats_reboot_while_the_server_is_away(self):
        self.start_transfer()
        self.server.kill()
        self.both("rebind")
        for program in (self.sender, self.receiver):
            self.assert_stalls(program)
        self.start_server(arguments=["--alternate", self.box.hosts["server"].alternate])
        self.assert_goes_on(90)

    def test_the_sender_sleeps_for_longer_than_a_peer_that_has_left_is_waited_for(self):
        self.start_transfer()
        self.sender.freeze()
        self.assertIn("trying", self.assert_stalls(self.receiver)["reason"])
        with self.assertRaises(AssertionError):
            self.receiver.wait_event("error", timeout=38)
        self.sender.thaw()
        self.assert_goes_on()

    def test_the_line_is_down_for_longer_than_a_peer_that_has_left_is_waited_for(self):
        self.start_transfer()
        self.box.command("link office both up=false")
        for program in (self.sender, self.receiver):
            self.assert_stalls(program)
        with self.assertRaises(AssertionError):
            self.receiver.wait_event("error", timeout=38)
        self.assertTrue(self.sender.running)
        self.box.command("link office both up=true")
        self.assert_goes_on(90)
        self.assertEqual(self.sender.events_named("path")[-1]["kind"], "direct")

    def test_who_is_killed_is_given_up(self):
        self.start_transfer()
        self.receiver.kill()
        error = self.assert_fails(self.sender, TRANSFER_FAILED, 38)
        self.assertIn("bob", error["message"])
        self.assert_stalls(self.sender, timeout=1)
