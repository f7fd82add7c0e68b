"""What `pinhole netcheck` promises besides being right: its times, and the measurements that are made on request."""

import kernel_nats
from classifiers import COTURN, OURS, Side, classify
from interop_case import InteropCase
from servers import Coturn

# What takes longest, and what takes longest to notice.
_DIFFERENT = ("public", "eim", "symmetric", "udp-blocked")


class NetcheckPromises(InteropCase):
    NEEDS = (Coturn,)

    def test_it_answers_in_time_by_our_server(self):
        ours = self.start_ours()
        self.assert_right(classify(self.kernel_sides(_DIFFERENT), [self.netcheck(ours, patience=1)], {OURS: ours.address}))

    def test_it_answers_in_time_by_coturn(self):
        coturn = self.start_coturn()
        self.assert_right(classify(self.kernel_sides(_DIFFERENT), [self.netcheck(patience=1)], {COTURN: coturn.address}))

    def test_it_measures_how_long_mappings_live(self):
        ours = self.start_ours()
        sides = self.kernel_sides(("short-timers", "eim"))
        # The kernel looks for what is over every now and then: 12 s end before 15, and after 10.
        middle = self.lab.add_nat("nm", "eim", limits=kernel_nats.Limits(udp_timeout_s=12)).add_host("m")
        sides.append(Side("12 s", middle, kernel_nats.KINDS["eim"].truth))
        found = classify(sides, [self.netcheck(ours, patience=9, arguments=("--lifetime", "15s"))], {OURS: ours.address})
        self.assert_right(found)
        # The longest of its rests (0, 10, 15 s and so on) that a mapping survived.
        self.assertEqual({finding.side.name: finding.verdict["lifetime_s"] for finding in found},
                         {"short-timers": 0, "12 s": 10, "eim": 15})
