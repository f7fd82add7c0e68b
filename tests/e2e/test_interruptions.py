"""What happens in the middle of a transfer: the server dies, a side is killed or interrupted, a disk is full."""

import shutil

from case import DONE, INTERRUPTED, REFUSED, TRANSFER_FAILED, LabCase


class Interruptions(LabCase):
    def start_transfer(self, size=12_000_000):
        """At 20 Mbit/s this takes about 5 s; returns as soon as bytes flow."""
        self.across_slow_links()
        self.sent = self.make_file("big", size)
        self.receiver = self.bob.receive(self.inbox(), "--yes", "--once")
        self.sender = self.alice.send(self.sent, "bob")
        for program in (self.sender, self.receiver):
            program.wait_until(lambda events: any(e["event"] == "progress" and e["bytes"] > 0 for e in events),
                               what="progress")

    def assert_nothing_under_the_final_name(self):
        self.assertFalse((self.inbox() / "big").exists(), "a half file under the final name")

    def test_the_server_dies(self):
        self.start_transfer()
        self.server.kill()
        self.assertTrue(self.sender.running)
        self.assert_exit(self.sender, DONE, 60)
        self.assert_exit(self.receiver, DONE)
        self.assert_same_file(self.sent, self.inbox() / "big")

    def test_the_receiver_is_killed(self):
        self.start_transfer()
        self.receiver.kill()
        error = self.assert_fails(self.sender, TRANSFER_FAILED, 60)
        self.assertIn("bob", error["message"])
        self.assert_nothing_under_the_final_name()

    def test_the_sender_is_killed(self):
        self.start_transfer()
        self.sender.kill()
        error = self.assert_fails(self.receiver, TRANSFER_FAILED, 60)
        self.assertIn("alice", error["message"])
        self.assert_nothing_under_the_final_name()

    def test_once_means_the_first_offer(self):
        self.start_transfer()
        second = self.alice.send(self.make_file("small", 10), "bob", label="alice's second offer")
        self.assert_fails(second, REFUSED)
        self.assert_exit(self.sender, DONE, 60)
        self.assert_exit(self.receiver, DONE)
        self.assert_same_file(self.sent, self.inbox() / "big")
        self.assertFalse((self.inbox() / "small").exists())

    def test_ctrl_c_at_the_sender(self):
        self.start_transfer()
        self.sender.interrupt()
        self.assert_exit(self.sender, INTERRUPTED)
        self.assert_fails(self.receiver, TRANSFER_FAILED)
        self.assert_nothing_under_the_final_name()

    def test_ctrl_c_at_the_receiver(self):
        self.start_transfer()
        self.receiver.interrupt()
        self.assert_exit(self.receiver, INTERRUPTED)
        self.assert_fails(self.sender, TRANSFER_FAILED)
        self.assert_nothing_under_the_final_name()

    def test_the_network_is_cut(self):
        self.start_transfer()
        self.lab.core.ip("link set dev nb down")
        for program in (self.sender, self.receiver):
            self.assertIn("trying", program.wait_event("path", kind="stalled")["reason"])
            self.assertTrue(program.running, "it may come back")
            program.interrupt()
            self.assert_exit(program, INTERRUPTED)
        self.assert_nothing_under_the_final_name()

    def test_the_network_is_cut_for_two_seconds(self):
        self.start_transfer()
        before = self.receiver.events_named("progress")[-1]["bytes"]
        cut = "table ip cut {\n chain forward {\n type filter hook forward priority 0\n drop\n }\n }\n"
        self.lab.core.nft(cut)
        with self.assertRaises(AssertionError):  # two seconds without a sign of the end on either side
            self.receiver.wait_event("error", timeout=2)
        self.lab.core.nft("delete table ip cut\n")
        self.assert_exit(self.sender, DONE, 60)
        self.assert_exit(self.receiver, DONE)
        self.assertLess(before, self.sent.stat().st_size)
        self.assert_same_file(self.sent, self.inbox() / "big")

    def test_the_disk_is_full(self):
        self.across()
        small = self.folder / "small-disk"
        self.mount_tmpfs(small, "4m")
        receiver = self.bob.receive(small, "--yes", "--once")
        sender = self.alice.send(self.make_file("big", 16_000_000), "bob")
        for program in (sender, receiver):
            error = self.assert_fails(program, TRANSFER_FAILED, 30)
            self.assertRegex(error["message"], r"(?i)space|full|room")
        self.assertFalse((small / "big").exists())
        self.assertLess(shutil.disk_usage(small).used, 1 << 20, "the half file still fills the disk")
