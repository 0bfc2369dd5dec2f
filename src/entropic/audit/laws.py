"""The laws that are inequalities: the lift, the second law, exergy, the demon."""

from __future__ import annotations

import math
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from entropic import special
from entropic.audit.exact import LEVEL, Exact, Law
from entropic.audit.replay import entry
from entropic.config import Config
from entropic.lattice import Lattice

__all__ = ["Demon", "Lift", "Second"]


@final
class Lift:
    """Law 2: S_hist(after) + ln C(n, n₁) ≥ S_hist(before), every region, every cycle; n bits, one a site for the lift.

    Of a protocol of the user's own it is claimed where each site is treated by itself: then the histogram before decides
    the one after, and n₁.  What looks at several sites at once may do with less, if they are not independent.
    """

    def __init__(self, sitewise: bool = True) -> None:
        self.worst, self.where, self.exact = math.inf, "", Exact("lift")
        self.sitewise = sitewise

    def check(self, page: dict[str, NDArray[Any]], threshold: int, bits: int, cycle: int) -> None:
        """Take in some cycles; ``bits``: of a record."""
        counts = page["counts"].astype(np.int64)
        if "counts_lifted" in page:
            shifted = page["counts_lifted"].astype(np.int64)
        else:
            shifted = _shifted(counts, threshold, page["measured"])
        shape = page["ones"].shape
        before, after = np.empty(shape), np.empty(shape)
        for c in range(shape[0]):
            special.ln_multinomial_rows(counts[c], before[c])
            special.ln_multinomial_rows(shifted[c], after[c])
        self.exact.equal("entropy after the lift", page["entropy_lifted"], after, cycle)
        quiet = (page["erasure"] + sum(entry(page, n) for n in ("stored_loss", "compute", "line_loss"))) == 0
        self.exact.equal(
            "entropy at the cycle's end", np.where(quiet, page["entropy_hist"], 0.0), np.where(quiet, after, 0.0), cycle
        )
        kinds = {int(k): float(special.ln_binomial(bits, int(k))) for k in np.unique(page["ones"])}
        known = np.vectorize(kinds.__getitem__, otypes=[float])(page["ones"])
        slack = 1e-12 * (before + after + known) + 1e-12
        margin = after + known - before + slack
        at = np.unravel_index(int(np.argmin(margin)), shape)
        if self.sitewise and margin[at] < self.worst:
            self.worst, self.where = float(margin[at]), f"closest in cycle {cycle + int(at[0])}, region {int(at[1])}"

    def law(self) -> Law:
        exact = self.exact.law()
        if not exact.holds:
            return exact
        if not self.sitewise:
            return Law("lift", True, 0.0, "not claimed: the protocol looks at several sites at once")
        worst = self.worst if math.isfinite(self.worst) else 0.0
        return Law("lift", worst >= 0, worst, self.where)


