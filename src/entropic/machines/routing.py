"""The grid's router: the one flow of least loss on a network, proven, and its paths.

Flows are found by the min-cost-flow solver of OR-tools (cost scaling after Goldberg; exact in integers).  Which of
several best flows a solver picks is its own business and changes with its version, so the problem is made to
have one answer, by four criteria, each deciding only between what the ones before leave equal:

1. the most quanta delivered;
2. the least loss, Σ flow · share;
3. the fewest quanta on lines, Σ flow;
4. the least Σ flow · key, where a line's key is a fixed random number.

Whatever the solver returns is then proven, by residual cycles, to be the largest, cheapest and only answer
(`kernels.network.prove_flow`); if others are left, fresh keys decide among them until one is.  The result is a
property of the problem alone: not of the solver, its version, the machine or the order of the input.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import final

import numpy as np
from numpy.typing import NDArray
from ortools.graph.python.min_cost_flow import SimpleMinCostFlow

from entropic.errors import ResourceError
from entropic.kernels import NOT_UNIQUE, UNIQUE, nearest_supplier, prove_flow
from entropic.machines.network import Network

__all__ = ["EnergyRouter", "Route", "RoutingError"]

_KEY_BITS = 16  # of the first keys; fewer where the losses need the room. More make ties rarer and the solver slower
_FRESH_KEY_BITS = 24
_ATTEMPTS = 16  # with fresh keys; two flows stay equal by chance in one of 2^24 attempts or fewer


@final
class RoutingError(ResourceError):
    """The solver failed, or what it returned is not what it should be."""


@final
@dataclass(frozen=True)
class Route:
    """Quanta that take one path.

    Attributes
    ----------
    nodes, lines : tuple of int
        Regions on the way, supplier first, and the lines between them.
    quanta : int
        Quanta that arrive.
    """

    nodes: tuple[int, ...]
    lines: tuple[int, ...]
    quanta: int

    @property
    def source(self) -> int:
        return self.nodes[0]

    @property
    def sink(self) -> int:
        return self.nodes[-1]


@final
@dataclass(frozen=True, eq=False)
class EnergyRouter:
    """Finds paths and flows on a network."""

    network: Network

    @cached_property
    def most(self) -> int:
        """Most quanta that one call may be asked for: sums over a region's lines then stay within 64 bits."""
        degree = int(np.bincount(self.network.lines.ravel(), minlength=1).max())
        return int(2**62 // (self.network.regions + 2 * degree + 4))

    @cached_property
    def _ends(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Tails and heads: lines upwards, lines downwards, source to every region, every region to sink."""
        low, high = self.network.lines.T
        regions = np.arange(self.network.regions)
        source = np.full(self.network.regions, self.network.regions)
        return (
            np.concatenate([low, high, source, regions]),
            np.concatenate([high, low, regions, source + 1]),
        )

    def _keys(self, attempt: int, count: int, bits: int) -> NDArray[np.int64]:
        """Fixed random numbers 1 … 2^bits; the raw stream of a bit generator is the same in every NumPy."""
        return (np.random.Philox(key=attempt).random_raw(count) >> np.uint64(64 - bits)).astype(np.int64) + 1

    @cached_property
    def _highest_cost(self) -> int:
        return int(2**60 // (self.network.regions + 4))  # the solver multiplies costs by the number of nodes

    @cached_property
    def cost(self) -> NDArray[np.int64]:
        """Cost of each line, at least 0: criteria 2 to 4 in one number.

        A flow is the cheapest if no cycle of the residual network has a negative cost, and a cycle visits no node
        twice; so a criterion that weighs more than a cycle can gather of the next one decides first.
        """
        loss, cycle = self.network.loss, self.network.regions + 2
        shares = loss // max(int(np.gcd.reduce(loss)), 1) if loss.size else loss
        cost = shares * (cycle + 1) + 1
        cost //= max(int(np.gcd.reduce(cost)), 1) if cost.size else 1
        highest = int(cost.max(initial=1))
        if highest > self._highest_cost:
            return shares  # what this leaves undecided is decided by fresh keys
        bits = min(_KEY_BITS, (self._highest_cost // (highest * (cycle + 2))).bit_length() - 1)
        if bits < 1:
            return cost
        weighed: NDArray[np.int64] = cost * ((cycle << bits) + 1) + self._keys(0, cost.size, bits)
        return weighed

    @cached_property
    def _neighbours(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Where each region's neighbours begin, the neighbours, the lines to them."""
        tail, head = (ends[: 2 * self.network.line_count] for ends in self._ends)
        order = np.lexsort((head, tail))
        first = np.searchsorted(tail[order], np.arange(self.network.regions + 1))
        return first.astype(np.int64), head[order], order % max(self.network.line_count, 1)

    def find_optimal_path(self, source: int, sink: int) -> Route:
        """The path of least loss for one quantum; the route of no quanta if there is none."""
        if source == sink:
            return Route((source,), (), 1)
        offers, wants = np.zeros((2, self.network.regions), np.int64)
        offers[source] = wants[sink] = 1
        routes = self.paths(self.least_loss(offers, wants, self.network.capacity))
        return routes[0] if routes else Route((source, sink), (), 0)

    def least_loss(
        self, offers: NDArray[np.int64], wants: NDArray[np.int64], capacity: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """The most that offers can deliver to wants, with the least loss.

        Parameters
        ----------
        offers, wants : int64[regions]
            Quanta that may be sent and that are asked for; no region does both; ``wants`` sums up to `most` at most.
        capacity : int64[lines]
            Room on each line, both directions together.

        Returns
        -------
        int64[2, lines]
            Quanta upwards (lower region to higher) and downwards; at most one of the two is not 0.

        Raises
        ------
        RoutingError
        """
        lines = self.network.line_count
        total = int(wants.sum())
        offers, capacity = np.minimum(offers, total), np.minimum(capacity, total)
        if not total or not offers.any() or not capacity.any():
            return np.zeros((2, lines), np.int64)
        if np.count_nonzero(wants) == 1 and self.cost.min() > 0:
            single = self._along_nearest(offers, int(np.argmax(wants)), total, capacity)
            if single is not None:
                return single
        tail, head = self._ends
        both = np.concatenate([capacity, capacity])
        solver = SimpleMinCostFlow()
        arcs = solver.add_arcs_with_capacity_and_unit_cost(
            tail[: 2 * lines].astype(np.int32),
            head[: 2 * lines].astype(np.int32),
            both,
            np.concatenate([self.cost, self.cost]),
        )
        solver.set_nodes_supplies(np.arange(self.network.regions, dtype=np.int32), offers - wants)
        _expect(solver, solver.solve_max_flow_with_min_cost())
        flow = np.asarray(solver.flows(arcs), np.int64)
        return self._only(flow, np.concatenate([both, offers, wants]))

    def _along_nearest(
        self, offers: NDArray[np.int64], sink: int, total: int, capacity: NDArray[np.int64]
    ) -> NDArray[np.int64] | None:
        """The flow to a single sink, if all of it can take the cheapest path of all, and only one path is that."""
        first, neighbour, line = self._neighbours
        path = np.empty(self.network.regions, np.int64)
        length = nearest_supplier(first, neighbour, line, self.cost, capacity, offers, sink, path)
        if length < 0 or (length and offers[path[0]] < total):
            return None
        flow = np.zeros((2, self.network.line_count), np.int64)
        for tail, head in pairwise(path[:length]):
            at = first[tail] + np.searchsorted(neighbour[first[tail] : first[tail + 1]], head)
            if capacity[line[at]] < total:
                return None
            flow[int(tail > head), line[at]] = total
        return flow

    def _only(self, flow: NDArray[np.int64], capacity: NDArray[np.int64]) -> NDArray[np.int64]:
        """Prove a best flow to be the only one, or make it so."""
        lines, regions = self.network.line_count, self.network.regions
        tail, head = self._ends
        sent = np.zeros(regions, np.int64)
        np.add.at(sent, tail[: 2 * lines], flow)
        np.subtract.at(sent, head[: 2 * lines], flow)
        flow = np.concatenate([flow, np.maximum(sent, 0), np.maximum(-sent, 0)])
        cost = np.concatenate([self.cost, self.cost, np.zeros(2 * regions, np.int64)])
        arcs = np.flatnonzero(capacity > 0)
        potential = np.empty(regions + 2, np.int64)
        for attempt in range(1, _ATTEMPTS + 1):
            part = (tail[arcs], head[arcs], cost[arcs], capacity[arcs])
            verdict = prove_flow(*part, flow[arcs], regions, regions + 1, potential)
            if verdict == UNIQUE:
                return flow[: 2 * lines].reshape(2, lines)
            if verdict != NOT_UNIQUE:
                raise RoutingError(
                    f"the min-cost-flow solver returned a flow that is not the best (verdict {verdict}).",
                    "report it, with the configuration and the version of ortools",
                )
            arcs = arcs[cost[arcs] + potential[tail[arcs]] == potential[head[arcs]]]
            keys = self._keys(attempt, lines, _FRESH_KEY_BITS)
            cost[: 2 * lines] = np.concatenate([keys, keys])
            flow[arcs] = self._cheapest(arcs, cost, capacity, flow)
        raise RoutingError(
            f"{_ATTEMPTS} sets of keys leave more than one best flow.", "report it, with the configuration"
        )

    def _cheapest(
        self,
        arcs: NDArray[np.int64],
        cost: NDArray[np.int64],
        capacity: NDArray[np.int64],
        flow: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """The cheapest flow on some arcs that leaves every node's balance as it is."""
        nodes = self.network.regions + 2
        tail, head = (ends[arcs] for ends in self._ends)
        balance = np.zeros(nodes, np.int64)
        np.add.at(balance, tail, flow[arcs])
        np.subtract.at(balance, head, flow[arcs])
        solver = SimpleMinCostFlow()
        numbers = solver.add_arcs_with_capacity_and_unit_cost(
            tail.astype(np.int32), head.astype(np.int32), capacity[arcs], cost[arcs]
        )
        solver.set_nodes_supplies(np.arange(nodes, dtype=np.int32), balance)
        _expect(solver, solver.solve())
        return np.asarray(solver.flows(numbers), np.int64)

    def paths(self, flow: NDArray[np.int64]) -> list[Route]:
        """Cut a flow into paths, from the lowest supplier on, at every region to its lowest neighbour first.

        A region that still wants something keeps what comes through; there are no cycles to be cut, for a flow of
        least cost has none.
        """
        lines = self.network.line_count
        used = np.flatnonzero(flow)
        tail, head = (ends[used] for ends in self._ends)
        used = used[np.lexsort((head, tail))]
        onward: dict[int, list[list[int]]] = {}  # to each region: [neighbour, line, quanta left], last one first
        sent: dict[int, int] = {}
        for arc, quanta in zip(used[::-1].tolist(), flow.ravel()[used[::-1]].tolist(), strict=True):
            a, b = int(self._ends[0][arc]), int(self._ends[1][arc])
            onward.setdefault(a, []).append([b, arc % lines, quanta])
            sent[a] = sent.get(a, 0) + quanta
            sent[b] = sent.get(b, 0) - quanta
        routes = []
        for source in sorted(region for region, quanta in sent.items() if quanta > 0):
            while sent[source] > 0:
                nodes, steps = [source], []
                while sent[nodes[-1]] >= 0:
                    steps.append(onward[nodes[-1]][-1])
                    nodes.append(steps[-1][0])
                quanta = min(sent[source], -sent[nodes[-1]], *(step[2] for step in steps))
                sent[source] -= quanta
                sent[nodes[-1]] += quanta
                for node, step in zip(nodes, steps, strict=False):
                    step[2] -= quanta
                    if not step[2]:
                        onward[node].pop()
                routes.append(Route(tuple(nodes), tuple(step[1] for step in steps), quanta))
        return routes


def _expect(solver: SimpleMinCostFlow, status: object) -> None:
    if status != solver.OPTIMAL:
        raise RoutingError(
            f"the min-cost-flow solver ended with {getattr(status, 'name', status)}, expected OPTIMAL.",
            "report it, with the configuration and the version of ortools",
        )
