"""What tests of the relay stand on: a transfer over it, and coturn in its place."""

import subprocess

import netlab
from case import DONE, LabCase

# Between two peers, so that nothing but the relay is left: relays are reached by TCP all the same.
WITHOUT_TCP = ("--without", "tcp")


class RelayCase(LabCase):
    def send_over(self, *arguments, receiving=WITHOUT_TCP, timeout=30):
        path = self.make_file("f", 300_000)
        inbox = self.inbox()
        receiver = self.bob.receive(inbox, "--yes", "--once", *receiving)
        sender = self.alice.send(path, "bob", *(arguments or WITHOUT_TCP))
        self.assert_exit(sender, DONE, timeout)
        self.assert_exit(receiver, DONE)
        self.assert_same_file(path, inbox / "f")
        return sender, receiver

    def make_certificate(self):
        certificate, key = self.folder / "cert.pem", self.folder / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", "/CN=relay", "-addext", f"subjectAltName=IP:{netlab.SERVER_ADDRESS}",
                        "-keyout", key, "-out", certificate],
                       check=True, capture_output=True)
        return certificate, key


class CoturnCase(RelayCase):
    def start_coturn(self, *arguments, port=3500):
        argv = ["turnserver", "-n", "--log-file=stdout", "--no-cli", "--use-auth-secret", "--static-auth-secret=north",
                "--realm=lab", f"--listening-port={port}", f"--listening-ip={self.lab.server.address}",
                f"--relay-ip={self.lab.server.address}", f"--pidfile={self.folder / f'coturn-{port}.pid'}",
                f"--userdb={self.folder / f'turndb-{port}'}", "--no-dtls", *arguments]
        coturn = subprocess.Popen(self.lab.server.namespace.command(argv), stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        self.addCleanup(coturn.wait)
        self.addCleanup(coturn.terminate)
        return coturn

    def across_coturn(self, url, *arguments, block_udp=False):
        self.lab.add_server()
        self.start_coturn(*arguments)
        self.start_server(arguments=["--turn", url.format(self.lab.server.address), "--turn-secret", "north"])
        kind = "eim" if block_udp else "symmetric"
        self.meet(*(self.lab.add_side(name, kind, self.DELAY_MS, block_udp=block_udp) for name in ("a", "b")))
