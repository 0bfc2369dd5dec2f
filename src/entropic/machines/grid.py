"""The energy grid: demands in classes, strictly one after another, each class served with the least loss.

Order of service.  The original's scheduler sorts demands by their priority and serves them in that order, so the
*lower* number goes first.  Erasure is always before all of them.  A class takes what it can get: no later class
is looked at until it is served as far as supplies and lines allow.

Within a class a region's own battery serves first (no line, no loss: this is always part of a best flow), the rest
is the one flow of the most delivered and, of those, the least loss (`routing`), with line losses taken as
proportional.  What a battery then really pays is counted to the quantum (`transfer`).  Where a battery cannot pay
the losses beside all that it would send, its offer is cut in proportion and the flow is found anew; energy that
this leaves behind is offered once more.  So with enough in the batteries the flow is the exact optimum; where they
run dry it is the exact optimum of the offers that can be paid.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

from entropic.errors import UsageError
from entropic.machines.network import Network
from entropic.machines.routing import EnergyRouter, Route
from entropic.machines.shares import PARTS
from entropic.machines.transfer import ERASURE, FlowMonitor, Flows, Transfers

__all__ = [
    "DemandError",
    "EnergyDemand",
    "EnergyGrid",
    "EnergyScheduler",
    "GridOutcome",
    "GridRangeError",
    "UnreachableDemandError",
]

_CUTS = 4  # rounds in which offers are cut in proportion to their bills; halved from then on


@final
class DemandError(UsageError):
    """A demand that cannot be."""


@final
class UnreachableDemandError(UsageError):
    """A demand in a region that no line leads to."""


@final
class GridRangeError(UsageError):
    """More quanta than the grid can count, or arrays that do not fit it."""


@final
@dataclass(frozen=True)
class EnergyDemand:
    """Energy that is asked for, every cycle.

    Parameters
    ----------
    region : int
    quanta : int
        Quanta a cycle.
    priority : int
        Class; the lower goes first.
    kind : {'compute', 'export'}
        Compute becomes heat in the region, export leaves.
    """

    region: int
    quanta: int
    priority: int
    kind: Literal["compute", "export"]


@final
@dataclass(frozen=True)
class EnergyScheduler:
    """Decides who goes first."""

    def prioritize(self, demands: Sequence[EnergyDemand]) -> tuple[tuple[int, ...], ...]:
        """Numbers of the demands, class by class, the lowest priority number first.

        Demands of a class in one region share what arrives there in this order: compute before export, the smaller
        before the larger, then as given.
        """

        def rank(number: int) -> tuple[int, int, str, int, int]:
            demand = demands[number]
            return demand.priority, demand.region, demand.kind, demand.quanta, number

        order = sorted(range(len(demands)), key=rank)
        return tuple(tuple(group) for _, group in groupby(order, key=lambda number: demands[number].priority))


@final
@dataclass(frozen=True, eq=False)
class GridOutcome:
    """What a cycle of the grid did.

    ``supply.sum() = battery.sum() + erasure_paid.sum() + delivered.sum() + loss_heat.sum()``, and ``delivered.sum()
    = compute_heat.sum() + exported.sum()``.

    Attributes
    ----------
    battery : int64[regions]
        Quanta left.
    erasure_paid : int64[regions]
        Quanta that arrived for erasure: all that was asked for, or 0.
    compute_heat, exported : int64[regions]
        Quanta delivered that become heat, and that leave.
    loss_heat : int64[regions]
        Quanta lost on lines, where they become heat.
    delivered : int64[demands]
        Quanta that each demand got.
    flows : Flows
    carried : int64[lines]
        Parts of a quantum that each line still owes.
    """

    battery: NDArray[np.int64]
    erasure_paid: NDArray[np.int64]
    compute_heat: NDArray[np.int64]
    exported: NDArray[np.int64]
    loss_heat: NDArray[np.int64]
    delivered: NDArray[np.int64]
    flows: Flows
    carried: NDArray[np.int64]


@final
@dataclass(frozen=True, eq=False)
class EnergyGrid:
    """Lines, and who asks for energy.

    Parameters
    ----------
    network : Network
    demands : sequence of EnergyDemand

    Raises
    ------
    DemandError, UnreachableDemandError, GridRangeError
        On construction.
    """

    network: Network
    demands: tuple[EnergyDemand, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "demands", tuple(self.demands))
        linked = np.zeros(self.network.regions, np.bool_)
        linked[self.network.lines[self.network.capacity > 0].ravel()] = True
        for number, demand in enumerate(self.demands):
            if not 0 <= demand.region < self.network.regions:
                raise DemandError(
                    f"demand {number} is in region {demand.region}, expected 0 to {self.network.regions - 1}.",
                    "name a region of the field",
                )
            if demand.quanta < 0:
                raise DemandError(
                    f"demand {number} asks for {demand.quanta} quanta, expected at least 0.", "ask for 0 or more"
                )
            if demand.quanta and self.network.regions > 1 and not linked[demand.region]:
                raise UnreachableDemandError(
                    f"demand {number} is in region {demand.region}, which no line leads to that can carry anything.",
                    "give the network a line to it, or a capacity to its lines, or the demand another region",
                )
        total = sum(demand.quanta for demand in self.demands)
        if total > self.router.most:
            raise GridRangeError(
                f"the demands add up to {total} quanta a cycle, expected at most {self.router.most}.",
                "ask for less, or make a quantum larger",
            )

    @cached_property
    def router(self) -> EnergyRouter:
        return EnergyRouter(self.network)

    @cached_property
    def monitor(self) -> FlowMonitor:
        return FlowMonitor(self.network)

    @cached_property
    def classes(self) -> tuple[tuple[int, ...], ...]:
        """Numbers of the demands by class, in the order of service."""
        return EnergyScheduler().prioritize(self.demands)

    def route(self, supply: NDArray[np.int64], erasure: NDArray[np.int64], carried: NDArray[np.int64]) -> GridOutcome:
        """One cycle.

        Parameters
        ----------
        supply : int64[regions]
            Quanta in the batteries.
        erasure : int64[regions]
            Quanta that each region's erasure takes: it gets all of them or none.
        carried : int64[lines]
            As the cycle before left it; 0 at the start.

        Raises
        ------
        GridRangeError, RoutingError
        """
        self._check(supply, erasure, carried)
        transfers = Transfers(self.network, supply.astype(np.int64), carried.tolist())
        erasure_paid = self._erase(transfers, erasure.tolist())
        delivered = [0] * len(self.demands)
        for group in self.classes:
            self._serve(transfers, group, delivered)
        heat, exported = np.zeros((2, self.network.regions), np.int64)
        for demand, quanta in zip(self.demands, delivered, strict=True):
            (heat if demand.kind == "compute" else exported)[demand.region] += quanta
        return GridOutcome(
            battery=transfers.battery,
            erasure_paid=np.array(erasure_paid, np.int64),
            compute_heat=heat,
            exported=exported,
            loss_heat=transfers.heat,
            delivered=np.array(delivered, np.int64),
            flows=transfers.flows(),
            carried=np.array(transfers.carried, np.int64),
        )

    def _check(self, supply: NDArray[np.int64], erasure: NDArray[np.int64], carried: NDArray[np.int64]) -> None:
        for name, array, size, above in (
            ("supply", supply, self.network.regions, 2**62 + 1),
            ("erasure", erasure, self.network.regions, self.router.most // max(self.network.regions, 1) + 1),
            ("carried", carried, self.network.line_count, PARTS),
        ):
            if array.shape != (size,):
                raise GridRangeError(f"{name} has shape {array.shape}, expected ({size},).", "fit it to the network")
            if array.size and not 0 <= array.min() <= array.max() < above:
                raise GridRangeError(
                    f"{name} goes from {int(array.min())} to {int(array.max())}, expected 0 to below {above}.",
                    "start from a sound state, or make a quantum larger",
                )

    def _serve(self, transfers: Transfers, group: tuple[int, ...], delivered: list[int]) -> None:
        """Serve one class as far as can be."""
        waiting: dict[int, list[int]] = {}
        for number in group:
            demand = self.demands[number]
            own = min(demand.quanta, int(transfers.battery[demand.region]))
            if own:
                transfers.keep(number, demand.region, own)
                delivered[number] = own
            if own < demand.quanta:
                waiting.setdefault(demand.region, []).append(number)
        spent: set[int] = set()  # suppliers that could not pay for what a path would have cost
        while waiting:
            wants = np.zeros(self.network.regions, np.int64)
            for region, numbers in waiting.items():
                wants[region] = sum(self.demands[number].quanta - delivered[number] for number in numbers)
            offers = transfers.battery.copy()
            offers[[*waiting, *spent]] = 0
            routes, cut = self._affordable(transfers, offers, wants)
            for route in routes:
                quanta = transfers.payable(route)
                if quanta < route.quanta:
                    spent.add(route.source)
                    cut = True
                self._hand_over(transfers, route, quanta, waiting, delivered)
            if not routes or not cut:  # nothing is left that could be sent
                return

    def _hand_over(
        self, transfers: Transfers, route: Route, quanta: int, waiting: dict[int, list[int]], delivered: list[int]
    ) -> None:
        """Share what a route brings among the demands of its last region, the first of them first."""
        numbers = waiting.get(route.sink, [])
        while quanta:
            number = numbers[0]
            part = min(quanta, self.demands[number].quanta - delivered[number])
            transfers.send(number, route, part)
            delivered[number] += part
            quanta -= part
            if delivered[number] == self.demands[number].quanta:
                numbers.pop(0)
        if not numbers:
            waiting.pop(route.sink, None)

    def _affordable(
        self, transfers: Transfers, offers: NDArray[np.int64], wants: NDArray[np.int64]
    ) -> tuple[list[Route], bool]:
        """The best flow that batteries can pay for, or nearly; and whether offers had to be cut for it."""
        cut = False
        for _ in range(_CUTS):
            routes = self.router.paths(self.router.least_loss(offers, wants, transfers.room))
            offers, over = _cut_offers(transfers, routes, offers)
            if not over:
                break
            cut = True
        return routes, cut

    def _erase(self, transfers: Transfers, erasure: list[int]) -> list[int]:
        """Pay for erasure, all of a region's or nothing.

        Own batteries first.  Then passes over the regions whose batteries fall short: of those with the smallest
        erasures, as many as all batteries together could pay, `_choose` serves some, or they are passed over.
        """
        paid = [0] * len(erasure)
        waiting = []
        for region, (quanta, held) in enumerate(zip(erasure, transfers.battery.tolist(), strict=True)):
            if not quanta:
                continue
            if held >= quanta:
                transfers.keep(ERASURE, region, quanta)
                paid[region] = quanta
            else:
                waiting.append(region)
        while candidates := _within_energy(transfers, waiting, erasure):
            chosen, routes = self._choose(transfers, candidates, erasure)
            for region in chosen:
                if transfers.battery[region]:
                    transfers.keep(ERASURE, region, int(transfers.battery[region]))
                paid[region] = erasure[region]
            for route in routes:
                transfers.send(ERASURE, route, route.quanta)
            given_up = set(chosen or candidates)  # served, or cut off: not even one of them could be
            waiting = [region for region in waiting if region not in given_up]
        return paid

    def _choose(self, transfers: Transfers, candidates: list[int], erasure: list[int]) -> tuple[list[int], list[Route]]:
        """Candidates whose erasure can be paid for together, and the routes that do it.

        Of those that the best flow does not fill, the larger half (the later in order) is given up, and its
        batteries are free for the others; again until all are filled.  Where suppliers cannot pay the losses, their
        offers are cut, and the largest erasures are given up until the offers suffice.
        """
        limit = transfers.battery.copy()
        wanted = np.array(erasure, np.int64) - limit
        rounds = 0
        while candidates:
            wants = np.zeros_like(limit)
            wants[candidates] = wanted[candidates]
            offers = limit.copy()
            offers[candidates] = 0
            flow = self.router.least_loss(offers, wants, transfers.room)
            routes = self.router.paths(flow)
            for route in routes:
                wants[route.sink] -= route.quanta
            short = [region for region in candidates if wants[region]]
            if short:
                given_up = set(short[len(short) // 2 :])
                candidates = [region for region in candidates if region not in given_up]
                continue
            rounds += 1
            offers, over = _cut_offers(transfers, routes, offers, halve=rounds > _CUTS)
            if not over:
                return candidates, routes
            limit[over] = offers[over]
            offers[candidates] = 0
            spare = int(offers.sum()) - int(wanted[candidates].sum())
            while candidates and spare < 0:
                spare += erasure[candidates[-1]]  # it wants nothing, and its battery is free
                candidates = candidates[:-1]
        return [], []


def _within_energy(transfers: Transfers, waiting: Iterable[int], erasure: list[int]) -> list[int]:
    """Regions by the size of their erasure (then by number), as many as all batteries together could pay."""
    energy = sum(transfers.battery.tolist())
    candidates = []
    for region in sorted(waiting, key=lambda region: (erasure[region], region)):
        energy -= erasure[region]
        if energy < 0:
            break
        candidates.append(region)
    return candidates


def _cut_offers(
    transfers: Transfers, routes: Iterable[Route], offers: NDArray[np.int64], halve: bool = False
) -> tuple[NDArray[np.int64], list[int]]:
    """Offers of suppliers that could not pay their bills cut to what they could, and who these are."""
    offers, over = offers.copy(), []
    for source, (sent, bill) in transfers.bills(routes).items():
        held = int(transfers.battery[source])
        if bill > held:
            over.append(source)
            # At least one less than was sent; not 0 too early, for one quantum may be free of loss.
            offers[source] = max(sent // 2 if halve else sent * held // bill, min(sent - 1, 1))
    return offers, over
