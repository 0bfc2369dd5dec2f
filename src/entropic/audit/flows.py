"""The grid's flows against the books, and against the capacity of its lines."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any, final

import numpy as np
import zarr
from numpy.typing import NDArray

from entropic.audit.exact import Exact
from entropic.config import Config
from entropic.lattice import Lattice

__all__ = ["GridFlows"]


@final
class GridFlows:
    """Every flow of the run, by cycle."""

    def __init__(self, path: Path, config: Config, lattice: Lattice) -> None:
        self.on = config.grid.enabled
        self.config, self.lattice = config, lattice
        self.flows: dict[str, NDArray[Any]] = {}
        self.lines: dict[tuple[int, int], int] | None = None
        if not self.on:
            return
        if (path / "flows.zarr").exists():
            group = zarr.open_group(path / "flows.zarr", mode="r")
            self.flows = {name: np.asarray(array[:]) for name, array in group.arrays()}
        if (path / "network.json").exists():
            data = json.loads((path / "network.json").read_text())
            edges = data.get("edges", data.get("links", []))
            self.lines = {_ends(e["source"], e["target"]): int(e["capacity"]) for e in edges}
        self.kinds = [d.kind for d in config.grid.demands]

    def check(
        self,
        exact: Exact,
        page: dict[str, NDArray[Any]],
        erasure: NDArray[np.int64],
        drawn: NDArray[np.int64],
        cycle: int,
    ) -> None:
        """One cycle: ``erasure`` and ``drawn``: what regions got and gave through the grid; ``page``: that cycle's books."""
        if not self.on:
            return
        n = self.lattice.region_count
        at = np.flatnonzero(self.flows["cycle"] == cycle) if self.flows else np.zeros(0, np.int64)
        flow = {
            name: self.flows[name][at] for name in self.flows if self.flows[name].shape == self.flows["cycle"].shape
        }
        sums = {name: np.zeros(n, np.int64) for name in ("erasure", "compute", "delivered_out", "drawn")}
        if at.size:
            np.add.at(sums["drawn"], flow["source"], flow["quanta"] + flow["loss"])
            for kind in (-1, *range(len(self.kinds))):
                name = "erasure" if kind < 0 else "compute" if self.kinds[kind] == "compute" else "delivered_out"
                chosen = flow["demand"] == kind
                np.add.at(sums[name], flow["sink"][chosen], flow["quanta"][chosen])
            lost = int(flow["loss"].sum())
        else:
            lost = 0
        exact.equal("erasure paid through the grid", erasure, sums["erasure"], cycle)
        exact.equal("energy sent", drawn, sums["drawn"], cycle)
        exact.equal("computation", page["compute"], sums["compute"], cycle)
        exact.equal("deliveries", page["delivered_out"], sums["delivered_out"], cycle)
        exact.equal("losses of lines", np.int64(page["line_loss"].sum()), np.int64(lost), cycle)
        self._capacity(exact, at, cycle)

    def _capacity(self, exact: Exact, at: NDArray[np.int64], cycle: int) -> None:
        if not at.size:
            return
        starts = np.concatenate([[0], np.cumsum(self.flows["hops"])])
        used: Counter[tuple[int, int]] = Counter()
        for f in at:
            path = self.flows["path"][starts[f] : starts[f + 1]].tolist()
            exact.equal("ends of a path", np.array([path[0], path[-1]]), self._row(f), cycle)
            for a, b in itertools.pairwise(path):
                used[_ends(a, b)] += int(self.flows["quanta"][f])
        over = sum(quanta > self._room(line) for line, quanta in used.items())
        exact.equal("lines over their capacity", np.int64(over), np.int64(0), cycle)

    def _row(self, f: int) -> NDArray[np.int64]:
        return np.array([self.flows["source"][f], self.flows["sink"][f]])

    def _room(self, line: tuple[int, int]) -> int:
        """Capacity of a line; −1 if there is no such line."""
        if self.lines is not None:
            return self.lines.get(line, -1)
        a, b = (np.array(np.unravel_index(r, self.lattice.regions)) for r in line)
        step = np.abs(a - b)
        if self.lattice.periodic:
            step = np.minimum(step, np.array(self.lattice.regions) - step)
        return self.config.grid.capacity if step.sum() == 1 else -1


def _ends(a: int, b: int) -> tuple[int, int]:
    return (min(int(a), int(b)), max(int(a), int(b)))
