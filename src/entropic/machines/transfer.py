"""Energy on its way: batteries pay what they send and what the lines lose, to the quantum, and every flow is recorded.

A line loses a share of what it delivers.  The supplier pays the loss on top, out of its battery, and the loss
becomes heat at the sending end of the line.  A line's losses are whole quanta; what is left over is carried to
its next use (`shares`), so over any time it has lost ⌊share · quanta delivered over it⌋.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import final

import numpy as np
from numpy.typing import NDArray

from entropic.machines.network import Network
from entropic.machines.routing import Route
from entropic.machines.shares import PARTS

__all__ = ["ERASURE", "FlowMonitor", "Flows", "Transfers"]

ERASURE = -1
"""Stands for a demand's number in the record of a flow that pays for erasure."""


@final
@dataclass(frozen=True, eq=False)
class Flows:
    """The record of every transfer of a cycle, in the order in which they were made.

    Attributes
    ----------
    demand : int64[flows]
        Number of the demand that it served; `ERASURE` for an erasure.
    source, sink : int64[flows]
        Regions; the same if a battery served its own region.
    quanta, loss : int64[flows]
        Quanta delivered, and lost on the way beside them.
    resistance : int64[flows]
        Sum of the shares that the lines of the path lose, in parts of 10⁹.
    path_start : int64[flows + 1]
        Flow f went through regions ``path[path_start[f] : path_start[f + 1]]``.
    path : int64
        Regions, one path after another.
    """

    demand: NDArray[np.int64]
    source: NDArray[np.int64]
    sink: NDArray[np.int64]
    quanta: NDArray[np.int64]
    loss: NDArray[np.int64]
    resistance: NDArray[np.int64]
    path_start: NDArray[np.int64]
    path: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.demand)

    def path_of(self, flow: int) -> NDArray[np.int64]:
        """Regions that a flow went through."""
        return self.path[self.path_start[flow] : self.path_start[flow + 1]]


@final
@dataclass(frozen=True, eq=False)
class FlowMonitor:
    """Reads the record of a cycle's flows."""

    network: Network

    def line_quanta(self, flows: Flows) -> NDArray[np.int64]:
        """Quanta that each line delivered, both directions together: int64[lines]."""
        hops = np.ones(max(len(flows.path) - 1, 0), np.bool_)
        hops[flows.path_start[1:-1] - 1] = False  # from the end of one path to the start of the next
        owner = np.repeat(np.arange(len(flows)), np.diff(flows.path_start) - 1)
        ends = np.sort(np.stack([flows.path[:-1][hops], flows.path[1:][hops]], -1), axis=1)
        known = self.network.lines @ np.array([self.network.regions, 1])
        line = np.searchsorted(known, ends @ np.array([self.network.regions, 1]))
        quanta = np.zeros(self.network.line_count, np.int64)
        np.add.at(quanta, line, flows.quanta[owner])
        return quanta

    def utilisation(self, flows: Flows) -> NDArray[np.float64]:
        """Share of each line's capacity that was used: float64[lines]; 0 for a line without capacity."""
        capacity = self.network.capacity
        used: NDArray[np.float64] = self.line_quanta(flows) / np.maximum(capacity, 1)
        return used

    def total_loss(self, flows: Flows) -> int:
        """Quanta lost on lines."""
        return int(flows.loss.sum())


@final
@dataclass
class Transfers:
    """One cycle's accounts while they change.  It owns the arrays that it is given.

    Attributes
    ----------
    battery : int64[regions]
        Quanta in each region's battery.
    carried : list of int
        Parts of a quantum that each line still owes; Python's integers, for products with shares pass 64 bits.
    room : int64[lines]
        Quanta that each line may still deliver.
    heat : int64[regions]
        Quanta lost, by the region where they become heat.
    """

    network: Network
    battery: NDArray[np.int64]
    carried: list[int]
    room: NDArray[np.int64] = field(init=False)
    heat: NDArray[np.int64] = field(init=False)
    _records: list[tuple[int, int, int, int, int, int]] = field(init=False, default_factory=list)
    _paths: list[Sequence[int]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.room = self.network.capacity.copy()
        self.heat = np.zeros(self.network.regions, np.int64)
        self._loss: list[int] = self.network.loss.tolist()

    def bills(self, routes: Iterable[Route]) -> dict[int, tuple[int, int]]:
        """What each supplier would send over routes taken in this order, and pay in all; nothing is changed."""
        carried: dict[int, int] = {}
        bills: dict[int, tuple[int, int]] = {}
        for route in routes:
            lost = 0
            for line in route.lines:
                owed, carried[line] = divmod(
                    route.quanta * self._loss[line] + carried.get(line, self.carried[line]), PARTS
                )
                lost += owed
            sent, paid = bills.get(route.source, (0, 0))
            bills[route.source] = (sent + route.quanta, paid + route.quanta + lost)
        return bills

    def payable(self, route: Route) -> int:
        """Quanta of a route, at most all, that its supplier can send and pay the losses of."""
        held = int(self.battery[route.source])
        low, high = 0, min(route.quanta, held)
        middle = high  # most often all can be paid
        while low < high:  # the bill grows with what is sent
            bill = middle + sum((middle * self._loss[line] + self.carried[line]) // PARTS for line in route.lines)
            low, high = (middle, high) if bill <= held else (low, middle - 1)
            middle = (low + high + 1) // 2
        return low

    def send(self, demand: int, route: Route, quanta: int) -> None:
        """Send quanta along a route; its supplier must be able to pay."""
        lost = 0
        resistance = 0
        for line, (tail, _) in zip(route.lines, pairwise(route.nodes), strict=True):
            owed, self.carried[line] = divmod(quanta * self._loss[line] + self.carried[line], PARTS)
            self.room[line] -= quanta
            self.heat[tail] += owed
            lost += owed
            resistance += self._loss[line]
        self.battery[route.source] -= quanta + lost
        self._records.append((demand, route.source, route.sink, quanta, lost, resistance))
        self._paths.append(route.nodes)

    def keep(self, demand: int, region: int, quanta: int) -> None:
        """Let a battery serve its own region."""
        self.battery[region] -= quanta
        self._records.append((demand, region, region, quanta, 0, 0))
        self._paths.append((region,))

    def flows(self) -> Flows:
        """The record so far."""
        columns = np.array(self._records, np.int64).reshape(-1, 6).T
        start = np.zeros(len(self._paths) + 1, np.int64)
        np.cumsum([len(path) for path in self._paths], out=start[1:])
        path = np.fromiter((node for nodes in self._paths for node in nodes), np.int64, int(start[-1]))
        demand, source, sink, quanta, loss, resistance = (np.ascontiguousarray(column) for column in columns)
        return Flows(demand, source, sink, quanta, loss, resistance, start, path)
