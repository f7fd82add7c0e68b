"""Who one is, whom one knows, and which server one trusts."""

import os
import stat

from case import DONE, NO_PEER, NO_SERVER, USAGE, WRONG_IDENTITY, LabCase


class Identity(LabCase):
    def setUp(self):
        super().setUp()
        self.lab.add_server()
        self.alice = self.person("alice", self.lab.add_side("a", "public"))

    def test_is_made_once_and_private(self):
        first = self.alice.run("id")
        self.assert_exit(first, DONE)
        event = first.wait_event("id")
        self.assertTrue(event["id"] and event["fingerprint"])
        self.assertEqual(self.alice.id(), event["id"])
        self.assertEqual(stat.S_IMODE(os.stat(self.alice.home).st_mode) & 0o077, 0)
        for path in self.alice.home.rglob("*"):
            if path.is_file():
                self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600, path)

    def test_two_homes_are_two_people(self):
        self.assertNotEqual(self.alice.id(), self.person("bob", self.alice.host).id())

    def test_contacts_round_trip(self):
        bob = self.person("bob", self.alice.host).id()

        def known():
            program = self.alice.run("contacts", "list")
            self.assert_exit(program, DONE)
            return [(event["name"], event["id"]) for event in program.events_named("contact")]

        self.assertEqual(known(), [])
        self.assert_exit(self.alice.run("contacts", "add", "bob", bob), DONE)
        self.assertEqual(known(), [("bob", bob)])
        self.assert_exit(self.alice.run("contacts", "rename", "bob", "robert"), DONE)
        self.assertEqual(known(), [("robert", bob)])
        self.assert_exit(self.alice.run("contacts", "remove", "robert"), DONE)
        self.assertEqual(known(), [])

    def test_a_wrong_id_is_refused_when_it_is_added(self):
        bob = self.person("bob", self.alice.host).id()
        wrong = ("b" if bob[0] == "a" else "a") + bob[1:-1]
        self.assertNotEqual(self.alice.run("contacts", "add", "bob", wrong).process.returncode, DONE)

    def test_unknown_contact(self):
        error = self.assert_fails(self.alice.send(self.make_file("f", 10), "nobody"), NO_PEER)
        self.assertIn("nobody", error["message"])

    def test_wrong_usage(self):
        self.assert_exit(self.alice.run("send"), USAGE)
        self.assert_exit(self.alice.run("no-such-command"), USAGE)


class ServerIdentity(LabCase):
    def setUp(self):
        super().setUp()
        self.start_server()
        self.meet(self.lab.add_side("a", "public"), self.lab.add_side("b", "public"))

    def test_is_pinned_on_first_use_and_a_changed_key_is_refused(self):
        first = self.alice.receive(self.inbox(), "--yes")
        first.stop()
        self.server.stop()
        self.start_server("another-server")
        error = self.assert_fails(self.alice.start("receive", "--into", self.inbox()), WRONG_IDENTITY)
        self.assertIn("key", error["message"])
        self.assertTrue(error["hint"], "says nothing of what to do")

    def test_survives_a_restart_of_the_server(self):
        self.alice.receive(self.inbox(), "--yes").stop()
        key = self.server.key
        self.server.stop()
        self.assertEqual(self.start_server().key, key)
        self.alice.receive(self.inbox(), "--yes")

    def test_can_be_pinned_beforehand(self):
        address = self.alice.server
        self.alice.server = f"{address}/{self.server.key}"
        self.alice.receive(self.inbox(), "--yes")
        self.bob.server = f"{address}/{self.alice.id()}"  # a valid key, of someone else
        self.assert_fails(self.bob.start("receive", "--into", self.inbox()), WRONG_IDENTITY)

    def test_is_remembered(self):
        self.alice.receive(self.inbox(), "--yes").stop()
        self.alice.server = None
        self.alice.receive(self.inbox(), "--yes")


class ServerAbsent(LabCase):
    def setUp(self):
        super().setUp()
        self.lab.add_server()
        self.meet(self.lab.add_side("a", "public"), self.lab.add_side("b", "public"))

    def test_nothing_listens(self):
        error = self.assert_fails(self.alice.send(self.make_file("f", 10), "bob"), NO_SERVER)
        self.assertIn("203.0.113.10", error["message"])

    def test_nothing_answers(self):
        self.lab.server.namespace.nft("table ip f {\n chain i {\n type filter hook input priority 0\n drop\n }\n }\n")
        self.assert_fails(self.alice.send(self.make_file("f", 10), "bob"), NO_SERVER, timeout=45)
