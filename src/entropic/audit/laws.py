"""The laws that are inequalities: the lift, the second law, exergy."""

from __future__ import annotations

import math
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from entropic import special
from entropic.audit.exact import LEVEL, Exact, Law
from entropic.config import Config
from entropic.lattice import Lattice

__all__ = ["Lift", "Second"]


@final
class Lift:
    """Law 2: S_hist(after) + ln C(N, n₁) ≥ S_hist(before), every region, every cycle."""

    def __init__(self) -> None:
        self.worst, self.where, self.exact = math.inf, "", Exact("lift")

    def check(self, page: dict[str, NDArray[Any]], threshold: int, sites: int, cycle: int) -> None:
        counts = page["counts"].astype(np.int64)
        shifted = counts.copy()
        shifted[:, :, threshold:] = 0
        width = max(counts.shape[2] - threshold, 0)
        if width:
            np.add(shifted[:, :, :width], counts[:, :, threshold:], out=shifted[:, :, :width])
        shifted = np.where(page["measured"][:, :, None], shifted, counts)
        shape = page["ones"].shape
        before, after = np.empty(shape), np.empty(shape)
        for c in range(shape[0]):
            special.ln_multinomial_rows(counts[c], before[c])
            special.ln_multinomial_rows(shifted[c], after[c])
        self.exact.equal("entropy after the lift", page["entropy_lifted"], after, cycle)
        quiet = page["erasure"] == 0
        self.exact.equal(
            "entropy at the cycle's end", np.where(quiet, page["entropy_hist"], 0.0), np.where(quiet, after, 0.0), cycle
        )
        kinds = {int(k): float(special.ln_binomial(sites, int(k))) for k in np.unique(page["ones"])}
        known = np.vectorize(kinds.__getitem__, otypes=[float])(page["ones"])
        slack = 1e-12 * (before + after + known) + 1e-12
        margin = after + known - before + slack
        at = np.unravel_index(int(np.argmin(margin)), shape)
        if margin[at] < self.worst:
            self.worst, self.where = float(margin[at]), f"closest in cycle {cycle + int(at[0])}, region {int(at[1])}"

    def law(self) -> Law:
        exact = self.exact.law()
        if not exact.holds:
            return exact
        worst = self.worst if math.isfinite(self.worst) else 0.0
        return Law("lift", worst >= 0, worst, self.where)


@final
class Second:
    """Laws 3 and 4, from energies and tapes."""

    def __init__(self, lattice: Lattice, config: Config) -> None:
        self.lattice, self.config = lattice, config
        self.worst_step, self.worst_exergy = math.inf, math.inf
        self.step_where, self.exergy_where = "no cycle yet", "no cycle yet"
        self.cycle = 0
        self.start = self.last = 0.0
        self.quanta0 = self.energy = 0
        self.ln_kinds = _ln_conduction(lattice, config.relax.layers)

    def open(self, opening: dict[str, NDArray[Any]]) -> None:
        self.start = self.last = self._regions(opening["quanta"])
        self.quanta0 = int(opening["quanta"].sum())
        self.energy = self.quanta0 + int(opening["battery"].sum())

    def _regions(self, quanta: NDArray[np.int64]) -> float:
        return math.fsum(special.ln_multiplicity(self.lattice.region_sites, int(q)) for q in quanta)

    def check(self, page: dict[str, NDArray[Any]]) -> None:
        sites = self.lattice.sites
        for quanta, tape in zip(page["quanta"], page["tape"], strict=True):
            self.cycle += 1
            held = math.fsum(tape)
            now = self._regions(quanta) + held
            margin = self.ln_kinds - (self.last - now) - math.log(LEVEL)
            if margin < self.worst_step:
                self.worst_step, self.step_where = (
                    margin,
                    f"closest in cycle {self.cycle}: rose by {now - self.last:.6g} nats",
                )
            self.last = now
            total = int(quanta.sum())
            beyond = self.start - float(special.ln_multiplicity(sites, total)) - held
            slack = 1e-12 * self.start
            margin = math.log(self.energy + 1) - beyond + slack - math.log(LEVEL)
            if margin < self.worst_exergy:
                self.worst_exergy = margin
                self.exergy_where = f"closest in cycle {self.cycle}: work taken {self.quanta0 - total:,} quanta"

    def laws(self) -> list[Law]:
        step = self.worst_step if math.isfinite(self.worst_step) else 0.0
        exergy = self.worst_exergy if math.isfinite(self.worst_exergy) else 0.0
        return [
            Law("second law", step >= 0, step, self.step_where),
            Law("exergy", exergy >= 0, exergy, self.exergy_where),
        ]


def _ln_conduction(lattice: Lattice, layers: int) -> float:
    """Log of a bound on the macrostates that relaxation can reach in a cycle.

    Records count themselves: Σ over n₁ of C(N, n₁) / e^{record nats} ≤ 1.
    """
    if lattice.adiabatic or lattice.region_count == 1:
        return 0.0
    faces = sum(2 * lattice.region_sites // size for size in lattice.region_shape)
    return (lattice.region_count - 1) * math.log(2 * lattice.q_max * faces * max(layers, 1) + 1)
