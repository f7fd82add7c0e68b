"""A peer knows where it stands: `pinhole netcheck`, and what follows a change of the network."""

import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys
import time

from case import DONE, INTERRUPTED, NO_SERVER, USAGE, LabCase

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "interop"))

import kernel_nats
import netlab
import servers

FAILURE = 1
FIRST_MS, COMPLETE_MS = 1000, 6000

_FIELDS = {"udp", "tcp", "local", "ipv6", "gateway", "relays", "class", "summary"}
_PROTOCOL_FIELDS = {"open", "mapping", "filtering", "allocation", "delta", "block", "rate", "hairpin", "lifetime_s",
                    "reflexive"}
_CLASSES = {"public": "O", "eim": "E", "eim-random": "E", "fullcone": "O", "adf": "E+", "symmetric": "R",
            "sequential": "S", "chunked": "C"}
# Counts what a host asks STUN servers; signaling and netcheck over TCP are not in it.
_STUN_COUNTER = """
table inet probe {
  counter stun {
  }
  chain out {
    type filter hook output priority 0
    udp dport { 3478, 3479 } counter name stun
  }
}
"""


class Netcheck(LabCase):
    DELAY_MS = 20

    def serve(self, alternate=True):
        self.lab.add_server(alternate=alternate)
        self.start_server(arguments=("--alternate", self.lab.server.alternate) if alternate else ())

    def check(self, person, *arguments):
        """Runs netcheck; its first and its complete answer, both whole and in time."""
        program = person.start("netcheck", *arguments)
        self.assert_exit(program, DONE)
        return self.answers(program)

    def answers(self, program, after=0):
        first = program.wait_event("netcheck", after=after, complete=False)
        complete = program.wait_event("netcheck", after=after, complete=True)
        for event in (first, complete):
            self.assertLessEqual(_FIELDS, event.keys())
            for protocol in ("udp", "tcp"):
                self.assertLessEqual(_PROTOCOL_FIELDS, event[protocol].keys())
        return first, complete

    def assert_in_time(self, first, complete):
        self.assertLess(first["elapsed_ms"], FIRST_MS)
        self.assertLess(complete["elapsed_ms"], COMPLETE_MS)

    def assert_verdict(self, host, kind, **options):
        person = self.person("alice", host)
        first, complete = self.check(person)
        self.assert_in_time(first, complete)
        truth = kernel_nats.KINDS[kind].truth
        udp, tcp = complete["udp"], complete["tcp"]
        self.assertEqual((udp["open"], udp["mapping"], udp["filtering"]), (True, truth.mapping, truth.filtering))
        self.assertEqual((tcp["open"], tcp["mapping"]), (True, truth.tcp_mapping))
        self.assertEqual(udp["reflexive"].rpartition(":")[0], host.public)
        self.assertEqual(tcp["reflexive"].rpartition(":")[0], host.public)
        if kind != netlab.PUBLIC:
            self.assertEqual(udp["allocation"], truth.allocation)
            self.assertEqual(udp["delta"], truth.delta)
        if truth.hairpin is not None:
            self.assertEqual(udp["hairpin"], truth.hairpin)
        self.assertEqual(complete["class"], _CLASSES[kind])
        self.assertEqual(complete["local"], [host.address])
        self.assertEqual((complete["ipv6"], complete["gateway"], complete["relays"]), (None, None, []))
        self.assertGreater(complete["rtt_ms"], 2 * self.DELAY_MS - 1)
        self.assertTrue(complete["summary"])

    # --- what cannot be measured -----------------------------------------------------------------------------------

    def test_udp_blocked(self):
        self.serve()
        alice = self.person("alice", self.lab.add_side("a", "eim", self.DELAY_MS, block_udp=True))
        first, complete = self.check(alice)
        self.assert_in_time(first, complete)
        self.assertEqual((complete["udp"]["open"], complete["tcp"]["open"], complete["class"]), (False, True, "B"))
        self.assertIsNone(complete["udp"]["reflexive"])

    def test_tcp_blocked(self):
        self.serve()
        router = self.lab.add_nat("na", "eim", self.DELAY_MS, limits=kernel_nats.Limits(blocked=("tcp",)))
        first, complete = self.check(self.person("alice", router.add_host("a")))
        self.assert_in_time(first, complete)
        self.assertEqual((complete["udp"]["open"], complete["tcp"]["open"]), (True, False))
        self.assertEqual(complete["udp"]["mapping"], "endpoint-independent")

    def test_a_server_with_one_address_cannot_tell_everything(self):
        self.serve(alternate=False)
        _, complete = self.check(self.person("alice", self.lab.add_side("a", "eim", self.DELAY_MS)))
        self.assertEqual((complete["udp"]["open"], complete["udp"]["filtering"]), (True, "unknown"))
        self.assertTrue([note for note in complete["notes"] if "address" in note], complete["notes"])

    def test_without_tcp(self):
        self.serve()
        _, complete = self.check(self.person("alice", self.lab.add_side("a", "eim", self.DELAY_MS)), "--no-tcp")
        self.assertEqual((complete["udp"]["mapping"], complete["tcp"]["mapping"]), ("endpoint-independent", "unknown"))
        self.assertIsNone(complete["tcp"]["open"])

    def test_nobody_answers(self):
        self.lab.add_server()
        alice = self.person("alice", self.lab.add_side("a", "eim", self.DELAY_MS), server="203.0.113.77")
        program = alice.start("netcheck")
        error = self.assert_fails(program, NO_SERVER)
        self.assertIn("203.0.113.77", error["message"])
        self.assertLess(error["seen_at"], COMPLETE_MS / 1000)

    def test_usage(self):
        host = self.lab.add_side("a", netlab.PUBLIC)
        alice = self.person("alice", host, server=None)
        self.assert_fails(alice.start("netcheck"), USAGE)
        for wrong in (("--stun", ":1"), ("--lifetime", "soon")):
            self.assert_exit(alice.start("netcheck", *wrong), USAGE)
        error = self.assert_fails(alice.start("--bind", "192.0.2.77", "netcheck", "--stun", "192.0.2.1"), FAILURE)
        self.assertIn("192.0.2.77", error["message"])

    # --- against which server --------------------------------------------------------------------------------------

    def test_against_coturn(self):
        if not shutil.which(servers.Coturn.program):
            self.skipTest("coturn is not installed")
        server = servers.Coturn(self.lab.add_server(alternate=True), self.folder / "coturn")
        self.addCleanup(server.stop)
        alice = self.person("alice", self.lab.add_side("a", "adf", self.DELAY_MS), server=None)
        first, complete = self.check(alice, "--stun", server.address)
        self.assert_in_time(first, complete)
        udp = complete["udp"]
        self.assertEqual((udp["mapping"], udp["filtering"]), ("endpoint-independent", "address-dependent"))
        self.assertEqual(complete["server"], f"{server.address}:3478")

    def test_over_both_families(self):
        self.serve()
        host = self.lab.add_side("a", netlab.PUBLIC, self.DELAY_MS)
        self.lab.core.sysctl(**{"net/ipv6/conf/all/forwarding": 1})
        self.lab.core.ip("address add 2001:db8:1::1/64 dev server nodad", "address add 2001:db8:2::1/64 dev a nodad")
        self.lab.server.namespace.ip("address add 2001:db8:1::10/64 dev wan nodad",
                                     "route add default via 2001:db8:1::1")
        host.namespace.ip("address add 2001:db8:2::2/64 dev wan nodad", "route add default via 2001:db8:2::1")
        self.name_hosts({"rendezvous.test": ("2001:db8:1::10", netlab.SERVER_ADDRESS)})
        _, complete = self.check(self.person("alice", host, server="rendezvous.test"))
        self.assertEqual((complete["ipv6"], complete["udp"]["open"], complete["class"]), (True, True, "O"))
        self.assertTrue(complete["reflexive_v6"].startswith("[2001:db8:2::2]:"), complete["reflexive_v6"])
        self.assertEqual(complete["local"], [host.address, "2001:db8:2::2"])

    def name_hosts(self, names):
        """What the resolver says in this sandbox."""
        hosts = self.folder / "hosts"
        hosts.write_text("".join(f"{address} {name}\n" for name, addresses in names.items() for address in addresses))
        subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)
        self.addCleanup(subprocess.run, ["umount", "--lazy", "/etc/hosts"], check=True)

    def test_the_life_of_a_mapping(self):
        self.serve()
        router = self.lab.add_nat("na", "eim", self.DELAY_MS, limits=kernel_nats.Limits(udp_timeout_s=12))
        program = self.person("alice", router.add_host("a")).start("netcheck", "--lifetime", "15s")
        complete = program.wait_event("netcheck", complete=True, timeout=40)
        self.assert_exit(program, DONE)
        self.assertEqual(complete["udp"]["lifetime_s"], 10)

    # --- for people ------------------------------------------------------------------------------------------------

    def test_the_screen(self):
        self.serve()
        host = self.lab.add_side("a", "eim", self.DELAY_MS)
        program = subprocess.Popen(
            host.namespace.command([self.binaries.find("pinhole"), "--home", self.folder / "home", "--server",
                                    netlab.SERVER_ADDRESS, "netcheck"]),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        began = time.monotonic()
        first = program.stdout.readline()
        self.assertLess(time.monotonic() - began, FIRST_MS / 1000)
        self.assertIn(host.public, first)
        screen, errors = program.communicate(timeout=15)
        self.assertEqual((program.returncode, errors), (DONE, ""))
        for words in ("Direct connections", "Class          E\n", f"This machine   {host.address}\n",
                      f"{netlab.SERVER_ADDRESS}:3478, round trip 4", "Relays         none offered", "Notes          "):
            self.assertIn(words, screen)
        self.assertLessEqual(max(map(len, screen.splitlines())), 80)

    # --- the network changes ---------------------------------------------------------------------------------------

    def move(self, host, router):
        """The machine leaves its network for another: a second interface comes up, the first one goes down."""
        address = router.next_address()
        router.namespace.ip("link add moved type veth peer name eth1 netns " + host.namespace.name)
        router.namespace.ip("link set moved master lan up")
        host.namespace.ip("link set eth0 down", f"address add {router.with_prefix(address)} dev eth1",
                          "link set eth1 up", f"route replace default via {router.gateway}")
        return address

    def test_watching_sees_a_new_network(self):
        self.serve()
        host = self.lab.add_side("a", "eim", self.DELAY_MS)
        other = self.lab.add_nat("nb", "symmetric", self.DELAY_MS)
        program = self.person("alice", host).start("netcheck", "--watch")
        _, before = self.answers(program)
        self.assertEqual(before["class"], "E")
        position = len(program.events)
        moved_at = time.monotonic() - program.started
        address = self.move(host, other)
        first = program.wait_event("netcheck", after=position, local=[address])
        self.assertLess(first["seen_at"] - moved_at, 2.5)
        after = program.wait_event("netcheck", after=position, local=[address], complete=True)
        self.assertEqual((after["class"], after["udp"]["reflexive"].rpartition(":")[0]), ("R", other.public))
        program.interrupt()
        self.assert_exit(program, INTERRUPTED)

    def test_one_who_waits_stays_callable_after_moving(self):
        self.serve()
        self.meet(self.lab.add_side("a", "eim", self.DELAY_MS), self.lab.add_side("b", "eim", self.DELAY_MS))
        other = self.lab.add_nat("nc", "eim-random", self.DELAY_MS)
        receiver = self.bob.receive(self.inbox(), "--yes")
        position = len(receiver.events)
        moved_at = time.monotonic() - receiver.started
        self.move(self.bob.host, other)
        online = receiver.wait_event("online", after=position)
        self.assertLess(online["seen_at"] - moved_at, 5)
        self.assertEqual(online["reflexive"].rpartition(":")[0], other.public)
        sent = self.make_file("f", 100_000)
        sender = self.alice.send(sent, "bob")
        self.assert_exit(sender, DONE)
        self.assert_direct(sender, other.public)
        self.assert_same_file(sent, self.inbox() / "f")

    def test_one_who_waits_stays_callable_at_another_address(self):
        self.serve()
        self.meet(self.lab.add_side("a", "eim", self.DELAY_MS), self.lab.add_side("b", "eim", self.DELAY_MS))
        receiver = self.bob.receive(self.inbox(), "--yes")
        position = len(receiver.events)
        host = self.bob.host
        address, _, last = host.address.rpartition(".")
        host.namespace.ip(f"address del {host.address}/24 dev eth0", f"address add {address}.{int(last) + 50}/24 dev eth0",
                          f"route replace default via {address}.1")
        receiver.wait_event("online", after=position, timeout=5)
        sent = self.make_file("f", 100_000)
        self.assert_exit(self.alice.send(sent, "bob"), DONE)
        self.assert_same_file(sent, self.inbox() / "f")

    # --- in the background -----------------------------------------------------------------------------------------

    def questions(self, host):
        listing = host.namespace.run(["nft", "list", "counter", "inet", "probe", "stun"])
        return int(re.search(r"packets (\d+)", listing)[1])

    def reports(self, person):
        """How many reports its database holds."""
        with sqlite3.connect(f"file:{person.home}/pinhole.db?mode=ro", uri=True) as database:
            return database.execute("SELECT count(*) FROM net_reports").fetchone()[0]

    def await_condition(self, condition, timeout, what):
        deadline = time.monotonic() + timeout
        while not condition():
            self.assertLess(time.monotonic(), deadline, f"no {what} within {timeout} s")
            time.sleep(0.05)

    def test_one_who_waits_measures_once_and_the_next_one_not_again(self):
        self.serve()
        bob = self.person("bob", self.lab.add_side("b", "eim", self.DELAY_MS))
        bob.host.namespace.nft(_STUN_COUNTER)
        receiver = bob.receive(self.inbox())
        self.await_condition(lambda: self.reports(bob) == 1, 10, "report in the database")
        measured = self.questions(bob.host)
        self.assertGreater(measured, 20)
        receiver.interrupt()
        self.assert_exit(receiver, INTERRUPTED)
        receiver = bob.receive(self.inbox())
        with self.assertRaises(AssertionError):  # time enough to begin, if it wanted to
            receiver.wait_exit(3)
        self.assertLess(self.questions(bob.host) - measured, 5)

    def test_netcheck_fills_the_cache_for_other_commands(self):
        self.serve()
        bob = self.person("bob", self.lab.add_side("b", "eim", self.DELAY_MS))
        self.check(bob)
        self.assertEqual(self.reports(bob), 1)

    # --- the end ---------------------------------------------------------------------------------------------------

    def test_ctrl_c_in_the_middle_leaves_nothing(self):
        self.serve()
        host = self.lab.add_side("a", "symmetric", self.DELAY_MS)
        program = self.person("alice", host).start("netcheck")
        program.wait_event("netcheck", complete=False)
        asked_at = time.monotonic()
        program.interrupt()
        self.assert_exit(program, INTERRUPTED)
        self.assertLess(time.monotonic() - asked_at, 1)
        self.assertEqual(host.namespace.run(["ss", "-Huan"]), "")
        # What the kernel still says goodbye to belongs to no process any more.
        self.assertEqual(host.namespace.run(["ss", "-Htn", "state", "established", "state", "syn-sent"]), "")


def _add(kind):
    def test(self):
        self.serve()
        self.assert_verdict(self.lab.add_side("a", kind, self.DELAY_MS), kind)
    setattr(Netcheck, f"test_behind_{kind}".replace("-", "_"), test)


for _kind in _CLASSES:
    _add(_kind)
