"""Slow, readable twins of `entropic.kernels.network`, and drawn networks: plain Python, brute force."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from entropic.machines.network import Network
from entropic.machines.shares import PARTS
from entropic.machines.transfer import Flows

Arc = tuple[int, int, int, int, int]  # tail, head, cost, capacity, flow


@dataclass(frozen=True)
class Step:
    """An arc of the residual network: flow added to an arc (forward) or taken from it."""

    tail: int
    head: int
    cost: int
    arc: int


def residual(arcs: list[Arc]) -> list[Step]:
    steps = []
    for number, (tail, head, cost, capacity, flow) in enumerate(arcs):
        if flow < capacity:
            steps.append(Step(tail, head, cost, number))
        if flow > 0:
            steps.append(Step(head, tail, -cost, number))
    return steps


def cycles(steps: list[Step]) -> Iterator[list[Step]]:
    """All cycles that visit no node twice, but for an arc there and back."""

    def extend(path: list[Step], visited: set[int]) -> Iterator[list[Step]]:
        for step in steps:
            if step.tail != path[-1].head:
                continue
            if step.head == path[0].tail:
                if not (len(path) == 1 and path[0].arc == step.arc):
                    yield [*path, step]
            elif step.head > path[0].tail and step.head not in visited:
                yield from extend([*path, step], visited | {step.head})

    for step in steps:
        if step.head > step.tail:
            yield from extend([step], {step.tail, step.head})


def prove_flow(arcs: list[Arc], source: int, sink: int) -> int:
    """0: the only best flow; 1: one of several; 2: more can be sent; 3: it can be had cheaper."""
    steps = residual(arcs)
    reached, grown = {source}, True
    while grown:
        more = {step.head for step in steps if step.tail in reached} - reached
        reached |= more
        grown = bool(more)
    if sink in reached:
        return 2
    costs = [sum(step.cost for step in cycle) for cycle in cycles(steps)]
    if any(cost < 0 for cost in costs):
        return 3
    return 1 if 0 in costs else 0


def nearest_supplier(
    lines: list[tuple[int, int]], cost: list[int], capacity: list[int], supply: list[int], sink: int
) -> tuple[int, list[int]]:
    """Nodes of the one cheapest path to the sink and the path; (0, []) if there is none, (−1, []) if several."""
    found: list[tuple[int, list[int]]] = []

    def extend(path: list[int], spent: int) -> None:
        if supply[path[-1]] > 0:
            found.append((spent, path[::-1]))
        for (a, b), price, room in zip(lines, cost, capacity, strict=True):
            for here, there in ((a, b), (b, a)):
                if here == path[-1] and there not in path and room > 0:
                    extend([*path, there], spent + price)

    extend([sink], 0)
    if not found:
        return 0, []
    least = min(spent for spent, _ in found)
    best = [path for spent, path in found if spent == least]
    return (len(best[0]), best[0]) if len(best) == 1 else (-1, [])


def draw_network(rng: np.random.Generator, regions: int, loss: int = PARTS // 2) -> Network:
    """Any graph; capacities and losses small, large and 0, so that ties abound."""
    pairs = np.array([(a, b) for a in range(regions) for b in range(a + 1, regions)], np.int64).reshape(-1, 2)
    chosen = rng.permutation(pairs)[: rng.integers(0, len(pairs) + 1)]
    capacity = rng.integers(0, rng.choice([3, 30, 2000]), len(chosen))
    palette = rng.integers(0, loss, 2) if loss else np.zeros(2, np.int64)
    return Network(regions, chosen, capacity, rng.choice([0, *palette], len(chosen)))


def replay(network: Network, flows: Flows, carried: NDArray[np.int64]) -> tuple[list[int], list[int], list[int]]:
    """Line losses straight from the record of flows.

    Returns the loss of each flow, the heat of each region, and what each line still owes.
    """
    number = {(int(a), int(b)): at for at, (a, b) in enumerate(network.lines)}
    owed = [Fraction(int(parts), PARTS) for parts in carried]
    heat = [0] * network.regions
    losses = []
    for flow in range(len(flows)):
        path = [int(node) for node in flows.path_of(flow)]
        lost = 0
        for tail, head in pairwise(path):
            line = number[min(tail, head), max(tail, head)]
            owed[line] += int(flows.quanta[flow]) * Fraction(int(network.loss[line]), PARTS)
            whole = owed[line].numerator // owed[line].denominator
            owed[line] -= whole
            heat[tail] += whole
            lost += whole
        losses.append(lost)
    return losses, heat, [int(rest * PARTS) for rest in owed]
