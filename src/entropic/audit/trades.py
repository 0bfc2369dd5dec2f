"""Trades, recomputed: who may meet whom, with which gear, who gets the work; and Carnot's law for every one."""

from __future__ import annotations

import math
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from entropic.audit.exact import Exact, Law
from entropic.config import Config
from entropic.lattice import Lattice

__all__ = ["Trades"]


@final
class Trades:
    """Checks on the accounts of the market; energies at matching are those before the lift less the trade's heat."""

    def __init__(self, config: Config, lattice: Lattice) -> None:
        self.on = config.exchange.enabled
        self.gears = {(m, n) for m, n in config.exchange.gears if m > n}
        self.sites = lattice.region_sites
        self.worst, self.where, self.broken, self.done, self.work = math.inf, "", "", 0, 0

    def check(self, first: Exact, page: dict[str, NDArray[Any]], relaxed: NDArray[np.int64], cycle: int) -> None:
        """Take in some cycles; ``relaxed``: energies before the lift."""
        if not self.on:
            return
        quoted = relaxed - page["gear_heat"]
        for c in range(len(quoted)):
            self._cycle(first, {name: page[name][c] for name in page if name != "counts"}, quoted[c], cycle + c)

    def _cycle(self, first: Exact, books: dict[str, NDArray[Any]], quoted: NDArray[np.int64], cycle: int) -> None:
        partner, hot = books["partner"], books["hot"]
        idle = partner < 0
        first.equal("partner of regions that did not trade", partner[idle], np.full(idle.sum(), -1), cycle)
        for name in ("gear", "gear_heat", "gear_m", "gear_n", "hot"):
            first.equal(f"{name} of regions that did not trade", books[name][idle], np.zeros(idle.sum()), cycle)
        regions = np.flatnonzero(~idle)
        rank = np.argsort(-quoted, kind="stable")
        meets = np.full(quoted.size, -1, np.int64)
        meets[rank] = rank[::-1]
        first.equal("partner", partner[regions], meets[regions], cycle)
        first.equal("partner's partner", partner[partner[regions]], regions, cycle)
        for r in np.flatnonzero(~idle & hot):
            self._trade(first, books, quoted, int(r), int(partner[r]), cycle)

    def _trade(
        self, first: Exact, books: dict[str, NDArray[Any]], quoted: NDArray[np.int64], h: int, c: int, cycle: int
    ) -> None:
        m, n = int(books["gear_m"][h]), int(books["gear_n"][h])
        first.equal("gear on offer", np.int64((m, n) in self.gears), np.int64(1), cycle)
        if m == 0:
            return
        sides = [books[name][c] for name in ("hot", "gear_m", "gear_n")]
        first.equal("the cold side's gear", np.array(sides, np.int64), np.array([0, m, n]), cycle)
        turns, rest = divmod(-int(books["gear_heat"][h]), m)
        work = int(books["gear"][h]) + int(books["gear"][c])
        first.equal("heat of whole turns", np.int64(rest), np.int64(0), cycle)
        first.equal("heat to the cold side", books["gear_heat"][c], np.int64(n * turns), cycle)
        first.equal("work of the trade", np.int64(work), np.int64((m - n) * turns), cycle)
        beta_h, beta_c = (math.log1p((self.sites - 1) / (int(quoted[r]) + 1)) for r in (h, c))
        share = abs(work) / (1 + math.sqrt(beta_h / beta_c))  # floored in the books
        fair = -1e-9 * abs(work) <= share - abs(int(books["gear"][h])) <= 1 + 1e-9 * abs(work)
        first.equal("the hot side's share of the work", np.int64(fair), np.int64(1), cycle)
        self.done, self.work = self.done + 1, self.work + work
        hot, cold = (int(quoted[r]) for r in (h, c))
        # Of local equilibria, x = Q / (Q + N) = e^{-beta}: the law is x_h^m > x_c^n, an inequality of integers.
        if hot**m * (cold + self.sites) ** n <= cold**n * (hot + self.sites) ** m:
            self.broken = self.broken or f"cycle {cycle}, regions {h} and {c}, gear {m}:{n}"
        margin = n * math.log1p(self.sites / cold) - m * math.log1p(self.sites / hot) if cold else math.inf
        if margin < self.worst:
            self.worst, self.where = margin, f"closest in cycle {cycle}, regions {h} and {c}, gear {m}:{n}"

    def law(self) -> Law:
        """Carnot: every gear taken has β_h m < β_c n."""
        if not self.done:
            return Law("carnot", True, 0.0, "no trade took place")
        if self.broken:
            return Law("carnot", False, min(self.worst, 0.0), f"no work can be expected in {self.broken}")
        return Law("carnot", True, self.worst, f"{self.done:,} trades, {self.work:,} quanta; {self.where}")
