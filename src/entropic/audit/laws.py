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

__all__ = ["Demon", "Lift", "Second", "settled"]


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


def settled(config: Config, lattice: Lattice) -> bool:
    """Whether regions can be taken to be in equilibrium inside, each uniform on its shell, before every cycle.

    They start so, and what treats all their sites alike keeps them so: erasure and lift.  What treats some sites otherwise
    does not: baths, trades, sorted partners, the grid (which warms some regions and not others), and conduction
    between regions that start hot and cold.
    """
    field = config.field
    alike = field.initial in ("thermal", "microcanonical") or (
        field.initial == "hot-cold" and lattice.adiabatic and not _straddles(lattice)
    )
    driven = field.edges == "baths" or config.exchange.enabled or config.grid.enabled
    return alike and not driven and not (config.demon.sort and config.demon.pairs == "partners")


def _straddles(lattice: Lattice) -> bool:
    """Whether the middle of the first axis, where hot meets cold, lies inside regions."""
    axis = 4 - lattice.axes
    return lattice.shape[axis] // 2 % lattice.region_shape[axis] != 0


@final
class Second:
    """Laws 3 and 4, from energies and tapes.

    Where regions are in equilibrium inside (`settled`), each cycle is compared with the one before.  Where they need not
    be, a region's shell has room for more than is the case, and its entropy may fall back lawfully; then every
    cycle is compared with the start, which needs no such assumption.
    """

    def __init__(self, lattice: Lattice, config: Config) -> None:
        self.lattice, self.config = lattice, config
        self.settled = settled(config, lattice)
        self.worst_step, self.worst_exergy = math.inf, math.inf
        self.step_where, self.exergy_where = "no cycle yet", "no cycle yet"
        self.cycle = 0
        self.start = self.last = self.rejected = 0.0
        self.quanta0 = self.energy = 0
        self.ln_kinds = _ln_conduction(lattice, config.relax.layers) + _ln_own(lattice, config)
        field = config.field
        self.baths = tuple(math.log1p(1 / m) if m else math.inf for m in (field.bath_left or 0, field.bath_right or 0))
        self.open_edges = field.edges == "baths"

    def open(self, opening: dict[str, NDArray[Any]]) -> None:
        self.start = self.last = math.fsum(opening["entropy_start"])
        self.quanta0 = int(opening["quanta"].sum())
        self.energy = self.quanta0 + int(opening["battery"].sum())

    def _regions(self, quanta: NDArray[np.int64]) -> float:
        return math.fsum(special.ln_multiplicities(self.lattice.region_sites, quanta))

    def check(self, page: dict[str, NDArray[Any]]) -> None:
        for quanta, tape, beyond_edges in zip(page["quanta"], page["tape"], self._rejected(page), strict=True):
            self.cycle += 1
            held = math.fsum(tape)
            self._entropy(self._regions(quanta) + held, beyond_edges)
            if not self.open_edges:
                self._exergy(int(quanta.sum()), held)

    def _entropy(self, now: float, beyond_edges: float) -> None:
        """Law 3; ``beyond_edges``: entropy that the cycle gave to the baths."""
        self.rejected += beyond_edges
        if self.settled:
            since, ln_kinds, rose = "", self.ln_kinds, now - self.last + beyond_edges
        else:
            since, ln_kinds, rose = " since the start", self._ln_reachable(), now - self.start + self.rejected
        margin = ln_kinds + rose - math.log(LEVEL)
        if margin < self.worst_step:
            self.worst_step = margin
            self.step_where = f"closest in cycle {self.cycle}: rose by {rose:.6g} nats{since}"
        self.last = now

    def _ln_reachable(self) -> float:
        """Log of a bound on the macrostates that can have been reached since the start: region by region, bath by bath."""
        most = self.lattice.region_sites * self.lattice.q_max
        if not self.open_edges:
            return self.lattice.region_count * math.log(min(most, self.energy) + 1)
        return self.lattice.region_count * math.log(most + 1) + _ln_heat_of_baths(self.lattice, self.config, self.cycle)

    def _exergy(self, total: int, held: float) -> None:
        """Law 4."""
        beyond = self.start - float(special.ln_multiplicity(self.lattice.sites, total)) - held
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


def _ln_own(lattice: Lattice, config: Config) -> float:
    """Log of a bound on the macrostates that a protocol adds in a cycle: its work need not follow from the ones of its record."""
    if config.demon.protocol is None:
        return 0.0
    return lattice.region_count * math.log(lattice.region_sites * lattice.q_max + 1)


def _ln_heat_of_baths(lattice: Lattice, config: Config, cycles: int) -> float:
    """Log of a bound on the heats that two baths can have taken in some cycles."""
    face = lattice.sites // lattice.shape[4 - lattice.axes]
    return 2 * math.log(2 * face * lattice.q_max * config.relax.layers * cycles + 1)


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

    Where regions need not be in equilibrium inside (`settled`), a demon may also use what they lack of it.  Of a lift, and
    of what else treats each site by itself, that is no more than S(N, Q) − S_hist, and W / T ≤ I + S(N, Q) − S_hist always.
    """

    def __init__(self, config: Config, lattice: Lattice, sitewise: bool) -> None:
        self.on, self.sites, self.own = config.demon.lift, lattice.region_sites, config.demon.protocol is not None
        self.settled = settled(config, lattice)
        self.claimed = self.settled or sitewise
        self.total, self.worst = 0.0, math.inf
        self.work = 0

    def check(self, page: dict[str, NDArray[Any]], relaxed: NDArray[np.int64]) -> None:
        """Take in some cycles; ``relaxed``: energies before the lift."""
        if not self.on or self.sites < 2 or not self.claimed:
            return
        beta = np.log1p((self.sites - 1) / (np.maximum(relaxed, 0) + 1.0))
        known = page["record_nats"]
        if not self.settled:
            known = known + np.where(page["measured"], self._lack(page, relaxed), 0.0)
        elif self.own:
            kinds = np.where(page["measured"], np.log1p(np.maximum(relaxed, 0)), 0.0)
            known = known + entry(page, "sort_nats") + kinds
        gains = (page["lift"] * beta - known).sum(axis=1)
        sums = self.total + np.cumsum(gains)
        self.worst = min(self.worst, -float(sums.max()) - math.log(LEVEL))
        self.total, self.work = float(sums[-1]), self.work + int(page["lift"].sum())

    def _lack(self, page: dict[str, NDArray[Any]], relaxed: NDArray[np.int64]) -> NDArray[np.float64]:
        """S(N, Q) − S_hist before the lift: float64[cycles, regions]."""
        shell, hist = np.empty(relaxed.shape), np.empty(relaxed.shape)
        sites = np.full(relaxed.shape[1], self.sites)
        for c, counts in enumerate(page["counts"].astype(np.int64)):
            special.ln_multinomial_rows(counts, hist[c])
            special.ln_multiplicity_rows(sites, np.maximum(relaxed[c], 0), shell[c])
        return shell - hist

    def law(self) -> Law:
        if self.on and not self.claimed:
            return Law(
                "demon", True, 0.0, "not claimed: the protocol looks at several sites at once, out of equilibrium"
            )
        if not math.isfinite(self.worst):
            return Law("demon", True, 0.0, "no demon lifts")
        less = "" if self.settled else " − what regions lack of equilibrium"
        found = f"{self.work:,} quanta lifted; Σ W/T − I{less} = {self.total:.6g} nats"
        return Law("demon", self.worst >= 0, self.worst, found)
