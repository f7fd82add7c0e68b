"""What every end-to-end test stands on: a lab of its own, a server, two people who know each other."""

import filecmp
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lab"))

import natbox
import netlab
import programs
import sandbox

# Exit codes of the command line's contract.
DONE, USAGE, NO_SERVER, NO_PEER, NO_PATH, WRONG_IDENTITY, TRANSFER_FAILED, REFUSED, INTERRUPTED = 0, 2, 3, 4, 5, 6, 7, 8, 130


class LabCase(unittest.TestCase):
    DELAY_MS = 5  # one way, on each side's link: a lab without delay hides the races

    def setUp(self):
        self._programs = []
        self._people = []
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pinhole-e2e-"))
        self.addCleanup(self.folder.rmdir)
        self.mount_tmpfs(self.folder)
        self.binaries = netlab.Binaries.from_environment()
        self.lab = netlab.Lab(self.binaries)
        self.addCleanup(self.lab.close)
        self.addCleanup(self._stop_programs)

    def run(self, result=None):
        self._result = result
        return super().run(result)

    def mount_tmpfs(self, folder, size=None):
        """A file system of its own; the sandbox takes it away even if the test is killed."""
        folder.mkdir(exist_ok=True)
        options = ["-o", f"size={size}"] if size else []
        subprocess.run(["mount", "-t", "tmpfs", *options, "none", folder], check=True)
        self.addCleanup(subprocess.run, ["umount", "--lazy", folder], check=True)

    def _stop_programs(self):
        everyone = [*self._programs, *(program for person in self._people for program in person.programs)]
        for program in everyone:
            program.stop()
        failed = any(case is self for case, _ in [*self._result.failures, *self._result.errors])
        if failed or os.environ.get("PINHOLE_VERBOSE"):
            for program in everyone:
                print(program.transcript(), file=sys.stderr)
        for program in everyone:
            self.assertEqual(program.stray_output, [], f"{program.label}: lines on stdout that are no events")

    # --- who is there --------------------------------------------------------------------------------------------

    def start_server(self, data="server", relay=False, **options):
        """Most tests are about direct paths and those that do not exist: they have no relay unless they ask for one."""
        if self.lab.server is None:
            self.lab.add_server(options.pop("delay_ms", 0))
        if not relay:
            options["arguments"] = [*options.get("arguments", ()), "--no-relay"]
        self.server = programs.Server(self.lab, self.binaries, self.folder / data, **options)
        self._programs.append(self.server)
        return self.server

    def person(self, name, host, server=netlab.SERVER_ADDRESS):
        person = programs.Person(name, host, self.folder / f"home-{name}", self.binaries, server)
        self._people.append(person)
        return person

    def meet(self, host_a, host_b, server=netlab.SERVER_ADDRESS):
        """alice on one host, bob on the other, in each other's contacts."""
        self.alice = self.person("alice", host_a, server)
        self.bob = self.person("bob", host_b, server)
        self.alice.knows(self.bob)
        self.bob.knows(self.alice)

    def across(self, kind_a="eim", kind_b="eim", relay=False, **side_options):
        """The usual case: a server, and alice and bob behind a NAT each."""
        self.start_server(relay=relay)
        side_options.setdefault("delay_ms", self.DELAY_MS)
        self.meet(self.lab.add_side("a", kind_a, **side_options), self.lab.add_side("b", kind_b, **side_options))

    def across_models(self, kind_a, kind_b, *more_nats, relay=False, arguments=()):
        """alice behind one model NAT, bob behind another; a server with two addresses, so that mappings can be told apart."""
        self.box = natbox.NatBox(self.binaries, {
            "nat": [{"name": "home", "link": {"delay": "5ms"}, **kind_a},
                    {"name": "office", "link": {"delay": "10ms"}, **kind_b}, *more_nats],
            "host": [{"name": "alice", "behind": "home"}, {"name": "bob", "behind": "office"},
                     {"name": "server", "addresses": 2}],
        })
        self.addCleanup(self.box.close)
        hosts = self.box.hosts
        self.lab.server = hosts["server"]
        self.start_server(relay=relay, arguments=["--alternate", hosts["server"].alternate, *(
            argument.format(server=hosts["server"].address) for argument in arguments)])
        self.meet(hosts["alice"], hosts["bob"], hosts["server"].address)

    def across_slow_links(self, rate_mbit=20):
        """Two NATs with access links slow enough that something can happen in the middle of a transfer."""
        self.start_server()
        hosts = []
        for name in ("a", "b"):
            link = netlab.DelayLink(self.DELAY_MS, rate_mbit, queue_bytes=60_000)
            hosts.append(self.lab.add_nat(f"n{name}", "eim", link=link).add_host(name))
        self.meet(*hosts)

    # --- what they do --------------------------------------------------------------------------------------------

    def make_file(self, name, size, folder=None):
        path = (folder or self.folder) / name
        with open(path, "wb") as file:
            for offset in range(0, size, 1 << 20):
                file.write(os.urandom(min(1 << 20, size - offset)))
        return path

    def inbox(self, name="inbox"):
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return folder

    def transfer(self, path, receive_arguments=("--yes", "--once"), timeout=30):
        """alice sends to bob; both must succeed. Returns (sender, receiver, bob's folder)."""
        inbox = self.inbox()
        receiver = self.bob.receive(inbox, *receive_arguments)
        sender = self.alice.send(path, "bob")
        self.assert_exit(sender, DONE, timeout)
        if "--once" in receive_arguments:
            self.assert_exit(receiver, DONE)
        return sender, receiver, inbox

    # --- what must hold ------------------------------------------------------------------------------------------

    def assert_exit(self, program, code, timeout=15):
        self.assertEqual(program.wait_exit(timeout), code, f"exit code of {program.label}\n{program.transcript()}")

    def assert_fails(self, program, code, timeout=15):
        """It ends with that code, one error event and one line on stderr. Returns the event."""
        self.assert_exit(program, code, timeout)
        errors = program.events_named("error")
        self.assertTrue(errors, f"no error event\n{program.transcript()}")
        self.assertTrue(errors[-1]["message"])
        self.assertTrue([line for line in program.errors if line.startswith("pinhole: ")],
                        f"no line on stderr\n{program.transcript()}")
        return errors[-1]

    def assert_direct(self, program, remote):
        """The path in use is direct, over UDP, to that address."""
        path = program.wait_event("path") and program.events_named("path")[-1]
        self.assertEqual((path["kind"], path["transport"]), ("direct", "udp"), path)
        self.assertEqual(path["remote"].rpartition(":")[0].strip("[]"), remote, path)

    def assert_relayed(self, path, transport="udp"):
        """This `path` event is about a relay that is reached so."""
        self.assertEqual((path["kind"], path["transport"], path["strategy"]), ("relay", transport, "relay"), path)

    def assert_same_file(self, sent, received):
        self.assertTrue(received.is_file(), f"{received} is missing; there is {sorted(os.listdir(received.parent))}")
        self.assertTrue(filecmp.cmp(sent, received, shallow=False), f"{received} differs from what was sent")
