"""Connections over TCP: when they are made, when not, and what the user may say about them."""

from case import DONE, NO_PATH, LabCase


class Tcp(LabCase):
    def path(self, program):
        path = program.wait_event("path") and program.events_named("path")[-1]
        return path["kind"], path["transport"], path["strategy"]

    def homes(self, blocked=False):
        self.start_server()
        self.meet(self.lab.add_side("a", "eim", self.DELAY_MS, block_udp=blocked),
                  self.lab.add_side("b", "eim", self.DELAY_MS))

    def test_only_tcp_though_udp_works(self):
        self.homes()
        sent = self.make_file("f", 2_000_000)
        receiver = self.bob.receive(self.inbox(), "--yes", "--once", "--only", "tcp")
        sender = self.alice.start("send", str(sent), "--to", "bob", "--only", "tcp")
        self.assert_exit(sender, DONE, timeout=30)
        self.assert_exit(receiver, DONE)
        self.assert_same_file(sent, self.inbox() / "f")
        self.assertEqual(self.path(sender), ("direct", "tcp", "tcp"))
        self.assertEqual(self.path(receiver), ("direct", "tcp", "tcp"))

    def test_udp_comes_first_where_it_works(self):
        self.homes()
        sender, receiver, _ = self.transfer(self.make_file("f", 300_000))
        for program in (sender, receiver):
            self.assertEqual(self.path(program), ("direct", "udp", "udp"))
            self.assertIn("tcp", program.events_named("plan")[-1]["steps"])

    def test_without_tcp_there_is_none(self):
        self.homes(blocked=True)
        self.bob.receive(self.inbox(), "--yes")
        sender = self.alice.start("send", str(self.make_file("f", 1000)), "--to", "bob", "--without", "tcp")
        error = self.assert_fails(sender, NO_PATH, timeout=30)
        self.assertIn("TCP is switched off here", error["message"])
        self.assertEqual(sender.events_named("path"), [])

    def test_a_peer_that_is_killed_is_noticed(self):
        self.homes(blocked=True)
        bob = self.bob.chat("alice", "--wait")
        bob.wait_event("online")
        alice = self.alice.chat("bob")
        alice.wait_event("connected")
        self.assertEqual(self.path(alice)[1], "tcp")
        bob.kill()
        alice.wait_event("error", timeout=40)
