"""Two NATs of which one or both choose a new port for each destination: predicted, scanned for, or told why not; and ping."""

import subprocess

from case import DONE, NO_PATH, NO_PEER, USAGE, LabCase

EASY = {}
_HARD = {"mapping": "address-and-port-dependent"}
# Other traffic takes 20 ports a second between a prediction and its use.
SEQUENTIAL = {**_HARD, "allocation": "sequential", "delta": 1, "background": 20}
BLOCK = {**_HARD, "allocation": "block"}
RANDOM = {**_HARD, "allocation": "random"}
# Lets everybody in, but each answer to a new port leaves by a new one.
SHIFTING = {**RANDOM, "filtering": "endpoint-independent"}
# One port toward all ports of an address.
COUNTED = {"mapping": "address-dependent", "allocation": "sequential", "delta": 1}


class Punch(LabCase):
    def know_their_networks(self):
        """Both have measured: what `netcheck` finds is kept for the next connection."""
        for person in (self.alice, self.bob):
            self.assertEqual(person.run("netcheck").process.returncode, DONE)

    def send(self, *, arguments=()):
        """alice sends to bob; the sender, the receiver, and what both make of it."""
        path = self.make_file("f", 200_000)
        inbox = self.inbox()
        receiver = self.bob.receive(inbox, "--yes", "--once")
        sender = self.alice.send(path, "bob", *arguments)
        return sender, receiver, path, inbox / "f"

    def direct(self, *strategies, timeout=30):
        sender, receiver, sent, received = self.send()
        self.assert_exit(sender, DONE, timeout)
        self.assert_exit(receiver, DONE)
        self.assert_same_file(sent, received)
        for program in (sender, receiver):
            path = program.events_named("path")[-1]
            self.assertEqual((path["kind"], path["transport"]), ("direct", "udp"), path)
            self.assertIn(path["strategy"], strategies, program.transcript())
        return sender, receiver

    def test_sequential_ports_with_traffic_of_others(self):
        self.across_models(EASY, SEQUENTIAL)
        self.know_their_networks()
        self.direct("predict")

    def test_ports_of_a_block(self):
        self.across_models(EASY, BLOCK)
        self.know_their_networks()
        self.direct("predict", "birthday")

    def test_random_ports(self):
        self.across_models(EASY, RANDOM)
        self.know_their_networks()
        self.direct("birthday")

    def test_random_ports_at_the_caller(self):
        self.across_models(RANDOM, EASY)
        self.know_their_networks()
        self.direct("birthday")

    def test_sequential_ports_on_both_sides(self):
        self.across_models(SEQUENTIAL, SEQUENTIAL)
        self.know_their_networks()
        self.direct("predict", "birthday")

    def test_a_path_that_differs_by_direction(self):
        self.across_models(SHIFTING, SHIFTING)
        self.know_their_networks()
        self.direct("udp")

    def test_one_port_that_is_counted_out_and_random_ones(self):
        self.across_models(COUNTED, RANDOM)
        self.know_their_networks()
        self.direct("birthday")

    def test_random_ports_on_both_sides_have_no_path_and_say_why(self):
        self.across_models(RANDOM, RANDOM)
        self.know_their_networks()
        sender, receiver, _, received = self.send()
        error = self.assert_fails(sender, NO_PATH, timeout=45)
        self.assertIn("no path to bob: both networks give every connection a random port", error["message"])
        self.assertTrue(receiver.running, "a failed call must not end who waits for others")
        self.assertFalse(received.exists())

    def test_the_first_command_ever_behind_a_difficult_nat(self):
        self.across_models(SEQUENTIAL, EASY)
        self.direct("predict")

    def test_the_first_command_ever_towards_a_difficult_nat(self):
        self.across_models(EASY, SEQUENTIAL)
        self.direct("predict")

    def test_the_first_command_ever_between_two_difficult_nats(self):
        self.across_models(SEQUENTIAL, SEQUENTIAL)
        for program in self.direct("predict"):
            # The caller called again when its NAT was known: that is one call, whose last plan counts.
            self.assertEqual(len(program.events_named("connecting")), 1, program.transcript())
            self.assertEqual(program.events_named("error"), [], program.transcript())
            self.assertIn("predict", program.events_named("plan")[-1]["steps"])

    def test_who_waits_in_a_chat_does_not_hear_of_a_call_that_was_placed_again(self):
        self.across_models(SEQUENTIAL, EASY)
        bob = self.bob.start("chat", stdin=subprocess.PIPE)
        bob.wait_event("online")
        alice = self.alice.chat("bob")
        alice.say("hello")
        bob.wait_event("message", text="hello")
        self.assertEqual(len(bob.events_named("connecting")), 1, bob.transcript())
        self.assertEqual(bob.events_named("error"), [], bob.transcript())

    def test_a_strategy_that_is_switched_off_is_not_used(self):
        self.across_models(EASY, SEQUENTIAL)
        self.know_their_networks()
        sender, _, _, _ = self.send(arguments=["--without", "predict,birthday"])
        error = self.assert_fails(sender, NO_PATH, timeout=45)
        self.assertIn("--without predict", error["message"])

    def test_the_only_strategy_that_is_allowed(self):
        self.across_models(EASY, EASY)
        sender, receiver, _, _ = self.send(arguments=["--only", "udp"])
        self.assert_exit(sender, DONE)
        self.assertEqual(sender.events_named("path")[-1]["strategy"], "udp")
        self.assert_exit(self.alice.send(self.folder / "f", "bob", "--only", "portmap"), USAGE)


class Ping(LabCase):
    def test_round_trips_and_their_path(self):
        self.across()
        receiver = self.bob.receive(self.inbox(), "--yes")
        ping = self.alice.start("ping", "bob", "--count", "3")
        self.assert_exit(ping, DONE)
        answers = ping.events_named("pong")
        self.assertEqual(len(answers), 3)
        for answer in answers:
            self.assertGreater(answer["rtt_ms"], 4 * self.DELAY_MS - 1)
            self.assertLess(answer["rtt_ms"], 20 * self.DELAY_MS)
            self.assertIn("direct udp udp", answer["path"])
        self.assertTrue(receiver.running)
        self.assertEqual(receiver.events_named("error"), [])

    def test_who_is_pinged_goes_on_talking(self):
        self.across()
        bob = self.bob.chat("alice", "--wait")
        bob.wait_event("online")
        alice = self.alice.chat("bob", "--wait")
        alice.wait_event("connected")
        ping = self.alice.start("ping", "bob", "--until-direct", label="ping")
        self.assert_exit(ping, DONE)
        self.assertEqual(len(ping.events_named("pong")), 1)
        alice.say("still there?")
        bob.wait_event("message", text="still there?")

    def test_nobody_answers(self):
        self.across()
        self.assert_fails(self.alice.start("ping", "bob"), NO_PEER)
