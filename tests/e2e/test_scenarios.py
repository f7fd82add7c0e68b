"""Every shipped scenario holds on every engine that can express it, and pinhole-lab itself keeps its word."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import unittest

LAB = pathlib.Path(__file__).resolve().parent.parent / "lab"
sys.path.insert(0, str(LAB))

import netlab
import reading
import runner
import scenario as scenarios

PINHOLE_LAB = LAB / "pinhole-lab"
SHIPPED = LAB / "scenarios"
HELD, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

_HOMES = """
about = "two homes"
[[nat]]
name = "home"
[[nat]]
name = "office"
[[host]]
name = "alice"
behind = "home"
[[host]]
name = "bob"
behind = "office"
[[host]]
name = "server"
[[step]]
server = "server"
arguments = ["--no-relay"]
[[step]]
people = ["alice", "bob"]
"""
_TRANSFER = """
[[step]]
receive = "bob"
[[step]]
send = "alice"
to = "bob"
size = "10kB"
exit = 0
"""


def run_lab(*arguments, **options):
    return subprocess.run([sys.executable, str(PINHOLE_LAB), *map(str, arguments)], capture_output=True, text=True,
                          **options)


class Scenario(unittest.TestCase):
    """One test a scenario and engine, made below."""

    def play(self, path, engine):
        build = os.environ["PINHOLE_BUILD"]
        done = run_lab("run", path, "--engine", engine, "--json", "--bin", build, "--keep",
                       pathlib.Path(build) / "lab-failures")
        result = json.loads(done.stdout.splitlines()[0]) if done.stdout else {}
        self.assertEqual((done.returncode, result.get("result")), (HELD, "held"),
                         "\n".join([*result.get("failures", []), result.get("artifacts", ""), done.stderr]))
        print(f"set up in {result['setup_ms']} ms, connected after {result['connect_ms']} ms", file=sys.stderr)


def _add(path, engine):
    def test(self):
        self.play(path, engine)
    setattr(Scenario, f"test_{path.stem}_on_{engine}".replace("-", "_"), test)


for _path in scenarios.find([SHIPPED]):
    for _engine in runner.ENGINES:
        if runner.engine(_engine).why_not(scenarios.load(_path)) is None:
            _add(_path, _engine)


class LabRunner(unittest.TestCase):
    def setUp(self):
        self.build = pathlib.Path(os.environ["PINHOLE_BUILD"])
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pinhole-lab-test-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.keep = self.folder / "keep"

    def write(self, text, name="case.toml"):
        path = self.folder / name
        path.write_text(text)
        return path

    def run_lab(self, *arguments, **options):
        return run_lab("run", *arguments, "--bin", self.build, "--keep", self.keep, **options)

    # --- what is reported --------------------------------------------------------------------------------------

    def test_what_does_not_hold_is_said_and_kept(self):
        path = self.write(_HOMES + _TRANSFER + '[expect]\nno_path = true\nexit = { alice = 5 }\n')
        for engine in runner.ENGINES:
            with self.subTest(engine=engine):
                done = self.run_lab(path, "--engine", engine)
                self.assertEqual(done.returncode, FAILED, done.stdout + done.stderr)
                self.assertIn("alice ended with 0 instead of 5", done.stdout)
                self.assertIn("alice claims path", done.stdout)
                kept = self.keep / f"case-{engine}"
                self.assertIn(str(kept), done.stdout)
                self.assertEqual((kept / "case.toml").read_text(), path.read_text())
                sent = json.loads(next(kept.glob("*-alice-send.json")).read_text().splitlines()[0])
                self.assertEqual(sent["event"], "online")
                self.assertTrue(list(kept.glob("*-bob-receive.stderr")))
                self.check_captures(kept)

    def check_captures(self, kept):
        for host in ("alice", "bob", "server"):
            data = (kept / f"{host}.pcap").read_bytes()
            self.assertIn(data[:4], (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"), f"{host}.pcap is no capture")
            self.assertGreater(len(data), 1000)
            self.assertLess(len(data), 6_000_000)

    def test_a_step_that_fails_is_named(self):
        path = self.write(_HOMES + '[[step]]\nsend = "alice"\nto = "bob"\nexit = 0\n')
        done = self.run_lab(path, "--engine", "kernel", "--json")
        self.assertEqual(done.returncode, FAILED)
        failures = json.loads(done.stdout.splitlines()[0])["failures"]
        self.assertRegex(failures[0], r"alice ended with 4 instead of 0: .*bob")

    def test_json_is_for_machines(self):
        path = self.write(_HOMES + _TRANSFER + "[expect]\nfiles = \"intact\"\n")
        done = self.run_lab(path, "--engine", "both", "--repeat", "2", "--json")
        self.assertEqual(done.returncode, HELD, done.stdout + done.stderr)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([line["event"] for line in lines], ["scenario"] * 4 + ["summary"])
        self.assertEqual({(line["engine"], line["repeat"]) for line in lines[:4]},
                         {(engine, repeat) for engine in runner.ENGINES for repeat in (1, 2)})
        for line in lines[:4]:
            self.assertEqual((line["result"], line["path"]["kind"], line["bytes"]), ("held", "direct", 10_000), line)
            self.assertGreater(line["connect_ms"], 0)
            self.assertGreater(line["setup_ms"], 0)
        self.assertEqual((lines[4]["held"], lines[4]["failed"], lines[4]["disagreements"]), (4, 0, []))
        self.assertFalse(self.keep.exists(), "a run that held leaves something behind")

    def test_what_an_engine_cannot_express_is_counted_apart(self):
        path = self.write(_HOMES.replace('name = "office"', 'name = "office"\nbackground = 10') + _TRANSFER)
        done = self.run_lab(path, "--engine", "kernel")
        self.assertEqual(done.returncode, HELD)
        self.assertRegex(done.stdout, r"case +kernel +not expressible")
        self.assertIn("office: `background` is beyond the kernel's NAT", done.stdout)
        self.assertIn("0 held, 0 failed, 1 not expressible", done.stdout)

    def test_engines_that_disagree_fail(self):
        scenario = scenarios.load(self.write(_HOMES + _TRANSFER))
        direct = {"kind": "direct", "transport": "udp", "strategy": "udp"}
        runs = [runner.Run(scenario, "model", 1, {"result": "held", "path": direct, "exits": {"alice": 0}}),
                runner.Run(scenario, "kernel", 1, {"result": "held", "path": {**direct, "strategy": "host"},
                                                   "exits": {"alice": 0}})]
        self.assertEqual(runner.disagreements(runs),
                         ["case: the path is direct udp udp in the model and direct udp host in the kernel"])
        runs[1].result = {"result": "held", "path": direct, "exits": {"alice": 5}}
        self.assertEqual(runner.disagreements(runs),
                         ["case: alice ends with 0 in the model and with 5 in the kernel"])
        runs[1].result["exits"] = {"alice": None}
        self.assertEqual(runner.disagreements(runs), [], "who had not ended yet has no other code")
        runs[1].result = {"result": "not expressible", "reason": "x"}
        self.assertEqual(runner.disagreements(runs), [])

    # --- mistakes ----------------------------------------------------------------------------------------------

    def test_mistakes_are_one_sentence_with_file_and_step(self):
        for text, sentence in (
                ("[[step]\n", "this is not TOML: .*line 1"),
                (_HOMES + '[[step]]\nsend = "alice"\nto = "bob"\nsizee = "1MB"\n',
                 "step 3, send: unknown key 'sizee'; did you mean 'size'"),
                (_HOMES + '[[step]]\nsend = "alice"\nto = "bob"\nsize = "1 MB"\n', "step 3, send, size: '1 MB' is not a size"),
                (_HOMES + '[[step]]\nsend = "alice"\n', "step 3, send: it needs the key 'to'"),
                (_HOMES + '[[step]]\nsned = "alice"\n', "step 3: a step has one verb of .*'sned'"),
                (_HOMES + '[[step]]\nsend = "carol"\nto = "bob"\n', "step 3, send: no person .* is named 'carol'"),
                (_HOMES + '[[step]]\nkill = "alice"\n', "step 3, kill: no program .* is named 'alice'"),
                (_HOMES + '[[step]]\nrebind = "hom"\n', "step 3, rebind: no NAT is named 'hom'; did you mean 'home'"),
                (_HOMES + '[[step]]\nmove = "alice"\nto = "mars"\n', "step 3, move, to: no NAT .* is named 'mars'"),
                (_HOMES + '[[step]]\ncut = "home"\ntowards = "alice"\n',
                 "step 3, cut, towards: no neighbour of 'home' is named 'alice'; there is office, server"),
                (_HOMES + '[[step]]\npause = "2h"\n', "step 3, pause: longer than 60 s"),
                (_HOMES + '[expect]\nexit = { alice = 0 }\n', r"\[expect\]: no program .*'alice'"),
                (_HOMES + '[expect]\nconected = "2s"\n', "unknown key 'conected'; did you mean 'connected'"),
                (_HOMES.replace('behind = "home"', 'behind = "hme"'), "alice, behind: no NAT is named 'hme'"),
                (_HOMES.replace('name = "home"', 'name = "home"\nmaping = "x"'),
                 r"\[\[nat\]\] number 1 \(home\): unknown key 'maping'"),
                (_HOMES.replace('name = "home"', 'name = "home"\nbehind = "home"'), "home: a NAT cannot be behind itself"),
                (_HOMES.replace('name = "office"', 'name = "home"'), "two things are named 'home'")):
            with self.subTest(sentence=sentence):
                with self.assertRaisesRegex(reading.ScenarioError, f"^{re.escape(str(self.folder))}/case.toml: .*{sentence}"):
                    scenarios.load(self.write(text))

    def test_a_mistake_ends_with_2_before_anything_runs(self):
        path = self.write(_HOMES + '[[step]]\nsend = "carol"\nto = "bob"\n')
        for command in ("check", "run"):
            done = run_lab(command, path)
            self.assertEqual((done.returncode, done.stdout), (USAGE, ""))
            self.assertEqual(done.stderr, f"pinhole-lab: {path}: step 3, send: no person (of an earlier `people`) is named "
                                          "'carol'; there is alice, bob\n")
        self.assertEqual(run_lab("check", self.write(_HOMES), SHIPPED).returncode, HELD)

    def test_a_folder_with_a_mistake_in_one_file_plays_nothing(self):
        self.write(_HOMES + _TRANSFER, "good.toml")
        self.write("nat = 1\n", "bad.toml")
        done = self.run_lab(self.folder)
        self.assertEqual((done.returncode, done.stdout), (USAGE, ""))
        self.assertIn("bad.toml", done.stderr)

    def test_wrong_usage(self):
        for arguments in ((), ("run",), ("run", "nowhere.toml"), ("run", self.folder), ("run", "--jobs", "0", "x.toml"),
                          ("run", SHIPPED / "two-homes.toml", "--bin", "nowhere"), ("paly", "x.toml")):
            with self.subTest(arguments=arguments):
                done = run_lab(*arguments)
                self.assertEqual((done.returncode, done.stdout), (USAGE, ""))
                self.assertTrue(done.stderr)
        self.assertIn("pinhole-lab run scenarios/", run_lab("--help").stdout)

    def test_the_example_of_the_readme_is_a_shipped_scenario(self):
        examples = re.findall(r"```toml\n(about.*?)```", (LAB / "README.md").read_text(), re.S)
        shipped = [tomllib.loads(path.read_text()) for path in SHIPPED.glob("*.toml")]
        self.assertTrue(any(tomllib.loads(example) in shipped for example in examples))

    # --- nothing stays -----------------------------------------------------------------------------------------

    def test_ctrl_c_and_kill_leave_nothing_behind(self):
        path = self.write(_HOMES + '[[step]]\nreceive = "bob"\n[[step]]\npause = "30s"\n')
        temporary = self.folder / "tmp"
        temporary.mkdir()
        before = self.everything()
        for number, code in ((signal.SIGINT, INTERRUPTED), (signal.SIGTERM, 128 + signal.SIGTERM),
                             (signal.SIGKILL, -signal.SIGKILL)):
            for engine in runner.ENGINES:
                with self.subTest(signal=number, engine=engine):
                    process = subprocess.Popen([sys.executable, str(PINHOLE_LAB), "run", path, "--engine", engine, "--bin",
                                                self.build, "--keep", self.keep], stdout=subprocess.DEVNULL,
                                               stderr=subprocess.DEVNULL, cwd=temporary,
                                               env={**os.environ, "TMPDIR": str(temporary)})
                    self.wait_for(lambda: any("receive" in words for words in self.everything()[0]), "bob's program")
                    process.send_signal(number)
                    self.assertEqual(process.wait(10), code)
                    self.wait_for(lambda: self.everything() == before, "the end of everything")

    def everything(self):
        """Command lines of all processes in this test's sandbox, namespaces, and files where they could be left."""
        commands = []
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if words:  # a dead one, that the sandbox's first process has not buried, has none
                commands.append(words)
        return (sorted(commands), sorted(os.listdir("/run/netns")),
                sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*")))

    def wait_for(self, condition, what):
        deadline = time.monotonic() + 15
        while not condition():
            self.assertLess(time.monotonic(), deadline, f"no {what}: {self.everything()}")
            time.sleep(0.02)

    # --- an ordinary user --------------------------------------------------------------------------------------

    def test_works_for_an_ordinary_user(self):
        binaries = netlab.Binaries(self.build)
        for name in ("pinhole", "pinhole-rendezvous", "natbox"):
            shutil.copy(binaries.find(name), self.folder)
        shutil.copytree(LAB, self.folder / "lab", ignore=shutil.ignore_patterns("__pycache__"))
        self.folder.chmod(0o755)
        self.keep.mkdir(mode=0o777)
        path = self.write(_HOMES + _TRANSFER)
        words = self.as_user(f"lab/pinhole-lab run {path} --engine both --bin . --keep keep")
        self.assertEqual(words.returncode, HELD, words.stdout + words.stderr)
        self.assertIn("2 held", words.stdout)

    def test_says_why_a_user_cannot(self):
        path = self.write(_HOMES + _TRANSFER)
        self.folder.chmod(0o755)
        shutil.copytree(LAB, self.folder / "lab", ignore=shutil.ignore_patterns("__pycache__"))
        words = self.as_user(f"lab/pinhole-lab run {path} --bin .", tun=0o600)
        self.assertEqual(words.returncode, 77)
        self.assertRegex(words.stderr, r"^pinhole-lab: this user may not open /dev/net/tun .*\n$")

    def as_user(self, command, tun=0o666):
        """As nobody, on a machine where /dev/net/tun has that mode."""
        python = shutil.which("python3", path="/usr/bin:/bin")
        script = (f"mount -t tmpfs none /mnt && mknod -m {tun:o} /mnt/tun c 10 200 && mount --bind /mnt/tun /dev/net/tun && "
                  f"cd {self.folder} && exec setpriv --reuid=65534 --regid=65534 --clear-groups {python} {command}")
        return subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True,
                              env={**os.environ, "PATH": "/usr/bin:/bin", "HOME": "/"})
