"""Files arrive whole, under their name, with mode and time, and never over something that was there."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from case import DONE, LabCase

_TIME_NS = 1_234_567_890_123_456_789


class Files(LabCase):
    def setUp(self):
        super().setUp()
        self.across()

    def check_name(self, name):
        sent = os.fsencode(self.folder) + b"/" + name
        with open(sent, "wb") as file:
            file.write(b"content")
        _, _, inbox = self.transfer(os.fsdecode(sent))
        self.assertEqual(os.listdir(os.fsencode(inbox)), [name])
        with open(os.fsencode(inbox) + b"/" + name, "rb") as file:
            self.assertEqual(file.read(), b"content")

    def test_name_of_255_bytes(self):
        self.check_name(b"n" * 251 + b".txt")

    def test_name_of_255_bytes_in_utf8(self):
        self.check_name("ä".encode() * 127 + b"x")

    def test_name_that_is_not_utf8(self):
        self.check_name(b"caf\xe9 \xff.txt")

    def test_name_with_control_characters(self):
        self.check_name(b"a\nb\x1b[31m\t\\..\\c")

    def test_empty_file(self):
        sent = self.make_file("empty", 0)
        _, receiver, inbox = self.transfer(sent)
        self.assert_same_file(sent, inbox / "empty")
        self.assertEqual(receiver.wait_event("file")["bytes"], 0)

    def test_mode_and_time_are_kept(self):
        sent = self.make_file("script.sh", 5000)
        sent.chmod(0o754)
        os.utime(sent, ns=(_TIME_NS, _TIME_NS))
        sender, receiver, inbox = self.transfer(sent)
        status = (inbox / "script.sh").stat()
        self.assertEqual((status.st_mode & 0o777, status.st_mtime_ns), (0o754, _TIME_NS))
        self.assertEqual(receiver.wait_event("done")["bytes"], 5000)
        self.assertEqual(sender.wait_event("file")["hash"], receiver.wait_event("file")["hash"])

    @unittest.skipUnless(shutil.which("b3sum"), "b3sum is not installed")
    def test_the_hash_is_what_b3sum_prints(self):
        sent = self.make_file("movie.mkv", 3_000_001)
        _, receiver, inbox = self.transfer(sent)
        printed = subprocess.run(["b3sum", "--no-names", inbox / "movie.mkv"], check=True, capture_output=True, text=True)
        self.assertEqual(receiver.wait_event("file")["hash"], printed.stdout.strip())

    def test_existing_file_is_not_overwritten(self):
        sent = self.make_file("report.pdf", 3000)
        (self.inbox() / "report.pdf").write_text("mine")
        _, receiver, inbox = self.transfer(sent)
        self.assertEqual((inbox / "report.pdf").read_text(), "mine")
        stored = pathlib.Path(receiver.wait_event("file")["path"])
        self.assert_same_file(sent, inbox / stored.name)
        self.assertNotEqual(stored.name, "report.pdf")

    def test_several_paths_at_once(self):
        sent = [self.make_file(name, 1000 * (index + 1)) for index, name in enumerate(("one", "two", "three"))]
        receiver = self.bob.receive(self.inbox(), "--yes", "--once")
        self.assert_exit(self.alice.start("send", *sent, "--to", "bob"), DONE)
        self.assert_exit(receiver, DONE)
        for path in sent:
            self.assert_same_file(path, self.inbox() / path.name)

    def test_whoever_shares_the_line_the_file_arrives(self):
        for options in (["--background"], ["--congestion", "cubic"]):
            with self.subTest(options=options):
                sent = self.make_file(options[-1].strip("-"), 3_000_000)
                receiver = self.bob.receive(self.inbox(), "--yes", "--once")
                self.assert_exit(self.alice.start("send", sent, "--to", "bob", *options), DONE)
                self.assert_exit(receiver, DONE)
                self.assert_same_file(sent, self.inbox() / sent.name)

    def test_a_folder_with_everything_in_it(self):
        tree = self.folder / "tree"
        (tree / "nested" / "deeper").mkdir(parents=True)
        (tree / "empty").mkdir(mode=0o750)
        self.make_file("top", 10, tree)
        self.make_file("bottom", 100_000, tree / "nested" / "deeper")
        self.make_file("nothing", 0, tree / "nested")
        (tree / "top").chmod(0o600)
        os.utime(tree / "top", ns=(_TIME_NS, _TIME_NS))
        _, _, inbox = self.transfer(tree)

        def listing(folder):
            return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
                    for path in folder.rglob("*")}

        self.assertEqual(listing(inbox / "tree"), listing(tree))
        self.assertEqual((inbox / "tree" / "top").stat().st_mtime_ns, _TIME_NS)

    def test_a_folder_with_many_small_files(self):
        tree = self.folder / "many"
        tree.mkdir()
        for number in range(1000):
            (tree / f"{number:04}").write_text(str(number))
        _, _, inbox = self.transfer(tree, timeout=60)
        self.assertEqual(sorted(path.name for path in (inbox / "many").iterdir()),
                         sorted(path.name for path in tree.iterdir()))

    def test_a_path_that_is_not_there(self):
        self.bob.receive(self.inbox(), "--yes")
        program = self.alice.run("send", self.folder / "missing", "--to", "bob")
        self.assertNotEqual(program.process.returncode, DONE)
        self.assertIn("missing", program.wait_event("error")["message"])


class HugeFiles(LabCase):
    def test_sparse_file_of_3_gb(self):
        self.start_server()
        self.meet(self.lab.add_side("a", "eim"), self.lab.add_side("b", "eim"))
        # On a disk: the received copy may be written out in full.
        folder = pathlib.Path(tempfile.mkdtemp(prefix="pinhole-e2e-"))
        self.addCleanup(shutil.rmtree, folder)
        size = 3 << 30
        sent = folder / "sparse"
        with open(sent, "wb") as file:
            file.write(b"head")
            file.seek(size - 4)
            file.write(b"tail")
        inbox = folder / "inbox"
        inbox.mkdir()
        receiver = self.bob.receive(inbox, "--yes", "--once")
        sender = self.alice.send(sent, "bob")
        self.assert_exit(sender, DONE, 400)
        self.assert_exit(receiver, DONE)
        self.assertEqual((inbox / "sparse").stat().st_size, size)
        with open(inbox / "sparse", "rb") as file:
            self.assertEqual(file.read(4), b"head")
            file.seek(size - 4)
            self.assertEqual(file.read(), b"tail")
        self.assertEqual(sender.wait_event("file")["hash"], receiver.wait_event("file")["hash"])
