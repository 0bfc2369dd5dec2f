"""The router against other solvers and brute force: the same delivery, the same loss, the same flow."""

from __future__ import annotations

from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import coo_array

import reference_network as slow
from entropic.kernels import nearest_supplier, prove_flow
from entropic.machines import routing
from entropic.machines.network import Network
from entropic.machines.routing import EnergyRouter

SEEDS = st.integers(0, 2**32 - 1)
Flow = NDArray[np.int64]


def graph_of(network: Network, offers: Flow, wants: Flow, capacity: Flow, cost: list[int]) -> nx.DiGraph:
    """The problem for networkx, between nodes 's' and 't'."""
    graph = nx.DiGraph()
    graph.add_nodes_from(["s", "t"])
    for (a, b), room, price in zip(network.lines.tolist(), capacity.tolist(), cost, strict=True):
        graph.add_edge(a, b, capacity=room, weight=price)
        graph.add_edge(b, a, capacity=room, weight=price)
    for region in range(network.regions):
        graph.add_edge("s", region, capacity=int(offers[region]), weight=0)
        graph.add_edge(region, "t", capacity=int(wants[region]), weight=0)
    return graph


def draw_problem(rng: np.random.Generator, network: Network) -> tuple[Flow, Flow]:
    high = int(rng.choice([2, 20, 3000]))
    wanting = rng.random(network.regions) < rng.random()
    offers, wants = rng.integers(0, high, (2, network.regions))
    return np.where(wanting, 0, offers), np.where(wanting, wants, 0)


def delivered(network: Network, flow: Flow) -> Flow:
    """What arrives in each region, less what leaves it."""
    net = np.zeros(network.regions, np.int64)
    low, high = network.lines.T
    np.add.at(net, high, flow[0] - flow[1])
    np.add.at(net, low, flow[1] - flow[0])
    return net


