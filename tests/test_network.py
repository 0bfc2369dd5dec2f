"""Networks: neighbours by brute force, files of every sort, and each problem with its own error."""

from __future__ import annotations

import json
from itertools import combinations, product
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from entropic.errors import UsageError
from entropic.machines.network import (
    CapacityError,
    DoubleLineError,
    LossError,
    Network,
    NetworkError,
    NetworkFileError,
    NetworkFormatError,
    RegionRangeError,
    SelfLoopError,
)


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("shape", [(1,), (2,), (5,), (2, 2), (3, 4), (1, 3, 1), (2, 3, 4), (3, 1, 2, 3)], ids=str)
def test_nearest_neighbours(shape: tuple[int, ...], periodic: bool) -> None:
    network = Network.nearest_neighbours(shape, 7, 0.001, periodic)
    places = list(product(*(range(n) for n in shape)))
    expected = set()
    for (a, here), (b, there) in combinations(enumerate(places), 2):
        apart = [(abs(x - y), n) for x, y, n in zip(here, there, shape, strict=True) if x != y]
        if len(apart) == 1 and (apart[0][0] == 1 or (periodic and apart[0][0] == apart[0][1] - 1)):
            expected.add((a, b))
    assert [tuple(line) for line in network.lines.tolist()] == sorted(expected)
    assert network.regions == len(places)
    assert (network.capacity == 7).all() and (network.loss == 10**6).all()


def test_order_of_lines_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    lines = np.array(list(combinations(range(6), 2)))
    capacity, loss = rng.integers(0, 99, len(lines)), rng.integers(0, 10**9, len(lines))
    network = Network(6, lines, capacity, loss)
    for _ in range(5):
        order = rng.permutation(len(lines))
        turned = np.where(rng.random((len(lines), 1)) < 0.5, lines, lines[:, ::-1])
        other = Network(6, turned[order], capacity[order], loss[order])
        for name in ("lines", "capacity", "loss"):
            assert np.array_equal(getattr(network, name), getattr(other, name))
            with pytest.raises(ValueError, match="read-only"):
                getattr(other, name)[0] = 0


@pytest.mark.parametrize("key", ["edges", "links"])
def test_a_graph_of_networkx(tmp_path: Path, key: str) -> None:
    graph = nx.convert_node_labels_to_integers(nx.grid_graph((3, 4)))
    nx.set_edge_attributes(graph, {edge: {"capacity": 100, "loss": 0.25} for edge in graph.edges})
    file = tmp_path / "network.json"
    file.write_text(json.dumps(nx.node_link_data(graph, edges=key)))
    network = Network.from_file(file, 12)
    assert [tuple(line) for line in network.lines.tolist()] == sorted(tuple(sorted(edge)) for edge in graph.edges)
    assert (network.capacity == 100).all() and (network.loss == 250_000_000).all()


def good() -> dict[str, object]:
    return {
        "nodes": [{"id": n} for n in range(3)],
        "edges": [
            {"source": 0, "target": 1, "capacity": 5, "loss": 0.1},
            {"source": 2, "target": 1, "capacity": 0, "loss": 0},
        ],
    }


def with_edge(**changes: object) -> str:
    data = good()
    edge = data["edges"][1]  # type: ignore[index]
    edge.update(changes)
    data["edges"][1] = {key: value for key, value in edge.items() if value is not None}  # type: ignore[index]
    return json.dumps(data)


def test_a_good_file(tmp_path: Path) -> None:
    file = tmp_path / "network.json"
    file.write_text(json.dumps(good()))
    network = Network.from_file(file, 4)
    assert network.lines.tolist() == [[0, 1], [1, 2]]
    assert network.regions == 4  # a region without a line
    assert network.capacity.tolist() == [5, 0] and network.loss.tolist() == [10**8, 0]


