"""How each program carries a stream of bytes from one end of a line to the other, and what that has cost. A run is the time
from the start of the program that begins it to the last byte at the other end: programs of this folder say when that was,
others are done when they end. What a program starts beside itself counts as its cost."""

import contextlib
import dataclasses
import json
import pathlib
import shutil
import subprocess
import typing

import speed_links
import speed_machine
from speed_machine import Program, RunError

FOLDER = speed_machine.LOG.parent  # in memory, and gone with the sandbox
_SENDER, _RECEIVER = speed_links.SENDER, speed_links.RECEIVER
_SEND_CORE, _RECEIVE_CORE = 0, 1


@dataclasses.dataclass
class Outcome:
    bytes: int
    seconds: float
    cpu: float  # of both ends
    peak_mb: float  # of both ends together
    details: dict = dataclasses.field(default_factory=dict)


class Rival:
    """A program, or ours. `tcp`: what it sends is cut by the kernel's TCP."""

    tcp = False
    ours = False

    def __init__(self, name):
        self.name = name

    def missing(self, binaries):
        """What it needs and is not there; None when it can run."""
        return None

    def prepare(self, binaries):
        self.binaries = binaries

    def transfer(self, line, size, timeout):
        raise NotImplementedError

    def flow(self, line, seconds, warm_up):
        """Starts a stream for so many seconds and returns its programs; the receiver first."""
        raise RunError(f"{self.name} has no streams of a given time")


def tool_missing(*tools):
    absent = [tool for tool in tools if not shutil.which(tool)]
    return f"{', '.join(absent)} is not installed (speed.py --setup)" if absent else None