@given(SEEDS)
@settings(max_examples=150)
def test_largest_least_loss_fewest_lines(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = slow.draw_network(rng, int(rng.integers(1, 8)))
    offers, wants = draw_problem(rng, network)
    flow = EnergyRouter(network).least_loss(offers, wants, network.capacity)
    net = delivered(network, flow)
    assert (flow >= 0).all() and (flow.sum(axis=0) <= network.capacity).all() and not (flow[0] * flow[1]).any()
    assert (net <= wants).all() and (-net <= offers).all()
    weights = (network.loss * (network.regions + 3) + 1).tolist()  # a path has fewer lines than that
    graph = graph_of(network, offers, wants, network.capacity, weights)
    best = nx.max_flow_min_cost(graph, "s", "t")
    assert int(net[net > 0].sum()) == nx.maximum_flow_value(graph, "s", "t")
    assert sum(int(n) * w for n, w in zip(flow.sum(axis=0), weights, strict=True)) == nx.cost_of_flow(graph, best)


class ShuffledSolver(routing.SimpleMinCostFlow):
    """The same solver, given the arcs in another order: it then picks others of the best flows."""

    rng = np.random.default_rng(0)

    def add_arcs_with_capacity_and_unit_cost(self, *columns: NDArray[np.generic]) -> NDArray[np.int32]:
        order = self.rng.permutation(len(columns[0]))
        arcs = super().add_arcs_with_capacity_and_unit_cost(*(column[order] for column in columns))
        return np.asarray(arcs, np.int32)[np.argsort(order)]


@given(SEEDS, st.sampled_from([0, 1, 16]))
@settings(max_examples=150)
def test_one_answer_whatever_the_solver_does(seed: int, bits: int) -> None:
    """With few key bits, fresh keys must decide."""
    rng = np.random.default_rng(seed)
    network = Network.nearest_neighbours(
        tuple(rng.integers(1, 5, 2)), int(rng.integers(1, 30)), float(rng.choice([0.1, 0]))
    )
    offers, wants = draw_problem(rng, network)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(routing, "_KEY_BITS", bits)
        once = EnergyRouter(network).least_loss(offers, wants, network.capacity)
        patch.setattr(routing, "SimpleMinCostFlow", ShuffledSolver)
        for _ in range(3):
            assert np.array_equal(EnergyRouter(network).least_loss(offers, wants, network.capacity), once)


def test_shuffling_does_make_the_bare_solver_differ() -> None:
    """The test above could not fail otherwise."""
    network = Network.nearest_neighbours((4, 4), 5, 0.1)
    seen = set()
    for _ in range(20):
        solver = ShuffledSolver()
        low, high = network.lines.T.astype(np.int32)
        ones = np.ones(2 * network.line_count, np.int64)
        arcs = solver.add_arcs_with_capacity_and_unit_cost(np.r_[low, high], np.r_[high, low], 5 * ones, ones)
        solver.set_nodes_supplies(np.array([0, 15], np.int32), np.array([7, -7]))
        solver.solve()
        seen.add(solver.flows(arcs).tobytes())
    assert len(seen) > 1


@given(SEEDS)
@settings(max_examples=60)
def test_another_solver_gives_the_same_flow(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = Network.nearest_neighbours((3, 4), int(rng.integers(1, 30)), 0.01)
    offers, wants = draw_problem(rng, network)
    router = EnergyRouter(network)
    flow = router.least_loss(offers, wants, network.capacity)
    graph = graph_of(network, offers, wants, network.capacity, router.cost.tolist())
    best = nx.max_flow_min_cost(graph, "s", "t")
    for (a, b), up, down in zip(network.lines.tolist(), *flow.tolist(), strict=True):
        assert (best[a][b], best[b][a]) == (up, down)


def test_full_size_against_linear_programming() -> None:
    rng = np.random.default_rng(3)
    network = Network.nearest_neighbours((10, 10, 10), 300, 0.001)
    offers, wants = rng.integers(0, 2000, 1000), np.zeros(1000, np.int64)
    wants[rng.choice(1000, 200, False)] = 500
    offers[wants > 0] = 0
    flow = EnergyRouter(network).least_loss(offers, wants, network.capacity)
    assert (delivered(network, flow)[wants > 0] == 500).all()
    low, high = network.lines.T
    lines = np.arange(network.line_count)
    rows, columns = np.r_[high, low, low, high], np.r_[lines, lines, lines + lines.size, lines + lines.size]
    balance = coo_array(
        (np.repeat([1.0, -1.0, 1.0, -1.0], lines.size), (rows, columns)), (1000, 2 * lines.size)
    ).tocsr()
    best = linprog(
        np.ones(2 * lines.size),
        A_ub=-balance,
        b_ub=np.where(wants > 0, -wants, offers),
        bounds=(0, 300),
        method="highs",
    )
    assert int(flow.sum()) == round(best.fun) and abs(best.fun - round(best.fun)) < 1e-4


@given(SEEDS)
@settings(max_examples=80)
def test_paths_add_up_to_the_flow(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = slow.draw_network(rng, int(rng.integers(1, 8)))
    offers, wants = draw_problem(rng, network)
    router = EnergyRouter(network)
    flow = router.least_loss(offers, wants, network.capacity)
    total, got = np.zeros_like(flow), np.zeros(network.regions, np.int64)
    routes = router.paths(flow)
    for route in routes:
        assert route.quanta > 0 and len(set(route.nodes)) == len(route.nodes) == len(route.lines) + 1
        for (tail, head), line in zip(pairwise(route.nodes), route.lines, strict=True):
            assert sorted((tail, head)) == network.lines[line].tolist()
            total[int(tail > head), line] += route.quanta
        got[route.sink] += route.quanta
        got[route.source] -= route.quanta
    assert np.array_equal(total, flow) and np.array_equal(got, delivered(network, flow))
    assert [route.source for route in routes] == sorted(route.source for route in routes)


@given(SEEDS)
@settings(max_examples=80)
def test_find_optimal_path(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = slow.draw_network(rng, int(rng.integers(1, 8)))
    graph = nx.Graph()
    graph.add_nodes_from(range(network.regions))
    for (a, b), room, loss in zip(network.lines.tolist(), network.capacity, network.loss.tolist(), strict=True):
        if room:
            graph.add_edge(a, b, weight=loss)
    source, sink = (int(region) for region in rng.integers(0, network.regions, 2))
    route = EnergyRouter(network).find_optimal_path(source, sink)
    assert (route.source, route.sink) == (source, sink)
    assert bool(route.quanta) == nx.has_path(graph, source, sink)
    if route.quanta:
        lost = sum(int(network.loss[line]) for line in route.lines)
        assert lost == nx.dijkstra_path_length(graph, source, sink)


@given(SEEDS)
@settings(max_examples=300)
def test_proof_against_its_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    nodes = int(rng.integers(2, 6))
    pairs = rng.permutation([(a, b) for a in range(nodes) for b in range(nodes) if a != b and a != 1 and b != 0])
    pairs = pairs[: rng.integers(1, 9)]
    capacity, cost = rng.integers(0, 4, len(pairs)), rng.integers(0, 4, len(pairs))
    graph = nx.DiGraph()
    graph.add_nodes_from(range(nodes))
    for (a, b), room, price in zip(pairs.tolist(), capacity.tolist(), cost.tolist(), strict=True):
        graph.add_edge(a, b, capacity=room, weight=price if rng.random() < 0.8 else 3 - price)  # at times not the best
    best = nx.max_flow_min_cost(graph, 0, 1)
    flow = np.array([best[a][b] for a, b in pairs.tolist()], np.int64)
    if rng.random() < 0.2:
        flow[:] = 0
    arcs = [tuple(int(x) for x in row) for row in np.column_stack([pairs, cost, capacity, flow])]
    potential = np.empty(nodes, np.int64)
    columns = [np.ascontiguousarray(column) for column in np.array(arcs, np.int64).T]
    verdict = prove_flow(*columns, 0, 1, potential)
    assert verdict == slow.prove_flow(arcs, 0, 1)
    if verdict in (routing.UNIQUE, routing.NOT_UNIQUE):
        for tail, head, price, room, used in arcs:
            reduced = price + potential[tail] - potential[head]
            assert (used == room or reduced >= 0) and (used == 0 or reduced <= 0)


def test_all_verdicts_are_met() -> None:
    """Of two paths, one dear: too little, too dear, the only best, and with equal prices one of two."""
    ends = [np.array(end) for end in ([0, 0, 2, 3], [2, 3, 1, 1])]
    for price, used, verdict in ((1, (1, 0), 0), (1, (0, 0), 2), (-1, (1, 0), 3), (0, (1, 0), 1)):
        cost, flow = np.array([0, price, 0, 0]), np.array([*used, *used])
        capacity = np.array([1, 1, 1, 1])
        if used == (1, 0):  # the sink takes one quantum only
            ends_in = [np.append(ends[0], 4), np.append(np.where(ends[1] == 1, 4, ends[1]), 1)]
            cost, flow, capacity = np.append(cost, 0), np.append(flow, 1), np.append(capacity, 1)
        else:
            ends_in = ends
        assert prove_flow(*ends_in, cost, capacity, flow, 0, 1, np.empty(5, np.int64)) == verdict


@given(SEEDS)
@settings(max_examples=200)
def test_nearest_supplier_against_its_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = slow.draw_network(rng, int(rng.integers(1, 7)))
    cost = rng.integers(1, rng.choice([3, 100]), network.line_count)
    supply = rng.integers(0, 2, network.regions)
    sink = int(rng.integers(network.regions))
    path = np.empty(network.regions, np.int64)
    length = nearest_supplier(*EnergyRouter(network)._neighbours, cost, network.capacity, supply, sink, path)
    expected = slow.nearest_supplier(
        network.lines.tolist(), cost.tolist(), network.capacity.tolist(), supply.tolist(), sink
    )
    assert (length, path[: max(length, 0)].tolist()) == expected


def test_largest_amounts() -> None:
    """As much as may be asked for at once, over lines with the largest capacity: nothing wraps."""
    network = Network.nearest_neighbours((4, 4), 2**62, 0.5)
    router = EnergyRouter(network)
    offers, wants = np.zeros((2, 16), np.int64)
    offers[[0, 3]] = 2**62
    wants[[12, 15]] = router.most // 2
    flow = router.least_loss(offers, wants, network.capacity)
    assert np.array_equal(np.maximum(delivered(network, flow), 0), wants)
    assert int(flow.sum()) == 3 * int(wants.sum())
