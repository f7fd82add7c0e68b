"""The relay over TLS, where nothing else gets through: whose certificate is taken, and that others are refused."""

import os

import middlebox
from case import DONE, NO_PATH
from relay_case import WITHOUT_TCP, CoturnCase, RelayCase

NOT_NAMED = "not the one that the rendezvous server has named"


class RelayOverTls(RelayCase):
    """alice's network passes no UDP, and of TCP only TLS and what she says to the rendezvous server."""

    def behind_middlebox(self, certificate=None, **server):
        self.start_server(relay=True, **server)
        nat = self.lab.add_nat("na", "eim", self.DELAY_MS, block_udp=True)
        self.middlebox = middlebox.Middlebox(nat, self.lab.server, certificate=certificate)
        self.addCleanup(self.middlebox.close)
        self.meet(nat.add_host("a"), self.lab.add_side("b", "eim", self.DELAY_MS))

    def test_the_servers_own_certificate_is_known_from_signaling(self):
        self.behind_middlebox()
        sender, receiver = self.send_over()
        self.assert_relayed(sender.events_named("path")[-1], "tls")
        self.assert_relayed(receiver.events_named("path")[-1], "udp")
        self.assertGreater(self.middlebox.refused, 0, "plain TURN over TCP was never tried")

    def test_the_operators_certificate_is_known_from_signaling(self):
        certificate, key = self.make_certificate()
        self.behind_middlebox(arguments=["--tls-cert", certificate, "--tls-key", key])
        sender, _ = self.send_over()
        self.assert_relayed(sender.events_named("path")[-1], "tls")

    def test_a_man_in_the_middle_is_told_nothing(self):
        self.behind_middlebox(certificate=self.make_certificate())
        self.bob.receive(self.inbox(), "--yes", *WITHOUT_TCP)
        sender = self.alice.send(self.make_file("f", 1000), "bob", *WITHOUT_TCP)
        self.assert_fails(sender, NO_PATH, timeout=45)
        self.assertTrue(any(NOT_NAMED in line for line in sender.errors), sender.transcript())
        self.assertGreater(self.middlebox.handshakes, 0)
        self.assertEqual(self.middlebox.overheard, b"")

    def test_netcheck_says_why_a_relay_is_refused(self):
        self.behind_middlebox(certificate=self.make_certificate())
        netcheck = self.alice.run("netcheck", timeout=30)
        self.assertEqual(netcheck.process.returncode, DONE, netcheck.transcript())
        relay, = netcheck.events_named("netcheck")[-1]["relays"]
        self.assertIsNone(relay["rtt_ms"])
        self.assertIn(NOT_NAMED, relay["refused"])

    def test_a_session_lives_through_a_server_that_comes_back_with_another_certificate(self):
        self.behind_middlebox()
        self.bob.receive(self.inbox(), "--yes", *WITHOUT_TCP)
        ping = self.alice.start("ping", "bob", "--count", "100", *WITHOUT_TCP)
        ping.wait_event("pong")
        self.server.stop()
        self.start_server(relay=True)
        answered = len(ping.events_named("pong"))
        ping.wait_until(lambda events: [event["event"] for event in events].count("pong") > answered + 3, 40,
                        "round trips over the relay that came back")
        self.assert_relayed(ping.events_named("path")[-1], "tls")

    def test_bind_holds_for_the_relay_too(self):
        self.behind_middlebox()
        second = self.alice.host.address.rpartition(".")[0] + ".77"
        self.alice.host.namespace.ip(f"address add {second}/24 dev eth0")
        sender, _ = self.send_over("--bind", second, *WITHOUT_TCP)
        self.assert_relayed(sender.events_named("path")[-1], "tls")
        self.assertEqual(self.middlebox.sources, {second})


class CoturnOverTls(CoturnCase):
    """Somebody else's relay, of which nothing but its address is known: authorities vouch for its certificate, or do not."""

    def across_coturn_by_tls(self):
        certificate, key = self.make_certificate()
        self.across_coturn("turns:{}:3501", "--tls-listening-port=3501", f"--cert={certificate}", f"--pkey={key}",
                           block_udp=True)
        return certificate

    def test_by_tls(self):
        trusting = {**os.environ, "SSL_CERT_FILE": str(self.across_coturn_by_tls())}
        path, inbox = self.make_file("f", 300_000), self.inbox()
        receiver = self.bob.receive(inbox, "--yes", "--once", *WITHOUT_TCP, environment=trusting)
        sender = self.alice.send(path, "bob", *WITHOUT_TCP, environment=trusting)
        for program in (sender, receiver):
            self.assert_exit(program, DONE, 30)
            self.assert_relayed(program.events_named("path")[-1], "tls")
        self.assert_same_file(path, inbox / "f")

    def test_nobody_vouches_for_it(self):
        self.across_coturn_by_tls()
        self.bob.receive(self.inbox(), "--yes", *WITHOUT_TCP)
        sender = self.alice.send(self.make_file("f", 1000), "bob", *WITHOUT_TCP)
        self.assert_fails(sender, NO_PATH, timeout=45)
        self.assertTrue(any("nobody vouches for its certificate" in line for line in sender.errors), sender.transcript())
