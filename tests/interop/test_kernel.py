"""The kernel's NATs are what kernel_nats.py says of them, by the word of programs that this project did not write."""

import kernel_nats
from classifiers import NatDiscovery, Stun, classify
from interop_case import InteropCase
from kernel_nats import ADDRESS, BLOCK, INDEPENDENT, NONE, PRESERVING, RANDOM, SEQUENTIAL
from servers import Coturn


class KernelKinds(InteropCase):
    NEEDS = (Coturn, NatDiscovery, Stun)

    def test_others_find_every_kind_by_coturn(self):
        coturn = self.start_coturn()
        self.assert_right(classify(self.kernel_sides(), [NatDiscovery(), Stun()], {"coturn": coturn.address}))

    def test_ports_are_given_as_the_kind_says(self):
        coturn = self.start_coturn()
        sides = [side for side in self.kernel_sides() if side.truth.open]
        for side, found in self.probe(sides, coturn).items():
            with self.subTest(kind=side.name):
                truth = side.truth
                self.assertEqual({address for _, address, *_ in found}, {side.host.public})
                self.assert_mapping(truth.mapping, found)
                self.assert_allocation(truth, found)

    def test_tcp_passes_every_kind_and_is_treated_as_it_says(self):
        coturn = self.start_coturn()
        sides = [side for side in self.kernel_sides() if side.truth.tcp_open and side.name != "tcp-443-only"]
        for side, found in self.probe(sides, coturn, "tcp", sockets=4).items():
            with self.subTest(kind=side.name):
                self.assert_mapping(side.truth.tcp_mapping, found)
                self.assert_allocation(kernel_nats.Truth(allocation=side.truth.tcp_allocation), found)

    def assert_mapping(self, mapping, found):
        for local, _, first, other_port, other_address in found:
            ports = len({first, other_port, other_address})
            if mapping in (NONE, INDEPENDENT):
                self.assertEqual(ports, 1, found)
            elif mapping == ADDRESS:
                self.assertEqual((first == other_port, ports), (True, 2), found)
        if mapping not in (NONE, INDEPENDENT, ADDRESS):
            # Chance may give two the same port, but not often.
            self.assertGreaterEqual(sum(len(set(ports)) == 3 for _, _, *ports in found), len(found) - 1, found)

    def assert_allocation(self, truth, found):
        local = [port for port, *_ in found for _ in range(3)]
        made = [port for _, _, *ports in found for port in dict.fromkeys(ports)]
        if truth.allocation == PRESERVING:
            self.assertEqual(local, [port for _, _, *ports in found for port in ports])
        elif truth.allocation == SEQUENTIAL:
            self.assertEqual({after - before for before, after in zip(made, made[1:])}, {truth.delta}, made)
        elif truth.allocation == BLOCK:
            self.assertTrue(truth.block[0] <= min(made) <= max(made) <= truth.block[1], made)
            self.assertGreater(len({after - before for before, after in zip(made, made[1:])}), 8, made)
        elif truth.allocation == RANDOM:
            kept = sum(port in ports for port, _, *ports in found)
            self.assertLessEqual(kept, 1, found)
            self.assertGreater(max(made) - min(made), 2048, made)