BAD = {
    "empty": ("", NetworkFormatError, "node-link"),
    "no JSON": ("{nodes", NetworkFormatError, "node-link"),
    "cut off": (json.dumps(good())[:-9], NetworkFormatError, "node-link"),
    "nested": ("[" * 100_000, NetworkFormatError, "node-link"),
    "number too long": ('{"nodes": [' + "9" * 5000 + '], "edges": []}', NetworkFormatError, "node-link"),
    "a list": ("[]", NetworkFormatError, "no object"),
    "no edges": ('{"nodes": []}', NetworkFormatError, "no lists"),
    "directed": (json.dumps({**good(), "directed": True}), NetworkFormatError, "directed"),
    "node without id": ('{"nodes": [{}], "edges": []}', NetworkFormatError, "node 0"),
    "node is text": ('{"nodes": [{"id": "a"}], "edges": []}', NetworkFormatError, "node 0"),
    "edge is text": ('{"nodes": [{"id": 0}], "edges": ["0-1"]}', NetworkFormatError, "edge 0"),
    "node out of range": ('{"nodes": [{"id": 3}], "edges": []}', RegionRangeError, "region 3"),
    "end out of range": (with_edge(target=3), RegionRangeError, "region 3"),
    "negative end": (with_edge(target=-1), RegionRangeError, "region -1"),
    "end not listed": (
        '{"nodes": [{"id": 0}], "edges": [{"source": 0, "target": 1, "capacity": 1, "loss": 0}]}',
        NetworkFormatError,
        "not listed",
    ),
    "self-loop": (with_edge(target=2), SelfLoopError, "regions 2 and 2"),
    "twice": (with_edge(source=1, target=0), DoubleLineError, "regions 0 and 1"),
    "negative capacity": (with_edge(capacity=-1), CapacityError, "-1"),
    "huge capacity": (with_edge(capacity=2**62 + 1), CapacityError, "edge 1"),
    "fractional capacity": (with_edge(capacity=1.5), NetworkFormatError, "capacity"),
    "truth as capacity": (with_edge(capacity=True), NetworkFormatError, "capacity"),
    "no capacity": (with_edge(capacity=None), NetworkFormatError, "capacity"),
    "negative loss": (with_edge(loss=-0.1), LossError, "-0.1"),
    "loss of all": (with_edge(loss=1), LossError, "edge 1"),
    "loss of nearly all": (with_edge(loss=1 - 1e-12), LossError, "edge 1"),
    "loss nan": (with_edge(loss=float("nan")), LossError, "nan"),
    "loss inf": (with_edge(loss=float("inf")), LossError, "inf"),
    "loss is text": (with_edge(loss="0.1"), NetworkFormatError, "loss"),
    "no loss": (with_edge(loss=None), NetworkFormatError, "loss"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files(tmp_path: Path, name: str) -> None:
    text, kind, said = BAD[name]
    file = tmp_path / "bad.json"
    file.write_text(text)
    with pytest.raises(NetworkError) as caught:
        Network.from_file(file, 3)
    error = caught.value
    assert type(error) is kind
    assert said in error.message and str(file) in error.message
    assert error.remedy and isinstance(error, UsageError) and error.exit_code == 2


def test_unreadable_files(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.json", tmp_path):
        with pytest.raises(NetworkFileError) as caught:
            Network.from_file(path, 3)
        assert str(path) in caught.value.message and caught.value.remedy
    binary = tmp_path / "binary.json"
    binary.write_bytes(b'{"nodes": \xff\xfe')
    with pytest.raises(NetworkFormatError, match="UTF-8"):
        Network.from_file(binary, 3)


def test_bad_arrays() -> None:
    line, one = np.array([[0, 1]]), np.array([1])
    with pytest.raises(CapacityError):
        Network(2, line, -one, one)
    with pytest.raises(LossError):
        Network(2, line, one, np.array([10**9]))
    with pytest.raises(RegionRangeError):
        Network(1, line, one, one)
    with pytest.raises(CapacityError):
        Network.nearest_neighbours((2, 2), -1, 0.0)
    with pytest.raises(LossError):
        Network.nearest_neighbours((2, 2), 1, 1.0)
