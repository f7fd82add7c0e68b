"""Chat: piped, both ways, beside a file, and when the other side goes."""

from case import DONE, INTERRUPTED, LabCase


class Chat(LabCase):
    def test_a_pipe_ends_when_everything_is_delivered(self):
        self.across()
        bob = self.bob.chat("alice", "--wait")
        bob.wait_event("online")
        alice = self.alice.chat("bob")
        lines = [f"line {number}" for number in range(200)]
        for line in lines:
            alice.say(line)
        alice.close_stdin()
        self.assert_exit(alice, DONE, 30)
        self.assertEqual([event["text"] for event in bob.events_named("message")], lines)
        self.assertEqual({event["id"] for event in alice.events_named("delivered")},
                         {event["id"] for event in bob.events_named("message")})

    def test_an_oversized_line_does_not_end_the_conversation(self):
        self.across()
        bob = self.bob.chat("alice", "--wait")
        bob.wait_event("online")
        alice = self.alice.chat("bob", "--wait")
        alice.say("x" * 1_000_000)
        alice.say("after")
        bob.wait_event("message", text="after")
        self.assertEqual(len(alice.events_named("error")), 1)

    def test_more_than_a_megabyte_through_a_pipe(self):
        self.across()
        bob = self.bob.chat("alice", "--wait")
        bob.wait_event("online")
        alice = self.alice.chat("bob")
        lines = [f"{number:03}" + "x" * 12_000 for number in range(150)]
        for line in lines:
            alice.say(line)
        alice.close_stdin()
        self.assert_exit(alice, DONE, 30)
        self.assertEqual([event["text"] for event in bob.events_named("message")], lines)

    def test_overtakes_a_file(self):
        self.across_slow_links()
        bob_chat = self.bob.chat("alice", "--wait", label="bob's chat")
        bob_chat.wait_event("online")
        self.bob.receive(self.inbox(), "--yes", "--once", label="bob's receive")
        sent = self.make_file("f", 12_000_000)
        sender = self.alice.send(sent, "bob", label="alice's send")
        sender.wait_until(lambda events: any(event["event"] == "progress" and event["bytes"] > 0 for event in events))
        alice_chat = self.alice.chat("bob", label="alice's chat")
        alice_chat.say("are you there?")
        bob_chat.wait_event("message", text="are you there?")
        self.assertTrue(sender.running, "the file was faster than the link allows")
        self.assert_exit(sender, DONE, 60)
        self.assert_same_file(sent, self.inbox() / "f")

    def test_notices_that_the_other_side_vanished(self):
        self.across()
        bob = self.bob.chat("alice", "--wait")
        bob.wait_event("online")
        alice = self.alice.chat("bob")
        alice.say("hello")
        bob.wait_event("message")
        bob.kill()
        self.assertNotEqual(alice.wait_exit(60), DONE)
        self.assertIn("bob", alice.events_named("error")[-1]["message"])

    def test_leaving_by_ctrl_c_is_no_error_for_who_waits(self):
        self.across()
        bob = self.bob.chat("alice", "--wait")
        bob.wait_event("online")
        alice = self.alice.chat("bob")
        alice.say("hello")
        bob.wait_event("message", text="hello")
        alice.interrupt()
        self.assert_exit(alice, INTERRUPTED)
        # bob is still there for the next call, and nothing of the first one was reported as an error
        before = len(bob.events)
        again = self.alice.chat("bob")
        again.say("back")
        again.close_stdin()
        self.assert_exit(again, DONE)
        bob.wait_event("message", text="back", after=before)
        self.assertEqual([e for e in bob.events_named("error") if e["code"] != "peer-offline"], [])

    def test_ctrl_c(self):
        self.across()
        bob = self.bob.chat("alice", "--wait")
        bob.wait_event("online")
        bob.interrupt()
        self.assert_exit(bob, INTERRUPTED)
