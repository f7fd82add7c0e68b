"""The kernel's NATs are what kernel_nats.py says of them, by the word of programs that this project did not write."""

from classifiers import COTURN, OURS, NatDiscovery, Stun, classify
from interop_case import InteropCase
from servers import Coturn


class KernelKinds(InteropCase):
    NEEDS = (Coturn, NatDiscovery, Stun)

    def test_others_find_every_kind_by_coturn(self):
        coturn = self.start_coturn()
        self.assert_right(classify(self.kernel_sides(), [NatDiscovery(), Stun()], {COTURN: coturn.address}))

    def test_others_find_every_kind_by_our_server(self):
        ours = self.start_ours()
        self.assert_right(classify(self.kernel_sides(), [NatDiscovery(), Stun()], {OURS: ours.address}))

    def test_netcheck_knows_every_kind_by_our_server(self):
        ours = self.start_ours()
        self.assert_right(classify(self.kernel_sides(), [self.netcheck(ours)], {OURS: ours.address}))

    def test_netcheck_knows_every_kind_by_coturn(self):
        coturn = self.start_coturn()
        self.assert_right(classify(self.kernel_sides(), [self.netcheck()], {COTURN: coturn.address}))

    def test_ports_are_given_as_the_kind_says(self):
        coturn = self.start_coturn()
        sides = [side for side in self.kernel_sides() if side.truth.open]
        for side, found in self.probe(sides, coturn).items():
            with self.subTest(kind=side.name):
                self.assert_ports(side, found)

    def test_tcp_passes_every_kind_and_is_treated_as_it_says(self):
        coturn = self.start_coturn()
        sides = [side for side in self.kernel_sides() if side.truth.tcp_open]
        for side, found in self.probe(sides, coturn, "tcp", sockets=4).items():
            with self.subTest(kind=side.name):
                self.assert_tcp_ports(side, found)
