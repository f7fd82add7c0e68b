"""The relay: first where a direct path comes later, only where there is none, over UDP, TCP and TLS, and coturn's."""

import itertools

import netlab
from case import DONE, NO_PATH
from relay_case import WITHOUT_TCP, CoturnCase, RelayCase

RANDOM = {"mapping": "address-and-port-dependent", "allocation": "random"}
EASY = {}


class Relay(RelayCase):
    def test_two_nats_with_random_ports_meet_at_the_relay(self):
        self.across("symmetric", "symmetric", relay=True)
        for program in self.send_over():
            self.assert_relayed(program.events_named("path")[-1])

    def test_the_relay_is_first_and_the_direct_path_follows(self):
        self.across_models(EASY, RANDOM, relay=True)
        for person in (self.alice, self.bob):
            self.assertEqual(person.run("netcheck").process.returncode, DONE)
        receiver = self.bob.receive(self.inbox(), "--yes")
        ping = self.alice.start("ping", "bob", "--until-direct")
        self.assert_exit(ping, DONE, 30)
        paths = ping.events_named("path")
        self.assert_relayed(paths[0])
        self.assertEqual((paths[-1]["kind"], paths[-1]["strategy"]), ("direct", "birthday"), ping.transcript())
        self.assertIn("relay udp relay", ping.events_named("pong")[0]["path"])
        self.assertIn("direct udp birthday", ping.events_named("pong")[-1]["path"])
        self.assertTrue(receiver.running)

    def test_ping_shows_the_relay_the_direct_path_and_the_relay_again_when_that_dies(self):
        self.across_models(EASY, EASY, relay=True)
        self.bob.receive(self.inbox(), "--yes")
        self.box.command("cut home office")
        ping = self.alice.start("ping", "bob", "--count", "60")
        self.await_answer(ping, "relay")
        self.box.command("restore home office")
        self.await_answer(ping, "direct", 40)
        self.box.command("cut home office")
        self.await_answer(ping, "relay")
        paths = ping.events_named("path")
        self.assertEqual([kind for kind, _ in itertools.groupby(path["kind"] for path in paths)],
                         ["relay", "direct", "relay"], ping.transcript())
        self.assertIn("path silent", [path["reason"] for path in paths])

    def await_answer(self, ping, kind, timeout=15):
        """A round trip from now on that went over a path of that kind."""
        before = len(ping.events)
        ping.wait_until(lambda events: any(event["event"] == "pong" and event["path"].startswith(kind)
                                           for event in events[before:]), timeout, f"a round trip, {kind}")

    def test_nothing_but_the_relay_when_it_is_all_that_is_allowed(self):
        self.across(relay=True)
        for program in self.send_over("--only", "relay"):
            self.assertEqual({path["kind"] for path in program.events_named("path")}, {"relay"}, program.transcript())

    def test_no_relay_when_it_is_not_allowed(self):
        self.across("symmetric", "symmetric", relay=True)
        self.bob.receive(self.inbox(), "--yes", "--without", "relay,tcp")
        sender = self.alice.send(self.make_file("f", 1000), "bob", "--without", "relay,tcp")
        self.assert_fails(sender, NO_PATH, timeout=45)

    def blocked(self, *sides, **server):
        self.start_server(relay=True, **server)
        hosts = [self.lab.add_side(name, "eim", self.DELAY_MS, block_udp=name in sides) for name in ("a", "b")]
        self.meet(*hosts)

    def test_without_udp_at_one_side(self):
        self.blocked("a")
        sender, receiver = self.send_over()
        self.assert_relayed(sender.events_named("path")[-1], "tcp")
        self.assert_relayed(receiver.events_named("path")[-1], "udp")

    def test_without_udp_at_both_sides(self):
        self.blocked("a", "b")
        for program in self.send_over():
            self.assert_relayed(program.events_named("path")[-1], "tcp")

    def test_netcheck_shows_the_relay_and_its_round_trip(self):
        self.start_server(relay=True)
        alice = self.person("alice", self.lab.add_side("a", "symmetric", self.DELAY_MS))
        netcheck = alice.start("netcheck", "--no-tcp")
        self.assert_exit(netcheck, DONE)
        relay, = netcheck.events_named("netcheck")[-1]["relays"]
        self.assertEqual(relay["url"], f"turn:{self.lab.server.address}:3478?transport=udp")
        self.assertGreater(relay["rtt_ms"], 2 * self.DELAY_MS - 1)
        self.assertLess(relay["rtt_ms"], 20 * self.DELAY_MS)

    def test_the_first_path_carries_data_within_two_round_trips(self):
        # A long way, so that what a busy machine adds is little beside a round trip.
        self.across("symmetric", "symmetric", relay=True, delay_ms=50)
        self.bob.receive(self.inbox(), "--yes")
        ping = self.alice.start("ping", "bob", "--count", "1")
        self.assert_exit(ping, DONE)
        path = ping.events_named("path")[0]
        self.assert_relayed(path)
        self.assertGreater(path["rtt_ms"], 199)
        connected = ping.events_named("connected")[0]["elapsed_ms"]
        self.assertLess(connected - path["elapsed_ms"], 2 * path["rtt_ms"], ping.transcript())