def source_file(size):
    """A file in memory that nobody can compress much."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"source-{size}"
    if not path.exists():
        block = pathlib.Path("/dev/urandom").open("rb").read(1 << 20)
        with path.open("wb") as file:
            for _ in range(size >> 20):
                file.write(block)
            file.write(block[:size % (1 << 20)])
    return path


@contextlib.contextmanager
def ending(*programs):
    """Whatever happens, they have ended afterwards."""
    try:
        yield
    finally:
        for program in programs:
            program.kill()


def check_arrived(line, before, size):
    """For programs that do not say how much they got: what came out of the line."""
    arrived = line.received_bytes() - before
    if arrived < size:
        raise RunError(f"{arrived} of {size} bytes arrived")


def take(file, size):
    """For programs that write a file."""
    got = file.stat().st_size if file.exists() else 0
    file.unlink(missing_ok=True)
    if got != size:
        raise RunError(f"{got} of {size} bytes arrived")


def cost(*programs):
    return sum(each.cpu for each in programs), sum(each.peak_kb for each in programs) / 1024


class Pair(Rival):
    """Two processes of a program of this folder: the receiver says `ready`, both end with a line of JSON."""

    program = ""

    def __init__(self, name, **options):
        super().__init__(name)
        self.options = options

    def missing(self, binaries):
        try:
            binaries.find(self.program)
        except Exception as error:  # a LabError that says which
            return str(error)
        return None

    def argv(self, sends, **more):
        raise NotImplementedError

    def start(self, line, sends, **more):
        namespace, core = (line.sender, _SEND_CORE) if sends else (line.receiver, _RECEIVE_CORE)
        argv = [self.binaries.find(self.program), *self.argv(sends, **more)]
        program = Program(namespace, argv, core, speaks=True)
        if not sends and program.line(10) != "ready":
            program.kill()
            raise RunError(f"{program.name} does not start: {speed_machine.last_words()}")
        return program

    def transfer(self, line, size, timeout):
        receiver = self.start(line, False, size=size)
        sender = self.start(line, True, size=size)
        with ending(sender, receiver):
            told = json.loads(receiver.line(timeout) or "{}")
            sent = json.loads(sender.line(10) or "{}")
            sender.wait(10)
            receiver.wait(10)
        if told.get("bytes") != size:
            raise RunError(f"{told.get('bytes', 0)} of {size} bytes arrived")
        details = {key: sent[key] for key in ("packets_sent", "packets_lost", "wire_bytes", "mtu") if key in sent}
        # From the first byte to the last, without any handshake.
        details["flow_mbit"] = 8 * told["counted_bytes"] / 1e6 / max(told["counted_seconds"], 1e-9)
        return Outcome(size, told["ended"] - sender.started, *cost(sender, receiver), details)

    def flow(self, line, seconds, warm_up):
        receiver = self.start(line, False, seconds=seconds, warm_up=warm_up)
        return receiver, self.start(line, True, seconds=seconds, warm_up=warm_up)


class Pinhole(Pair):
    program = "transport-load"
    ours = True

    def argv(self, sends, task=None, **more):
        here, there = (_SENDER, _RECEIVER) if sends else (_RECEIVER, _SENDER)
        words = [task or ("send" if sends else "receive"), "--local", f"{here}:5000", "--remote", f"{there}:5000"]
        return words + _options({**self.options, **more})


class Tls(Pair):
    program = "tls-load"
    tcp = True

    def argv(self, sends, **more):
        words = ["connect" if sends else "listen", "--address", _RECEIVER]
        return words + _options({"port": 7000, **self.options, **more})


def _options(values):
    words = []
    for key, value in values.items():
        words += [f"--{key.replace('_', '-')}"] + ([] if value is True else [value])
    return words


class Udt(Pair):
    program = "udt-load"

    def argv(self, sends, size=0, seconds=0, warm_up=0):
        return ["connect" if sends else "listen", _RECEIVER, 5100, size, seconds, warm_up]


class Ngtcp2(Rival):
    """Its server sends a file over HTTP/3 and its client throws it away."""

    def __init__(self, name, congestion="cubic", cipher="AES-128-GCM"):
        super().__init__(name)
        self._congestion = congestion
        self._ciphers = f"NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+{cipher}"

    def missing(self, binaries):
        return tool_missing("gtlsserver", "gtlsclient", "openssl")

    def prepare(self, binaries):
        FOLDER.mkdir(exist_ok=True)
        if not (FOLDER / "key.pem").exists():
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=bench",
                            "-keyout", FOLDER / "key.pem", "-out", FOLDER / "cert.pem"], check=True, capture_output=True)

    def server(self, line, *more):
        server = Program(line.sender, ["gtlsserver", "-q", f"--cc={self._congestion}", "--max-gso-dgrams=64",
                                       f"--ciphers={self._ciphers}", "-d", FOLDER, *more, _SENDER, 4433,
                                       FOLDER / "key.pem", FOLDER / "cert.pem"], _SEND_CORE)
        speed_machine.await_bound(server, "udp", 4433)
        return server

    def _start(self, line, size):
        source = source_file(size)
        server = self.server(line)
        return server, Program(line.receiver, [
            "gtlsclient", "-q", "--no-quic-dump", "--no-http-dump", "--exit-on-all-streams-close", "--max-data=64M",
            "--max-stream-data-bidi-local=64M", "--max-window=256M", "--max-stream-window=256M",
            f"--ciphers={self._ciphers}", _SENDER, 4433, f"https://{_SENDER}:4433/{source.name}"],
            _RECEIVE_CORE)

    def transfer(self, line, size, timeout):
        before = line.received_bytes()
        server, client = self._start(line, size)
        with ending(server, client):
            client.wait(timeout)
        check_arrived(line, before, size)
        return Outcome(size, client.ended - client.started, *cost(server, client))

    def flow(self, line, seconds, warm_up):
        server, client = self._start(line, int(5 * seconds + 5) << 20)  # enough for 40 Mbit/s
        return client, server


class Srt(Rival):
    """AES-128, as ours are encrypted too. The name of the file that it writes leads to nowhere."""

    _OPTIONS = "transtype=file&sndbuf=67108864&rcvbuf=67108864&fc=65536&passphrase=pinholepinhole&pbkeylen=16"

    def missing(self, binaries):
        return tool_missing("srt-file-transmit")

    def transfer(self, line, size, timeout):
        source, folder = source_file(size), FOLDER / "srt"
        folder.mkdir(exist_ok=True)
        if not (folder / source.name).exists():
            (folder / source.name).symlink_to("/dev/null")
        before = line.received_bytes()
        receiver = Program(line.receiver, ["srt-file-transmit", "-q",
                                           f"srt://{_RECEIVER}:5000?mode=listener&{self._OPTIONS}", f"file://{folder}/"],
                           _RECEIVE_CORE)
        speed_machine.await_bound(receiver, "udp", 5000)
        sender = Program(line.sender, ["srt-file-transmit", "-q", f"file://{source}",
                                       f"srt://{_RECEIVER}:5000?{self._OPTIONS}"], _SEND_CORE)
        with ending(sender, receiver):
            sender.wait(timeout)
            receiver.wait(30)
        check_arrived(line, before, size)
        return Outcome(size, receiver.ended - sender.started, *cost(sender, receiver))


class Kcptun(Rival):
    """TCP into its client and out of its server; socat at both ends."""

    _OPTIONS = ("--nocomp --sndwnd 4096 --rcvwnd 4096 --mtu 1400 --datashard 0 --parityshard 0 --smuxbuf 33554432 "
                "--streambuf 16777216 --smuxver 2 --crypt aes-128 --mode fast2 --quiet").split()

    def missing(self, binaries):
        return tool_missing("kcptun-server", "kcptun-client", "socat")

    def transfer(self, line, size, timeout):
        source = source_file(size)
        before = line.received_bytes()
        sink = Program(line.receiver, ["socat", "-u", "-b131072", f"TCP-LISTEN:6001,bind={_RECEIVER},reuseaddr",
                                       "OPEN:/dev/null"], _RECEIVE_CORE)
        server = Program(line.receiver, ["kcptun-server", "-t", f"{_RECEIVER}:6001", "-l", f"{_RECEIVER}:6002",
                                         *self._OPTIONS], _RECEIVE_CORE)
        client = Program(line.sender, ["kcptun-client", "-r", f"{_RECEIVER}:6002", "-l", "127.0.0.1:6003",
                                       *self._OPTIONS], _SEND_CORE)
        with ending(sink, server, client):
            speed_machine.await_bound(sink, "tcp", 6001)
            speed_machine.await_bound(server, "udp", 6002)
            speed_machine.await_bound(client, "tcp", 6003)
            feed = Program(line.sender, ["socat", "-u", "-b131072", f"OPEN:{source}", "TCP:127.0.0.1:6003"], _SEND_CORE)
            with ending(feed):
                sink.wait(timeout)
        check_arrived(line, before, size)
        return Outcome(size, sink.ended - feed.started, *cost(sink, server, client, feed))


class Uftp(Rival):
    """Unicast, at a rate of 1 Gbit/s that it has to be told; includes its announcement."""

    def missing(self, binaries):
        return tool_missing("uftp", "uftpd")

    def transfer(self, line, size, timeout):
        source, folder = source_file(size), FOLDER / "uftp"
        folder.mkdir(exist_ok=True)
        server = Program(line.receiver, ["uftpd", "-d", "-D", folder, "-I", _RECEIVER, "-p", 6100, "-B", 4194304, "-M",
                                         "230.5.5.1"], _RECEIVE_CORE)
        speed_machine.await_bound(server, "udp", 6100)
        client = Program(line.sender, ["uftp", "-R", 1000000, "-I", _SENDER, "-p", 6100, "-B", 4194304, "-M", _RECEIVER,
                                       "-P", _RECEIVER, "-b", 1400, "-q", source], _SEND_CORE)
        with ending(server, client):
            client.wait(timeout)
        take(folder / source.name, size)
        return Outcome(size, client.ended - client.started, *cost(server, client))


class Wormhole(Rival):
    """Over its own mailbox server; includes the start of Python and the exchange of keys."""

    _PYTHON = "/usr/bin/python3"  # Debian's, whose packages these are
    tcp = True

    def missing(self, binaries):
        absent = tool_missing("wormhole")
        if absent is None and subprocess.run([self._PYTHON, "-c", "import wormhole_mailbox_server"],
                                             capture_output=True).returncode != 0:
            return "python3-magic-wormhole-mailbox-server is not installed (speed.py --setup)"
        return absent

    def transfer(self, line, size, timeout):
        source, folder = source_file(size), FOLDER / "wormhole"
        folder.mkdir(exist_ok=True)
        mailbox = Program(line.receiver, ["env", "-C", folder, self._PYTHON, "-m", "twisted", "wormhole-mailbox",
                                          "--channel-db=:memory:", f"--port=tcp:4000:interface={_RECEIVER}"])
        speed_machine.await_bound(mailbox, "tcp", 4000)
        words = ["env", "-C", folder, "wormhole", "--relay-url", f"ws://{_RECEIVER}:4000/v1", "--transit-helper",
                 "tcp:127.0.0.1:9"]
        sender = Program(line.sender, [*words, "send", "--code", "30-a-b", source], _SEND_CORE)
        receiver = Program(line.receiver, [*words, "receive", "--accept-file", "-o", folder / "out", "30-a-b"],
                           _RECEIVE_CORE)
        with ending(mailbox, sender, receiver):
            receiver.wait(timeout)
            sender.wait(30)
        take(folder / "out", size)
        return Outcome(size, receiver.ended - sender.started, *cost(sender, receiver))


class Iperf(Rival):
    """The kernel's TCP without any encryption."""

    tcp = True

    def missing(self, binaries):
        return tool_missing("iperf3")

    def transfer(self, line, size, timeout):
        server = Program(line.receiver, ["iperf3", "-s", "-1", "-B", _RECEIVER], _RECEIVE_CORE)
        speed_machine.await_bound(server, "tcp", 5201)
        client = Program(line.sender, ["iperf3", "-c", _RECEIVER, "-n", size, "-C", "cubic", "-l", "128K"], _SEND_CORE)
        with ending(server, client):
            client.wait(timeout)
        if client.status != 0:
            raise RunError(f"iperf3 ended with {client.status}")
        return Outcome(size, client.ended - client.started, *cost(server, client))


@dataclasses.dataclass
class Floor:
    """What the machine allows: `transport-load floor-*`, which has no protocol. Counts what arrives."""

    name: str
    cipher: str
    tcp: typing.ClassVar[bool] = False
    ours: typing.ClassVar[bool] = False

    def missing(self, binaries):
        return Pinhole("").missing(binaries)

    def prepare(self, binaries):
        self._pair = Pinhole(self.name, cipher=self.cipher)
        self._pair.prepare(binaries)

    def transfer(self, line, size, timeout):
        seconds = 3 if size >= 1 << 28 else 0.5
        receiver = self._pair.start(line, False, task="floor-receive")
        sender = self._pair.start(line, True, task="floor-send", seconds=seconds)
        with ending(sender, receiver):
            told = json.loads(receiver.line(timeout) or "{}")
            sender.wait(10)
            receiver.wait(10)
        return Outcome(told["counted_bytes"], told["counted_seconds"], *cost(sender, receiver))
