"""The grid's flows against the books: who paid, what arrived, what every line on the way lost and could carry."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from entropic.audit.exact import Exact
from entropic.columns import largest, opened
from entropic.config import Config
from entropic.lattice import Lattice

__all__ = ["GridFlows"]

_PARTS = 10**9
_NONE = (-1, 0)  # capacity and loss of a line that is not there: nothing may go along it
_ONE_A_FLOW = ("cycle", "demand", "source", "sink", "quanta", "loss", "resistance", "hops")

Line = tuple[int, int]


@final
class GridFlows:
    """Every flow of the run, by cycle; what lines still owe is carried along."""

    def __init__(self, path: Path, config: Config, lattice: Lattice) -> None:
        self.on = config.grid.enabled
        self.config, self.lattice = config, lattice
        self.flows: dict[str, NDArray[Any]] = {}
        self.lines: dict[Line, tuple[int, int]] = {}  # capacity, and loss in parts
        self.owed: dict[Line, int] = {}
        self.kinds = [d.kind for d in config.grid.demands]
        self.asked = np.array([d.quanta for d in config.grid.demands], np.int64)
        if not self.on:
            return
        if (path / "flows.zarr").exists():
            group = opened(path / "flows.zarr", largest(config))
            self.flows = {name: np.asarray(array[...]) for name, array in group.arrays()}
        if (path / "network.json").exists():
            data = json.loads((path / "network.json").read_text())
            edges = data.get("edges", data.get("links", []))
            self.lines = {_ends(e["source"], e["target"]): (int(e["capacity"]), _parts(e["loss"])) for e in edges}
        else:
            facts = config.grid.capacity, _parts(config.grid.loss)
            self.lines = dict.fromkeys(_neighbours(lattice), facts)
        self.starts = np.concatenate([[0], np.cumsum(self.flows["hops"])]) if self.flows else np.zeros(1, np.int64)

    def check(
        self,
        exact: Exact,
        page: Mapping[str, NDArray[Any]],
        erasure: NDArray[np.int64],
        drawn: NDArray[np.int64],
        cycle: int,
    ) -> None:
        """One cycle: ``erasure`` and ``drawn``: what regions got and gave through the grid; ``page``: that cycle's books."""
        if not self.on:
            return
        n = self.lattice.region_count
        at = np.flatnonzero(self.flows["cycle"] == cycle) if self.flows else np.zeros(0, np.int64)
        flow = {name: self.flows[name][at] if self.flows else at for name in _ONE_A_FLOW}
        inside = all(((flow[name] >= 0) & (flow[name] < n)).all() for name in ("source", "sink"))
        known = ((flow["demand"] >= -1) & (flow["demand"] < len(self.kinds))).all()
        exact.equal("flows of regions and demands that there are", np.bool_(inside and known), np.bool_(True), cycle)
        if not (inside and known):
            return
        sums = {name: np.zeros(n, np.int64) for name in ("erasure", "compute", "delivered_out", "drawn")}
        np.add.at(sums["drawn"], flow["source"], flow["quanta"] + flow["loss"])
        for kind in (-1, *range(len(self.kinds))):
            name = "erasure" if kind < 0 else "compute" if self.kinds[kind] == "compute" else "delivered_out"
            chosen = flow["demand"] == kind
            np.add.at(sums[name], flow["sink"][chosen], flow["quanta"][chosen])
        exact.equal("erasure paid through the grid", erasure, sums["erasure"], cycle)
        exact.equal("energy sent", drawn, sums["drawn"], cycle)
        exact.equal("computation", page["compute"], sums["compute"], cycle)
        exact.equal("deliveries", page["delivered_out"], sums["delivered_out"], cycle)
        self._demands(exact, flow, cycle)
        self._lines(exact, page["line_loss"], at, cycle)

    def finish(self, exact: Exact, reached: int) -> None:
        """After the last cycle: every one was routed, and no flow is of another."""
        if not self.on:
            return
        cycles = np.arange(1, reached + 1)
        routed = self.flows["routed"] if self.flows else np.zeros(0, np.int64)
        exact.equal("cycles routed", routed, cycles)
        beyond = (~np.isin(self.flows["cycle"], cycles)).sum() if self.flows else np.int64(0)
        exact.equal("flows of cycles that were not run", beyond, np.int64(0))
        exact.equal("regions on paths", self.starts[-1], np.int64(len(self.flows.get("path", ()))))

    def carried(self) -> NDArray[np.int64]:
        """What lines owe now, in ascending order of their ends: int64[lines]."""
        return np.array([self.owed.get(line, 0) for line in sorted(self.lines)], np.int64)

    def _demands(self, exact: Exact, flow: Mapping[str, NDArray[Any]], cycle: int) -> None:
        """What each demand got is what its flows brought, and no more than it asked for; served class by class."""
        got = np.zeros(len(self.kinds), np.int64)
        served = flow["demand"] >= 0
        np.add.at(got, flow["demand"][served], flow["quanta"][served])
        exact.equal("demands that got more than they asked for", got > self.asked, np.zeros(got.shape, bool), cycle)
        row = np.flatnonzero(self.flows["routed"] == cycle) if self.flows else np.zeros(0, np.int64)
        if row.size == 1:
            exact.equal("what demands got", self.flows["delivered"][row[0]], got, cycle)
        ranks = np.array([-1, *(d.priority for d in self.config.grid.demands)])[flow["demand"] + 1]
        exact.equal("flows in order of priority", ranks, np.sort(ranks), cycle)

    def _lines(self, exact: Exact, line_loss: NDArray[np.int64], at: NDArray[np.int64], cycle: int) -> None:
        """Walk every flow along its lines: capacity, resistance, whole quanta lost, and where they become heat."""
        used: Counter[Line] = Counter()
        heat = np.zeros(self.lattice.region_count, np.int64)
        said, found = np.zeros((2, at.size, 4), np.int64)
        for k, f in enumerate(at):
            quanta = int(self.flows["quanta"][f])
            path = self.flows["path"][self.starts[f] : self.starts[f + 1]].tolist() or [-1]
            lost = resistance = 0
            for a, b in itertools.pairwise(path):
                line = _ends(a, b)
                parts = self.lines.get(line, _NONE)[1]
                used[line] += quanta
                owed, self.owed[line] = divmod(quanta * parts + self.owed.get(line, 0), _PARTS)
                if owed:
                    heat[a] += owed
                lost, resistance = lost + owed, resistance + parts
            said[k] = [self.flows[name][f] for name in ("source", "sink", "resistance", "loss")]
            found[k] = [path[0], path[-1], resistance, lost]
        exact.equal("ends, resistance and loss of flows", said, found, cycle)
        exact.equal("losses of lines", line_loss, heat, cycle)
        over = sum(quanta > self.lines.get(line, _NONE)[0] for line, quanta in used.items())
        exact.equal("lines over their capacity", np.int64(over), np.int64(0), cycle)


def _neighbours(lattice: Lattice) -> list[Line]:
    """Regions that share a face."""
    number = np.arange(lattice.region_count).reshape(lattice.regions)
    found: list[Line] = []
    for axis, extent in enumerate(lattice.regions):
        steps = [(range(extent - 1), range(1, extent))]
        if lattice.periodic and extent > 2:
            steps.append(([0], [extent - 1]))  # type: ignore[arg-type]
        for low, high in steps:
            pairs = zip(number.take(low, axis).ravel().tolist(), number.take(high, axis).ravel().tolist(), strict=True)
            found.extend(_ends(a, b) for a, b in pairs)
    return found


def _ends(a: int, b: int) -> Line:
    return (min(int(a), int(b)), max(int(a), int(b)))


def _parts(share: float) -> int:
    return round(Fraction(share) * _PARTS)