class ShortLifetimes(RelayCase):
    """A relay that keeps nothing for long. Permissions and channels stay as RFC 8656 has them, since no answer says how
    long they last and clients rely on it; hours of those are among the unit tests, where time is virtual."""

    ARGUMENTS = ("--allocation-lifetime", "3", "--nonce-lifetime", "4")

    def through(self, *arguments):
        """A file that takes longer than everything that was granted at its start."""
        path = self.make_file("f", 2_500_000)
        inbox = self.inbox()
        receiver = self.bob.receive(inbox, "--yes", "--once", *arguments)
        sender = self.alice.send(path, "bob", *arguments)
        self.assert_exit(sender, DONE, 60)
        self.assert_exit(receiver, DONE)
        self.assert_same_file(path, inbox / "f")
        for program in (sender, receiver):
            paths = program.events_named("path")
            self.assertEqual({event["kind"] for event in paths}, {"relay"}, program.transcript())
            # An allocation that had ended would have taken its path with it.
            self.assertLess(paths[-1]["seen_at"] - paths[0]["seen_at"], 3, program.transcript())
        self.assertGreater(sender.events[-1]["seen_at"] - sender.events_named("path")[0]["seen_at"], 9)

    def meet_by_slow_links(self, **options):
        self.start_server(relay=True, arguments=self.ARGUMENTS)
        link = netlab.DelayLink(self.DELAY_MS, 2, queue_bytes=30_000)
        self.meet(*(self.lab.add_nat(f"n{name}", "eim", link=link, **options).add_host(name) for name in ("a", "b")))

    def test_a_transfer_outlives_its_allocations(self):
        self.meet_by_slow_links()
        self.through("--only", "relay")

    def test_a_transfer_over_tcp_outlives_its_allocations(self):
        self.meet_by_slow_links(block_udp=True)
        self.through("--only", "relay")


class Coturn(CoturnCase):
    """The same peers with somebody else's relay."""

    def test_by_udp(self):
        self.across_coturn("turn:{}:3500?transport=udp", "--no-tls")
        for program in self.send_over():
            self.assert_relayed(program.events_named("path")[-1])

    def test_by_tcp(self):
        self.across_coturn("turn:{}:3500?transport=tcp", "--no-tls", block_udp=True)
        for program in self.send_over():
            self.assert_relayed(program.events_named("path")[-1], "tcp")

    def test_the_next_relay_is_taken_when_one_dies(self):
        urls = [word for port in (3500, 3600) for word in ("--turn", f"turn:{{server}}:{port}")]
        self.across_models(RANDOM, RANDOM, arguments=[*urls, "--turn-secret", "north"])
        # Which one is in use shows in the ports that it gives.
        relays = {port: self.start_coturn("--no-tls", f"--min-port={port * 10}", f"--max-port={port * 10 + 999}", port=port)
                  for port in (3500, 3600)}
        self.bob.receive(self.inbox(), "--yes", *WITHOUT_TCP)
        ping = self.alice.start("ping", "bob", "--count", "60", *WITHOUT_TCP)
        ping.wait_event("pong")
        dead = min(self.relays_of(ping.events_named("path")[-1]))
        relays[dead].kill()

        def moved(events):
            paths = [event for event in events if event["event"] == "path"]
            return paths[-1]["kind"] == "relay" and dead not in self.relays_of(paths[-1])
        ping.wait_until(moved, 40, "a path over the other relay")
        answered = len(ping.events_named("pong"))
        ping.wait_until(lambda events: [event["event"] for event in events].count("pong") > answered, 10,
                        "a round trip over the other relay")

    def relays_of(self, path):
        ends = [path[end].rpartition(":") for end in ("local", "remote")]
        return {int(port) // 1000 * 100 for address, _, port in ends if address == self.lab.server.address}
