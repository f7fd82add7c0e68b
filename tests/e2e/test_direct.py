"""Two peers find each other and talk directly, wherever their NATs allow it."""

from case import DONE, LabCase

# Pairs of NATs between which a direct path exists without predicting ports.
_PAIRS = [
    ("eim", "eim"),
    ("eim-random", "eim"),
    ("eim-random", "eim-random"),
    ("adf", "eim-random"),
    ("fullcone", "eim"),
    ("fullcone", "symmetric"),
    ("symmetric", "fullcone"),
    ("symmetric", "adf"),
    ("public", "eim"),
    ("eim", "public"),
    ("public", "symmetric"),
    ("symmetric", "public"),
    ("public", "public"),
]


class Direct(LabCase):
    def talk(self, alice_sees, bob_sees):
        """A file and messages both ways; each side must see the other at the address given."""
        sent = self.make_file("photo.raw", 300_000)
        sender, receiver, inbox = self.transfer(sent)
        self.assert_same_file(sent, inbox / "photo.raw")
        self.assert_direct(sender, alice_sees)
        self.assert_direct(receiver, bob_sees)
        connected = sender.wait_event("connected", name="bob")
        self.assertEqual(connected["peer"], self.bob.id())
        self.assertGreater(connected["elapsed_ms"], 0)

        bob = self.bob.chat("alice", "--wait")
        bob.wait_event("online")
        alice = self.alice.chat("bob")
        alice.say("Grüße über zwei NATs")
        message = bob.wait_event("message")
        self.assertEqual((message["text"], message["name"]), ("Grüße über zwei NATs", "alice"))
        alice.wait_event("delivered", id=message["id"])
        bob.say("und zurück")
        self.assertEqual(alice.wait_event("message")["text"], "und zurück")
        self.assert_direct(alice, alice_sees)
        self.assert_direct(bob, bob_sees)
        alice.close_stdin()
        self.assert_exit(alice, DONE)

    def test_on_one_lan(self):
        self.start_server()
        nat = self.lab.add_nat("na", "symmetric", delay_ms=self.DELAY_MS)
        self.meet(nat.add_host("a"), nat.add_host("b"))
        self.talk(self.bob.host.address, self.alice.host.address)

    def test_with_the_same_private_address_on_both_sides(self):
        self.across("eim", "eim-random", lan="192.168.1.0/24")
        self.assertEqual(self.alice.host.address, self.bob.host.address)
        self.talk(self.bob.host.public, self.alice.host.public)


def _add(kind_a, kind_b):
    def test(self):
        self.across(kind_a, kind_b)
        self.talk(self.bob.host.public, self.alice.host.public)
    setattr(Direct, f"test_{kind_a}_to_{kind_b}".replace("-", "_"), test)


for _kind_a, _kind_b in _PAIRS:
    _add(_kind_a, _kind_b)
