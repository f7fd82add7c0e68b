"""The model's NATs, in natbox, are what they are set to, by the word of programs that this project did not write."""

import natbox_cells
from classifiers import COTURN, OURS, NatDiscovery, Stun, classify
from interop_case import InteropCase
from servers import Coturn


class NatboxCells(InteropCase):
    NEEDS = (Coturn, NatDiscovery, Stun)

    def sides(self, cells=natbox_cells.CELLS):
        self.box, sides = natbox_cells.start(self.binaries, cells)
        self.addCleanup(self.box.close)
        return sides

    def test_others_find_every_cell_by_coturn(self):
        sides = self.sides()
        coturn = self.start_coturn(self.box.hosts["coturn"])
        self.assert_right(classify(sides, [NatDiscovery(), Stun()], {COTURN: coturn.address}))

    def test_others_find_every_cell_by_our_server(self):
        sides = self.sides()
        ours = self.start_ours(self.box.hosts["ours"])
        self.assert_right(classify(sides, [NatDiscovery(), Stun()], {OURS: ours.address}))

    def test_netcheck_knows_every_cell_by_our_server(self):
        sides = self.sides()
        ours = self.start_ours(self.box.hosts["ours"])
        self.assert_right(classify(sides, [self.netcheck(ours)], {OURS: ours.address}))

    def test_netcheck_knows_every_cell_by_coturn(self):
        sides = self.sides()
        coturn = self.start_coturn(self.box.hosts["coturn"])
        self.assert_right(classify(sides, [self.netcheck()], {COTURN: coturn.address}))

    def test_ports_are_given_as_it_was_set(self):
        sides = [side for side in self.sides() if side.truth.open]
        coturn = self.start_coturn(self.box.hosts["coturn"])
        for side, found in self.probe(sides, coturn).items():
            with self.subTest(cell=side.name):
                self.assert_ports(side, found)

    def test_tcp_is_treated_as_it_was_set(self):
        sides = [side for side in self.sides() if side.truth.tcp_open]
        coturn = self.start_coturn(self.box.hosts["coturn"])
        for side, found in self.probe(sides, coturn, "tcp", sockets=4).items():
            with self.subTest(cell=side.name):
                self.assert_tcp_ports(side, found)
