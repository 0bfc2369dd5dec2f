"""The grid: class order, conservation, capacities, exact losses, whole erasures; whatever the order of the input."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import reference_network as slow
from entropic.machines.grid import (
    DemandError,
    EnergyDemand,
    EnergyGrid,
    EnergyScheduler,
    GridOutcome,
    GridRangeError,
    UnreachableDemandError,
)
from entropic.machines.network import Network
from entropic.machines.shares import PARTS
from entropic.machines.transfer import ERASURE

SEEDS = st.integers(0, 2**32 - 1)


def none(network: Network) -> NDArray[np.int64]:
    return np.zeros(network.line_count, np.int64)


def draw_demands(rng: np.random.Generator, network: Network, classes: int = 3) -> tuple[EnergyDemand, ...]:
    linked = np.unique(network.lines[network.capacity > 0]) if network.regions > 1 else np.zeros(1, np.int64)
    high = int(rng.choice([3, 50, 4000]))
    return tuple(
        EnergyDemand(int(rng.choice(linked)), int(quanta), int(rng.integers(classes)), str(rng.choice(["compute", "export"])))
        for quanta in rng.integers(0, high, rng.integers(0, 9) if len(linked) else 0)
    )  # fmt: skip


def draw_grid(
    rng: np.random.Generator, loss: int = PARTS // 2
) -> tuple[EnergyGrid, NDArray[np.int64], NDArray[np.int64]]:
    """A grid, what its batteries hold and what erasure takes; plenty at times, too little at others."""
    network = slow.draw_network(rng, int(rng.integers(1, 8)), loss)
    grid = EnergyGrid(network, draw_demands(rng, network))
    supply = rng.integers(0, rng.choice([3, 60, 20000]), network.regions) * (rng.random(network.regions) < 0.7)
    erasure = rng.integers(0, rng.choice([2, 50, 2000]), network.regions) * (rng.random(network.regions) < rng.random())
    return grid, supply, erasure


def check(
    grid: EnergyGrid, supply: NDArray[np.int64], erasure: NDArray[np.int64], carried: NDArray[np.int64]
) -> GridOutcome:
    """One cycle, and all that must hold of any."""
    network = grid.network
    before = [array.copy() for array in (supply, erasure, carried)]
    outcome = grid.route(supply, erasure, carried)
    assert all(np.array_equal(a, b) for a, b in zip(before, (supply, erasure, carried), strict=True))
    flows = outcome.flows
    assert (outcome.battery >= 0).all()
    assert supply.sum() == (
        outcome.battery.sum() + outcome.erasure_paid.sum() + outcome.delivered.sum() + outcome.loss_heat.sum()
    )
    assert ((outcome.erasure_paid == erasure) | (outcome.erasure_paid == 0)).all()
    by_kind = {"compute": np.zeros(network.regions, np.int64), "export": np.zeros(network.regions, np.int64)}
    for demand, quanta in zip(grid.demands, outcome.delivered, strict=True):
        assert 0 <= quanta <= demand.quanta
        by_kind[demand.kind][demand.region] += quanta
    assert np.array_equal(outcome.compute_heat, by_kind["compute"])
    assert np.array_equal(outcome.exported, by_kind["export"])
    # The record of the flows tells the same story: every battery's account, every line, every demand.
    battery, used = supply.copy(), np.zeros(network.line_count, np.int64)
    got, erased = np.zeros(len(grid.demands), np.int64), np.zeros(network.regions, np.int64)
    number = {tuple(line): at for at, line in enumerate(network.lines.tolist())}
    for flow in range(len(flows)):
        path = flows.path_of(flow).tolist()
        assert (path[0], path[-1]) == (flows.source[flow], flows.sink[flow]) and len(set(path)) == len(path)
        lines = [number[min(a, b), max(a, b)] for a, b in pairwise(path)]
        used[lines] += flows.quanta[flow]
        assert flows.resistance[flow] == network.loss[lines].sum() and flows.quanta[flow] > 0
        battery[path[0]] -= flows.quanta[flow] + flows.loss[flow]
        assert (battery >= 0).all()
        if flows.demand[flow] == ERASURE:
            erased[path[-1]] += flows.quanta[flow]
        else:
            got[flows.demand[flow]] += flows.quanta[flow]
            assert grid.demands[flows.demand[flow]].region == path[-1]
    assert np.array_equal(battery, outcome.battery)
    assert np.array_equal(got, outcome.delivered) and np.array_equal(erased, outcome.erasure_paid)
    assert (used <= network.capacity).all() and np.array_equal(used, grid.monitor.line_quanta(flows))
    assert np.array_equal(grid.monitor.utilisation(flows), used / np.maximum(network.capacity, 1))
    losses, heat, owed = slow.replay(network, flows, carried)
    assert flows.loss.tolist() == losses and outcome.loss_heat.tolist() == heat and outcome.carried.tolist() == owed
    assert grid.monitor.total_loss(flows) == outcome.loss_heat.sum()
    return outcome


@given(SEEDS)
@settings(max_examples=200)
def test_every_account_closes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    grid, supply, erasure = draw_grid(rng)
    carried, delivered, lost = none(grid.network), none(grid.network), 0
    for _ in range(3):
        outcome = check(grid, supply, erasure, carried)
        supply, carried = outcome.battery + rng.integers(0, 50, supply.size), outcome.carried
        delivered += grid.monitor.line_quanta(outcome.flows)
        lost += int(outcome.loss_heat.sum())
    shares = [Fraction(int(parts), PARTS) for parts in grid.network.loss]
    assert lost == sum(int(share * int(quanta)) for share, quanta in zip(shares, delivered, strict=True))


def best_flow(network: Network, room: NDArray[np.int64], offers: list[int], wants: list[int]) -> tuple[int, int]:
    """Quanta delivered and Σ flow · loss of the best flow, from networkx."""
    graph = nx.DiGraph()
    for (a, b), capacity, loss in zip(network.lines.tolist(), room.tolist(), network.loss.tolist(), strict=True):
        graph.add_edge(a, b, capacity=capacity, weight=loss)
        graph.add_edge(b, a, capacity=capacity, weight=loss)
    for region in range(network.regions):
        graph.add_edge("s", region, capacity=int(offers[region]), weight=0)
        graph.add_edge(region, "t", capacity=int(wants[region]), weight=0)
    flow = nx.max_flow_min_cost(graph, "s", "t")
    return sum(flow["s"].values()), nx.cost_of_flow(graph, flow)


@given(SEEDS, st.booleans())
@settings(max_examples=150)
def test_each_class_is_served_best_with_what_is_left(seed: int, lossless: bool) -> None:
    """Lossless lines, or batteries that can pay every loss: then networkx must find nothing better.

    The batteries' own service is not taken out beforehand: that it is part of a best flow is tested, too.
    """
    rng = np.random.default_rng(seed)
    network = slow.draw_network(rng, int(rng.integers(1, 8)), 0 if lossless else PARTS // 2)
    grid = EnergyGrid(network, draw_demands(rng, network))
    supply = rng.integers(0, rng.choice([3, 60, 20000]), network.regions)
    if not lossless:
        supply = np.where(rng.random(network.regions) < 0.3, 10**7, 0)
    outcome = check(grid, supply, np.zeros_like(supply), none(network))
    flows, room, left = outcome.flows, network.capacity.copy(), supply.copy()
    for group in grid.classes:
        wants = [0] * network.regions
        for number in group:
            wants[grid.demands[number].region] += grid.demands[number].quanta
        chosen = np.isin(flows.demand, group)
        delivered = int(flows.quanta[chosen].sum())
        cost = sum(int(q) * int(r) for q, r in zip(flows.quanta[chosen], flows.resistance[chosen], strict=True))
        assert (delivered, cost) == best_flow(network, room, left.tolist(), wants)
        np.subtract.at(left, flows.source[chosen], (flows.quanta + flows.loss)[chosen])
        for flow in np.flatnonzero(chosen):
            path = flows.path_of(int(flow))
            for a, b in pairwise(path):
                room[(network.lines == sorted((a, b))).all(axis=1)] -= flows.quanta[flow]


@given(SEEDS)
@settings(max_examples=100)
def test_classes_are_strict(seed: int) -> None:
    """Neither what a class gets nor any flow of it depends on the classes behind it."""
    rng = np.random.default_rng(seed)
    grid, supply, erasure = draw_grid(rng)
    whole = grid.route(supply, erasure, none(grid.network))
    for last in (-1, 0, 1, 2):
        known = [n for n, demand in enumerate(grid.demands) if demand.priority <= last]
        part = EnergyGrid(grid.network, tuple(grid.demands[n] for n in known)).route(
            supply, erasure, none(grid.network)
        )
        count = len(part.flows)
        assert np.array_equal(part.erasure_paid, whole.erasure_paid)
        assert np.array_equal(part.delivered, whole.delivered[known])
        names = np.array([*known, ERASURE])
        assert np.array_equal(names[part.flows.demand], whole.flows.demand[:count])
        for name in ("source", "sink", "quanta", "loss", "resistance"):
            assert np.array_equal(getattr(part.flows, name), getattr(whole.flows, name)[:count])
        assert np.array_equal(part.flows.path, whole.flows.path[: len(part.flows.path)])


@given(SEEDS)
@settings(max_examples=100)
def test_order_of_input_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    grid, supply, erasure = draw_grid(rng)
    network = grid.network
    order = rng.permutation(len(grid.demands))
    lines = rng.permutation(network.line_count)
    other = EnergyGrid(
        Network(network.regions, network.lines[lines, ::-1], network.capacity[lines], network.loss[lines]),
        tuple(grid.demands[n] for n in order),
    )
    a = grid.route(supply, erasure, none(network))
    b = other.route(supply, erasure, none(network))
    for name in ("battery", "erasure_paid", "compute_heat", "exported", "loss_heat", "carried"):
        assert np.array_equal(getattr(a, name), getattr(b, name))
    for name in ("source", "sink", "quanta", "loss", "resistance", "path_start", "path"):
        assert np.array_equal(getattr(a.flows, name), getattr(b.flows, name))

    def served(grid: EnergyGrid, outcome: GridOutcome) -> list[tuple[int, int, int, str, int]]:
        rows = zip(grid.demands, outcome.delivered.tolist(), strict=True)
        return sorted((d.region, d.quanta, d.priority, d.kind, quanta) for d, quanta in rows)

    assert served(grid, a) == served(other, b)


@given(SEEDS)
@settings(max_examples=150)
def test_nothing_more_can_be_sent(seed: int) -> None:
    """Where batteries run dry, too: no supplier that could pay one more quantum on any path has a path left."""
    rng = np.random.default_rng(seed)
    grid, supply, _ = draw_grid(rng)
    outcome = check(grid, supply, np.zeros_like(supply), none(grid.network))
    room = grid.network.capacity - grid.monitor.line_quanta(outcome.flows)
    graph = nx.Graph()
    graph.add_nodes_from(range(grid.network.regions))
    graph.add_edges_from(grid.network.lines[room > 0].tolist())
    rich = np.flatnonzero(outcome.battery > grid.network.regions)  # a quantum loses at most one more on each line
    for demand, quanta in zip(grid.demands, outcome.delivered, strict=True):
        if quanta < demand.quanta:
            assert not any(nx.has_path(graph, int(region), demand.region) for region in rich)


@given(SEEDS)
@settings(max_examples=100)
def test_a_poor_supplier_sends_the_most_that_it_can_pay(seed: int) -> None:
    rng = np.random.default_rng(seed)
    length, held = int(rng.integers(2, 6)), int(rng.choice([5, 100, 10**6]))
    ends = np.stack([np.arange(length - 1), np.arange(1, length)], -1)
    network = Network(length, ends, np.full(length - 1, 10**9), rng.integers(0, PARTS // 2, length - 1))
    carried, supply = rng.integers(0, PARTS, length - 1), np.zeros(length, np.int64)
    supply[0] = held
    grid = EnergyGrid(network, (EnergyDemand(length - 1, 10**7, 1, "export"),))
    outcome = check(grid, supply, np.zeros_like(supply), carried)

    def bill(quanta: int) -> int:
        owed = zip(network.loss.tolist(), carried.tolist(), strict=True)
        return quanta + sum((quanta * parts + rest) // PARTS for parts, rest in owed)

    sent = int(outcome.delivered[0])
    assert bill(sent) <= held
    # Sending in two goes at most saves or costs nothing: remainders are carried over between them.
    assert bill(sent + 1) > held


def chain(count: int, capacity: int = 1000, loss: float = 0.0) -> Network:
    return Network.nearest_neighbours((count,), capacity, loss)


def test_erasure_is_whole_or_nothing_and_first() -> None:
    network = chain(4)
    grid = EnergyGrid(network, (EnergyDemand(0, 50, 0, "compute"),))
    supply, erasure = np.array([60, 0, 0, 5]), np.array([0, 30, 40, 5])
    outcome = check(grid, supply, erasure, none(network))
    assert outcome.erasure_paid.tolist() == [0, 30, 0, 5]  # 30 + 40 is too much: the larger is given up
    assert outcome.delivered.tolist() == [30]  # of 50: erasure came first


def test_given_up_batteries_help_the_others() -> None:
    network = chain(3)
    outcome = check(EnergyGrid(network), np.array([9, 9, 9]), np.array([10, 10, 10]), none(network))
    assert outcome.erasure_paid.tolist() == [10, 10, 0] and outcome.battery.tolist() == [0, 0, 7]


def test_a_shut_off_region_does_not_block_the_others() -> None:
    network = Network(4, np.array([[0, 1], [1, 2], [2, 3]]), np.array([0, 100, 100]), np.zeros(3, np.int64))
    outcome = check(EnergyGrid(network), np.array([0, 50, 0, 0]), np.array([1, 0, 20, 30]), none(network))
    assert outcome.erasure_paid.tolist() == [0, 0, 20, 30]


def test_erasure_pays_for_its_losses() -> None:
    network = chain(2, loss=0.1)
    for held, paid, left in ((110, 100, 0), (109, 0, 109)):
        outcome = check(EnergyGrid(network), np.array([held, 0]), np.array([0, 100]), none(network))
        assert outcome.erasure_paid.tolist() == [0, paid] and outcome.battery.tolist() == [left, 0]
        assert outcome.loss_heat.tolist() == [held - left - paid, 0]


@given(SEEDS)
@settings(max_examples=60)
def test_as_many_erasures_as_energy_allows(seed: int) -> None:
    """On wide lossless lines the smallest erasures are paid, up to the last that all batteries together can pay."""
    rng = np.random.default_rng(seed)
    network = chain(int(rng.integers(2, 9)), capacity=10**6)
    supply, erasure = rng.integers(0, 100, network.regions), rng.integers(1, 200, network.regions)
    outcome = check(EnergyGrid(network), supply, erasure, none(network))
    own = supply >= erasure
    assert (outcome.erasure_paid[own] == erasure[own]).all()
    others = np.sort(erasure[~own])
    budget = int(supply.sum() - erasure[own].sum())
    assert int((outcome.erasure_paid[~own] > 0).sum()) == int((np.cumsum(others) <= budget).sum())


def test_scheduler() -> None:
    demands = [
        EnergyDemand(5, 10, 2, "compute"),
        EnergyDemand(1, 10, 1, "export"),
        EnergyDemand(1, 20, 1, "compute"),
        EnergyDemand(1, 10, 1, "compute"),
        EnergyDemand(0, 10, 9, "compute"),
        EnergyDemand(0, 99, 1, "export"),
    ]
    assert EnergyScheduler().prioritize(demands) == ((5, 3, 2, 1), (0,), (4,))
    assert EnergyScheduler().prioritize([]) == ()


def test_demands_of_a_region_are_filled_in_order() -> None:
    demands = [EnergyDemand(1, 10, 1, "export"), EnergyDemand(1, 20, 1, "compute"), EnergyDemand(1, 5, 1, "compute")]
    grid = EnergyGrid(chain(2), tuple(demands))
    outcome = check(grid, np.array([8, 20]), np.zeros(2, np.int64), none(grid.network))
    assert outcome.delivered.tolist() == [3, 20, 5]


def test_bad_demands() -> None:
    network = Network(3, np.array([[0, 1]]), np.array([1]), np.array([0]))
    for demand, kind in (
        (EnergyDemand(3, 1, 1, "export"), DemandError),
        (EnergyDemand(-1, 1, 1, "export"), DemandError),
        (EnergyDemand(0, -1, 1, "export"), DemandError),
        (EnergyDemand(2, 1, 1, "export"), UnreachableDemandError),
        (EnergyDemand(0, 2**62, 1, "export"), GridRangeError),
    ):
        with pytest.raises(kind) as caught:
            EnergyGrid(network, (demand,))
        assert caught.value.remedy and caught.value.exit_code == 2
    assert EnergyGrid(chain(1), (EnergyDemand(0, 1, 1, "export"),))  # one region needs no line


def test_bad_states() -> None:
    network = chain(3)
    grid, zero = EnergyGrid(network), np.zeros(3, np.int64)
    for supply, erasure, carried in (
        (zero - 1, zero, zero[:2]),
        (zero, zero - 1, zero[:2]),
        (zero, zero + 2**61, zero[:2]),
        (zero, zero, zero[:2] + PARTS),
        (zero, zero, zero),
        (zero[:2], zero, zero[:2]),
    ):
        with pytest.raises(GridRangeError) as caught:
            grid.route(supply, erasure, carried)
        assert caught.value.remedy


def test_full_size() -> None:
    """1000 regions, 200 demands, every battery short of its erasure or rich: all accounts close."""
    rng = np.random.default_rng(5)
    network = Network.nearest_neighbours((10, 10, 10), 700, 0.001)
    demands = tuple(
        EnergyDemand(int(region), 1000, int(number) % 4, "compute" if number % 2 else "export")
        for number, region in enumerate(rng.choice(1000, 200, False))
    )
    grid, carried = EnergyGrid(network, demands), none(network)
    for share in (3.0, 0.9):
        erasure = rng.integers(1000, 2000, 1000)
        supply = (erasure * share * rng.uniform(0.4, 1.4, 1000)).astype(np.int64)
        outcome = check(grid, supply, erasure, carried)
        carried = outcome.carried
        assert (
            np.count_nonzero(outcome.erasure_paid) == 1000
            if share > 1
            else np.count_nonzero(outcome.erasure_paid) > 700
        )
