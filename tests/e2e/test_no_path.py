"""Where no direct path exists, both sides are told so, soon, and why."""

from case import DONE, NO_PATH, LabCase


class NoPath(LabCase):
    def refuse(self, reason):
        receiver = self.bob.receive(self.inbox(), "--yes")
        sender = self.alice.send(self.make_file("f", 1000), "bob")
        error = self.assert_fails(sender, NO_PATH, timeout=45)
        self.assertRegex(error["message"], reason)
        self.assertTrue(error.get("hint"), "an error without a way out")
        self.assertIn("no path to alice: ", receiver.wait_event("error", code="no-path")["message"])
        self.assertTrue(receiver.running, "a failed call must not end who waits for others")
        self.assertEqual(list(self.inbox().iterdir()), [])

    def test_symmetric_to_symmetric(self):
        self.across("symmetric-tcp", "symmetric-tcp")
        self.refuse(r"bob.*(NAT|check|answer)")

    def test_udp_blocked_and_tcp_ports_unknown(self):
        self.start_server()
        self.meet(self.lab.add_side("a", "symmetric-tcp", self.DELAY_MS, block_udp=True),
                  self.lab.add_side("b", "symmetric-tcp", self.DELAY_MS))
        self.refuse(r"bob: UDP is blocked on this side, and no TCP connection could be made")

    def test_after_a_failed_call_another_succeeds(self):
        self.across("symmetric-tcp", "symmetric-tcp")
        receiver = self.bob.receive(self.inbox(), "--yes", "--once")
        self.assert_fails(self.alice.send(self.make_file("f", 1000), "bob"), NO_PATH, timeout=45)
        # bob waits on; alice moves to a network that works
        self.alice.host = self.lab.add_side("c", "public", self.DELAY_MS)
        self.assert_exit(self.alice.send(self.folder / "f", "bob"), DONE)
        self.assert_exit(receiver, DONE)
