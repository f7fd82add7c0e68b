"""The rows of speed.py: on which line, who takes part, how much is sent."""

import dataclasses
import typing

import speed_links
from speed_files import PinholeSend
from speed_rivals import Floor, Iperf, Kcptun, Ngtcp2, Pinhole, Srt, Tls, Udt, Uftp, Wormhole

MIB = 1 << 20


@dataclasses.dataclass
class Entry:
    """One who takes part in a row; sizes in MiB."""

    rival: typing.Any
    size: float


@dataclasses.dataclass
class Row:
    name: str
    title: str
    kind: str  # of speed_runs.py: transfer, fairness, messages or memory
    entries: list
    line: typing.Callable = None  # (lines, rival) -> speed_links.Line
    timeout: float = 120
    tool: str = ""  # that the line is made with and not every machine has


def _emulated(name, rate, delay_ms, queue_kb, loss=0.0):
    return lambda lines, rival: lines.emulated(name, speed_links.megabits(rate, delay_ms, queue_kb, loss))


def _ours(congestion, ciphers=("aes",), suffix=""):
    return [Pinhole(f"pinhole {cipher}{suffix}", cipher=cipher, congestion=congestion) for cipher in ciphers]


def _reference(congestion):
    """CUBIC beside whatever else ours uses."""
    return [] if congestion == "cubic" else _ours("cubic", suffix=" cubic")


def _lossy_size(congestion, size):
    """CUBIC would take an hour."""
    return 4 if congestion == "cubic" else size


def _tls(cipher, congestion):
    return Tls(f"TLS {cipher} {congestion}", cipher=cipher, congestion=congestion)


def _entries(*groups):
    """(size, rivals…) each."""
    return [Entry(rival, size) for size, *rivals in groups for rival in rivals]


_NGTCP2_CHACHA = dict(cipher="CHACHA20-POLY1305")


def _clean(congestion):
    return Row("a", "Clean veth, default offloads", "transfer", _entries(
        (1024, *_ours(congestion, ("aes", "chacha")), _tls("aes128", "cubic"), _tls("aes256", "cubic"),
         _tls("chacha", "cubic"), Iperf("TCP cubic, no crypto")),
        (512, Ngtcp2("ngtcp2 aes"), Ngtcp2("ngtcp2 chacha", **_NGTCP2_CHACHA), Srt("SRT aes128"), Udt("UDT, no crypto"),
         Kcptun("kcptun aes128"), Uftp("uftp, no crypto"), Wormhole("magic-wormhole")),
        (1024, Floor("floor aes", "aes"), Floor("floor chacha", "chacha"))),
        lambda lines, rival: lines.clean())


def _segmented(congestion):
    return Row("a'", "Segmented veth: packets are cut before the line", "transfer", _entries(
        (1024, *_ours(congestion, ("aes", "chacha")), _tls("aes128", "cubic")),
        (512, Ngtcp2("ngtcp2 aes"), Ngtcp2("ngtcp2 chacha", **_NGTCP2_CHACHA)),
        (1024, Floor("floor aes", "aes"), Floor("floor chacha", "chacha"))),
        lambda lines, rival: lines.segmented(rival.tcp), tool="ethtool")


def _lossy(congestion):
    return Row("b", "100 Mbit/s, 100 ms, 1 % loss, queue 1250 KB", "transfer", _entries(
        (_lossy_size(congestion, 200), *_ours(congestion)),
        (200, _tls("aes128", "bbr"), Ngtcp2("ngtcp2 bbr2", "bbr2"), Kcptun("kcptun aes128")),
        (16, Srt("SRT aes128"), Udt("UDT, no crypto")),
        (4, _tls("aes128", "cubic"), *_reference(congestion))),
        _emulated("b", 100, 50, 1250, 0.01))


def _lossier(congestion):
    return Row("b2", "100 Mbit/s, 100 ms, 2 % loss, queue 1250 KB", "transfer", _entries(
        (_lossy_size(congestion, 64), *_ours(congestion)),
        (64, _tls("aes128", "bbr"), Ngtcp2("ngtcp2 bbr2", "bbr2"), Kcptun("kcptun aes128"))),
        _emulated("b2", 100, 50, 1250, 0.02))


def _fair(congestion, bdp):
    return Row(f"b3/{bdp}", f"20 Mbit/s, 40 ms, queue {100 * bdp} KB ({bdp} BDP): alone, and beside TCP CUBIC", "fairness",
               _entries((0, *_ours(congestion), *_reference(congestion), _tls("aes128", "bbr"), _tls("aes128", "cubic"),
                         Ngtcp2("ngtcp2 bbr2", "bbr2"))),
               _emulated(f"b3-{bdp}", 20, 20, 100 * bdp))


def _fast(congestion):
    return Row("c", "1 Gbit/s, 20 ms, queue 2500 KB", "transfer", _entries(
        (256, *_ours(congestion), *_reference(congestion), _tls("aes128", "bbr"), _tls("aes128", "cubic"),
         Ngtcp2("ngtcp2 bbr2", "bbr2"), Srt("SRT aes128"), Udt("UDT, no crypto"), Kcptun("kcptun aes128"))),
        _emulated("c", 1000, 10, 2500))


def _fast_lossy(congestion):
    return Row("c2", "1 Gbit/s, 20 ms, 0.1 % loss, queue 2500 KB", "transfer", _entries(
        (256, *_ours(congestion), _tls("aes128", "bbr"), Ngtcp2("ngtcp2 bbr2", "bbr2")),
        (64, _tls("aes128", "cubic"), Srt("SRT aes128"), Udt("UDT, no crypto"))),
        _emulated("c2", 1000, 10, 2500, 0.001))


def _messages(congestion):
    return Row("d", "Messages of 200 B, 20/s, beside a file: 50 Mbit/s, 25 ms one way, 2 % loss, queue 312 KB", "messages",
               [Entry(rival, 0) for rival in _ours(congestion)], _emulated("d", 50, 25, 312, 0.02))


def _memory(congestion):
    return Row("f", "Memory of an idle connection after 30 s, over 1000", "memory",
               [Entry(rival, 0) for rival in _ours(congestion)], lambda lines, rival: lines.clean())


def _file(congestion):
    return Row("g", "One file by `pinhole send`, from the command to its final name, beside the transport: clean veth", "transfer",
               _entries((1024, *_ours(congestion, ("aes", "chacha")), PinholeSend("pinhole send"))),
               lambda lines, rival: lines.clean())


def _relayed(congestion):
    return Row("h", "One file by `pinhole send`, direct and by our relay: 100 Mbit/s, 20 ms, queue 250 KB", "transfer",
               _entries((100, PinholeSend("pinhole send", whole=False),
                         PinholeSend("pinhole send, relayed", "relay", whole=False))),
               _emulated("h", 100, 10, 250))


def rows(congestion):
    return [_clean(congestion), _segmented(congestion), _lossy(congestion), _lossier(congestion), _fair(congestion, 1),
            _fair(congestion, 4), _fast(congestion), _fast_lossy(congestion), _messages(congestion), _memory(congestion),
            _file(congestion), _relayed(congestion)]
