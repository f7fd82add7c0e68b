"""What people see without --json: the lines of ping and of a transfer, on a terminal and in a file, while paths die and come back."""

import os
import pty
import re
import subprocess
import threading
import time

import programs
from case import DONE, LabCase

LINE = {"link": {"delay": "5ms", "rate": "10mbit", "queue": "60kB"}}


class Screen:
    """A program without --json: what it says on stdout and stderr, the latter on a terminal if there is to be one."""

    def __init__(self, host, argv, terminal):
        self.text = ""
        self._changed = threading.Condition()
        self._open = 2
        reading, writing = pty.openpty() if terminal else os.pipe()
        self._process = subprocess.Popen(host.namespace.command(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                         stderr=writing, start_new_session=True)
        os.close(writing)
        for file in (reading, self._process.stdout.fileno()):
            threading.Thread(target=self._read, args=(file,), daemon=True).start()

    def wait(self, pattern, timeout=15, after=0):
        """Until the text has the pattern at that position or later; where that ends."""
        deadline = time.monotonic() + timeout * programs.PATIENCE
        with self._changed:
            while not (found := re.compile(pattern).search(self.text, after)):
                left = deadline - time.monotonic()
                if left <= 0 or not self._open:
                    raise programs.Unexpected(f"no {pattern!r} in what it says:\n{self.text!r}")
                self._changed.wait(left)
            return found.end()

    def wait_exit(self, timeout=15):
        return self._process.wait(timeout * programs.PATIENCE)

    def stop(self):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def _read(self, file):
        while True:
            try:
                data = os.read(file, 4096)
            except OSError:  # of a terminal whose other end is closed
                data = b""
            with self._changed:
                self.text += data.decode(errors="replace")
                self._open -= 0 if data else 1
                self._changed.notify_all()
            if not data:
                return


class OnScreen(LabCase):
    def show(self, person, *arguments, terminal=False):
        screen = Screen(person.host, [self.binaries.find("pinhole"), "--home", person.home, "--server", person.server,
                                      *arguments], terminal)
        self.addCleanup(screen.stop)
        return screen

    def test_a_stalled_transfer_says_so_on_both_terminals_and_goes_on(self):
        self.across_models(LINE, LINE)
        sent = self.make_file("big", 6_000_000)
        inbox = self.inbox()
        receiver = self.show(self.bob, "receive", "--into", inbox, "--yes", "--once", terminal=True)
        receiver.wait("online|waiting")
        sender = self.show(self.alice, "send", sent, "--to", "bob", terminal=True)
        screens = {"alice": receiver, "bob": sender}
        moving = [screen.wait(r"big +\d+% ", after=0) for screen in screens.values()]
        self.box.command("link office both up=false")
        stalled = [screen.wait(rf"\r\x1b\[K{name}: stalled, trying [a-z ,]+", after=start)
                   for (name, screen), start in zip(screens.items(), moving)]
        self.box.command("link office both up=true")
        back = [screen.wait(rf"\r\x1b\[K{name}: goes on, [^\r\n]+\r\n", after=start)
                for (name, screen), start in zip(screens.items(), stalled)]
        receiver.wait(r"big +\d+% ", after=back[0])
        for screen in screens.values():
            self.assertEqual(screen.wait_exit(60), DONE, screen.text)
        self.assert_same_file(sent, inbox / "big")

    def test_without_a_terminal_a_stall_and_its_end_are_lines(self):
        self.across_models(LINE, LINE)
        self.bob.receive(self.inbox(), "--yes")
        ping = self.show(self.alice, "ping", "bob", "--count", "4")
        start = ping.wait(r"bob: [\d.]+ ms, direct udp udp \S+\n")
        self.box.command("link office both up=false")
        start = ping.wait(r"(?m)^bob: stalled, trying .+\n", after=start)
        self.box.command("link office both up=true")
        start = ping.wait(r"(?m)^bob: goes on, .+\n", after=start)
        ping.wait(r"bob: [\d.]+ ms, direct udp udp \S+\n", after=start)
        self.assertEqual(ping.wait_exit(15), DONE, ping.text)
        self.assertNotIn("\x1b", ping.text)

    def test_ping_shows_how_it_moves_to_the_relay_and_back(self):
        self.across_models(LINE, LINE, relay=True)
        self.bob.receive(self.inbox(), "--yes")
        ping = self.show(self.alice, "ping", "bob", "--count", "60")
        start = ping.wait(r"bob: [\d.]+ ms, direct udp udp \S+\n")
        self.box.command("cut home office")
        start = ping.wait(r"bob: moved from direct udp udp \S+ to relay udp relay \S+: \S.+\n", after=start)
        start = ping.wait(r"bob: [\d.]+ ms, relay udp relay \S+\n", after=start)
        self.box.command("restore home office")
        start = ping.wait(r"bob: moved from relay udp relay \S+ to direct \S.+: \S.+\n", 40, after=start)
        ping.wait(r"bob: [\d.]+ ms, direct .+\n", after=start)