def _shifted(counts: NDArray[np.int64], threshold: int, measured: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Histograms after a lift where it took place: [cycles, regions, q]."""
    shifted = counts.copy()
    shifted[:, :, threshold:] = 0
    width = max(counts.shape[2] - threshold, 0)
    if width:
        np.add(shifted[:, :, :width], counts[:, :, threshold:], out=shifted[:, :, :width])
    return np.where(measured[:, :, None], shifted, counts)


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
        self.ln_kinds = _ln_conduction(lattice, config.relax.layers) + _ln_contact(lattice, config)
        field = config.field
        self.baths = tuple(math.log1p(1 / m) if m else math.inf for m in (field.bath_left or 0, field.bath_right or 0))
        self.open_edges = field.edges == "baths"

    def open(self, opening: dict[str, NDArray[Any]]) -> None:
        self.start = self.last = self._regions(opening["quanta"])
        self.quanta0 = int(opening["quanta"].sum())
        self.energy = self.quanta0 + int(opening["battery"].sum())

    def _regions(self, quanta: NDArray[np.int64]) -> float:
        nats = np.empty(quanta.size)
        special.ln_multiplicity_rows(np.full(quanta.size, self.lattice.region_sites), quanta, nats)
        return math.fsum(nats)

    def check(self, page: dict[str, NDArray[Any]]) -> None:
        sites = self.lattice.sites
        rejected = self._rejected(page)
        for quanta, tape, beyond_edges in zip(page["quanta"], page["tape"], rejected, strict=True):
            self.cycle += 1
            held = math.fsum(tape)
            now = self._regions(quanta) + held
            margin = self.ln_kinds - (self.last - now - beyond_edges) - math.log(LEVEL)
            if margin < self.worst_step:
                self.worst_step, self.step_where = (
                    margin,
                    f"closest in cycle {self.cycle}: rose by {now - self.last:.6g} nats",
                )
            self.last = now
            if self.open_edges:
                continue
            total = int(quanta.sum())
            beyond = self.start - float(special.ln_multiplicity(sites, total)) - held
            slack = 1e-12 * self.start
            margin = math.log(self.energy + 1) - beyond + slack - math.log(LEVEL)
            if margin < self.worst_exergy:
                self.worst_exergy = margin
                self.exergy_where = f"closest in cycle {self.cycle}: work taken {self.quanta0 - total:,} quanta"

    def _rejected(self, page: dict[str, NDArray[Any]]) -> list[float]:
        """Entropy that each cycle gave to the baths: heat over temperature."""
        total = np.zeros(len(page["quanta"]))
        for end, beta in zip(("left", "right"), self.baths, strict=True):
            heat = (entry(page, f"{end}_out") - entry(page, f"{end}_in")).sum(axis=1)
            total[heat != 0] += heat[heat != 0] * beta
        return [float(value) for value in total]

    def laws(self) -> list[Law]:
        step = self.worst_step if math.isfinite(self.worst_step) else 0.0
        exergy = self.worst_exergy if math.isfinite(self.worst_exergy) else 0.0
        return [
            Law("second law", step >= 0, step, self.step_where),
            Law("exergy", exergy >= 0, exergy, "not a closed field" if self.open_edges else self.exergy_where),
        ]


def _ln_contact(lattice: Lattice, config: Config) -> float:
    """Log of a bound on the macrostates that trades, baths and protocols add in a cycle."""
    total = 0.0
    if config.demon.protocol is not None:  # its work need not follow from the ones of its record
        total += lattice.region_count * math.log(lattice.region_sites * lattice.q_max + 1)
    if config.exchange.enabled:
        touched = max(1, int(config.exchange.contact * lattice.region_sites))
        total += lattice.region_count // 2 * math.log(2 * touched * lattice.q_max + 1)
    if config.field.edges == "baths":
        face = lattice.sites // lattice.shape[4 - lattice.axes]
        total += 2 * math.log(2 * face * lattice.q_max * max(config.relax.layers, 1) + 1)
    return total


def _ln_conduction(lattice: Lattice, layers: int) -> float:
    """Log of a bound on the macrostates that relaxation can reach in a cycle.

    Records count themselves: Σ over n₁ of C(N, n₁) / e^{record nats} ≤ 1.
    """
    if lattice.adiabatic or lattice.region_count == 1:
        return 0.0
    faces = sum(2 * lattice.region_sites // size for size in lattice.region_shape)
    return (lattice.region_count - 1) * math.log(2 * lattice.q_max * faces * max(layers, 1) + 1)


@final
class Demon:
    """Law 6: what the demon lifts is worth no more, in nats at the region's temperature, than what it writes down.

    For a region whose microstate is uniform on its shell, P(n₁) ≤ e^{−(ΔS − I)}, ΔS ≥ W / T the entropy that leaves with the
    work: so Σ (W / T − I), over regions and cycles, exceeds z with probability e^{−z} at most.
    A protocol of the user's own may take any of Q + 1 amounts with the same n₁, and may use what a sort wrote down before.
    """

    def __init__(self, config: Config, lattice: Lattice) -> None:
        self.on, self.sites, self.own = config.demon.lift, lattice.region_sites, config.demon.protocol is not None
        self.total, self.worst = 0.0, math.inf
        self.work = self.cycle = 0

    def check(self, page: dict[str, NDArray[Any]], relaxed: NDArray[np.int64]) -> None:
        """Take in some cycles; ``relaxed``: energies before the lift."""
        if not self.on or self.sites < 2:
            return
        beta = np.log1p((self.sites - 1) / (np.maximum(relaxed, 0) + 1.0))
        known = page["record_nats"]
        if self.own:
            kinds = np.where(page["measured"], np.log1p(np.maximum(relaxed, 0)), 0.0)
            known = known + entry(page, "sort_nats") + kinds
        gains = (page["lift"] * beta - known).sum(axis=1)
        sums = self.total + np.cumsum(gains)
        self.worst = min(self.worst, -float(sums.max()) - math.log(LEVEL))
        self.total, self.work = float(sums[-1]), self.work + int(page["lift"].sum())

    def law(self) -> Law:
        if not math.isfinite(self.worst):
            return Law("demon", True, 0.0, "no demon lifts")
        return Law(
            "demon", self.worst >= 0, self.worst, f"{self.work:,} quanta lifted; Σ W/T − I = {self.total:.6g} nats"
        )
