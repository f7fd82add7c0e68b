"""Whoever stays without a path tries again by itself: at once and differently, and when the network has changed."""

from case import DONE, INTERRUPTED, LabCase

RANDOM = {"mapping": "address-and-port-dependent", "allocation": "random"}
# A network that either of them could go to.
CAFE = {"name": "cafe", "link": {"delay": "10ms"}}


class Retry(LabCase):
    def assert_waits(self, program, in_s, timeout=30):
        """It says why it is not connected, and when it tries again."""
        after = len(program.events_named("retry"))
        program.wait_until(lambda events: sum(event["event"] == "retry" for event in events) > after, timeout,
                           "another event retry")
        retry = program.events_named("retry")[-1]
        self.assertEqual(retry["code"], "no-path")
        self.assertEqual(retry["in_s"], in_s, program.transcript())
        self.assertTrue(program.running)
        return retry

    def test_a_chat_that_waits_connects_from_another_network(self):
        self.across_models(RANDOM, RANDOM, CAFE)
        bob = self.bob.chat("alice", "--wait")
        bob.wait_event("online")
        alice = self.alice.chat("bob", "--wait")
        self.assertIn("random port", self.assert_waits(alice, 0)["message"])
        self.assert_waits(alice, 60)
        self.assertEqual(bob.events_named("retry")[-1]["in_s"], None, "who was called waits for the other side")
        self.box.move("alice", "cafe")
        alice.wait_event("connected", timeout=45)
        alice.say("the coffee is better here")
        bob.wait_event("message", text="the coffee is better here")
        for program in (alice, bob):
            self.assertEqual(program.events_named("path")[-1]["kind"], "direct")
            self.assertEqual(program.events_named("error"), [], program.transcript())

    def test_the_side_that_was_called_calls_from_another_network(self):
        self.across_models(RANDOM, RANDOM, CAFE)
        bob = self.bob.chat("alice", "--wait")
        bob.wait_event("online")
        alice = self.alice.chat("bob", "--wait")
        self.assert_waits(alice, 0)
        self.assert_waits(alice, 60)
        self.box.move("bob", "cafe")
        bob.wait_event("connected", timeout=45)
        alice.wait_event("connected")

    def test_once_more_at_once(self):
        self.across_models({}, {})
        self.box.command("block home udp")
        self.bob.receive(self.inbox(), "--yes")
        ping = self.alice.start("ping", "bob", "--until-direct", "--without", "tcp")
        self.assert_waits(ping, 0)
        self.box.command("unblock home udp")
        self.assert_exit(ping, DONE)
        self.assertEqual(len(ping.events_named("retry")), 1)
        self.assertEqual(ping.events_named("path")[-1]["kind"], "direct")

    def test_ctrl_c_ends_the_waiting_at_once(self):
        self.across_models(RANDOM, RANDOM)
        self.bob.receive(self.inbox(), "--yes")
        ping = self.alice.start("ping", "bob", "--until-direct")
        self.assert_waits(ping, 0)
        self.assert_waits(ping, 60)
        ping.interrupt()
        self.assert_exit(ping, INTERRUPTED, timeout=3)
