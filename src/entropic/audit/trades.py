"""Trades, recomputed: who may meet whom, with which gear, who gets the work; order book and log; Carnot's law."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from entropic import special
from entropic.audit.exact import Exact, Law
from entropic.columns import largest, opened
from entropic.config import Config
from entropic.lattice import Lattice

__all__ = ["Trades"]

Columns = Mapping[str, NDArray[Any]]

_CLOSE = 1e-9  # relative; floats decide nothing closer than that here


@final
class Trades:
    """Checks on the accounts of the market, its order book and its log.

    Energies at matching are those before the lift less the trade's heat; everything else follows from them.
    """

    def __init__(self, path: Path, config: Config, lattice: Lattice) -> None:
        self.on = config.exchange.enabled
        self.gears = np.array([gear for gear in config.exchange.gears if gear[0] > gear[1]], np.int64).reshape(-1, 2)
        self.carnot_share = config.exchange.carnot_share
        self.sites = lattice.region_sites
        self.worst, self.where, self.broken, self.done, self.work = math.inf, "", "", 0, 0
        self.log = _table(path / "trades.zarr", config)
        self.orders = _table(path / "orders.zarr", config)

    def check(self, first: Exact, page: dict[str, NDArray[Any]], relaxed: NDArray[np.int64], cycle: int) -> None:
        """Take in some cycles; ``relaxed``: energies before the lift."""
        if not self.on:
            return
        quoted = relaxed - page["gear_heat"]
        names = ("partner", "hot", "gear_m", "gear_n", "gear", "gear_heat")
        for c in range(len(quoted)):
            self._cycle(first, {name: page[name][c] for name in names}, quoted[c], cycle + c)

    def finish(self, first: Exact, reached: int) -> None:
        """After the last cycle: nothing is logged beyond it."""
        for name, table in (("log", self.log), ("order book", self.orders)):
            beyond = ((table["cycle"] > reached) | (table["cycle"] < 1)).sum() if table else np.int64(0)
            first.equal(f"{name}: rows of cycles that were not run", beyond, np.int64(0))

    def _cycle(self, first: Exact, books: Columns, quoted: NDArray[np.int64], cycle: int) -> None:
        partner, hot = books["partner"], books["hot"]
        idle = partner < 0
        first.equal("partner of regions that did not trade", partner[idle], np.full(idle.sum(), -1), cycle)
        for name in ("gear", "gear_heat", "gear_m", "gear_n", "hot"):
            first.equal(f"{name} of regions that did not trade", books[name][idle], np.zeros(idle.sum()), cycle)
        rank = np.argsort(-quoted, kind="stable")
        meets = np.full(quoted.size, -1, np.int64)
        meets[rank] = rank[::-1]
        regions = np.flatnonzero(~idle)
        first.equal("partner", partner[regions], meets[regions], cycle)
        h = rank[: quoted.size // 2]
        h = h[quoted[h] > quoted[meets[h]]]  # hot sides of all pairs of unequal quotes, hottest first
        first.equal("hot sides", np.flatnonzero(hot), np.sort(h[partner[h] >= 0]), cycle)
        first.equal("cold sides", np.flatnonzero(~hot & ~idle), np.sort(meets[h[partner[h] >= 0]]), cycle)
        gears = self._orders(first, rank, quoted, h, meets[h], cycle)
        h = h[hot[h]]
        turned = np.stack([books["gear_m"][h], books["gear_n"][h]])
        first.equal("gear that was offered", turned, gears[:, h], cycle)
        self._done(first, books, quoted, h, meets[h], cycle)
        self._log(first, books, quoted, h, meets[h], cycle)

    # -- what took place --

    def _done(
        self,
        first: Exact,
        books: Columns,
        quoted: NDArray[np.int64],
        h: NDArray[np.int64],
        c: NDArray[np.int64],
        cycle: int,
    ) -> None:
        m, n = books["gear_m"][h], books["gear_n"][h]
        offered = ((m[:, None] == self.gears[:, 0]) & (n[:, None] == self.gears[:, 1])).any(axis=1)
        first.equal("gear on offer", offered, np.ones_like(offered), cycle)
        first.equal("the cold side's gear", np.stack([books["gear_m"][c], books["gear_n"][c]]), np.stack([m, n]), cycle)
        turns, rest = np.divmod(-books["gear_heat"][h], np.maximum(m, 1))
        work = books["gear"][h] + books["gear"][c]
        first.equal("heat of whole turns", rest, np.zeros_like(rest), cycle)
        first.equal("heat to the cold side", books["gear_heat"][c], n * turns, cycle)
        first.equal("work of the trade", work, (m - n) * turns, cycle)
        share = np.abs(work) / (1 + np.sqrt(self._beta(quoted[h]) / self._beta(quoted[c])))  # floored in the books
        over = share - np.abs(books["gear"][h])
        fair = (over >= -_CLOSE * np.abs(work)) & (over <= 1 + _CLOSE * np.abs(work))
        first.equal("the hot side's share of the work", fair, np.ones_like(fair), cycle)
        self.done, self.work = self.done + h.size, self.work + int(work.sum())
        if h.size:
            self._carnot(quoted[h], quoted[c], m, n, np.stack([h, c], axis=1), cycle)

    def _carnot(
        self,
        hot: NDArray[np.int64],
        cold: NDArray[np.int64],
        m: NDArray[np.int64],
        n: NDArray[np.int64],
        regions: NDArray[np.int64],
        cycle: int,
    ) -> None:
        """Of local equilibria, x = Q / (Q + N) = e^{-beta}: the law is beta_h m < beta_c n, that is x_h^m > x_c^n."""
        with np.errstate(divide="ignore"):
            beta_hot, beta_cold = np.log1p(self.sites / hot), np.log1p(self.sites / cold)
        margin = n * beta_cold - m * beta_hot
        for k in np.flatnonzero(~(margin > _CLOSE * m * beta_hot)):  # too close for floats: the same with integers
            a, b, x, y = int(m[k]), int(n[k]), int(hot[k]), int(cold[k])
            if x**a * (y + self.sites) ** b <= y**b * (x + self.sites) ** a:
                place = f"cycle {cycle}, regions {regions[k, 0]} and {regions[k, 1]}, gear {a}:{b}"
                self.broken = self.broken or place
        least = int(np.argmin(margin))
        if margin[least] < self.worst:
            self.worst = float(margin[least])
            place = f"regions {regions[least, 0]} and {regions[least, 1]}, gear {m[least]}:{n[least]}"
            self.where = f"closest in cycle {cycle}, {place}"

    # -- what was quoted, offered and logged --

    def _orders(
        self,
        first: Exact,
        rank: NDArray[np.int64],
        quoted: NDArray[np.int64],
        h: NDArray[np.int64],
        c: NDArray[np.int64],
        cycle: int,
    ) -> NDArray[np.int64]:
        """The cycle's order book; ``h``, ``c``: regions of all pairs that could trade, hottest first.

        Returns
        -------
        int64[2, regions]
            Gears that regions were offered.
        """
        gears = np.zeros((2, quoted.size), np.int64)
        at = np.flatnonzero(self.orders["cycle"] == cycle) if self.orders else np.zeros(0, np.int64)
        first.equal("order books of the cycle", np.int64(at.size), np.int64(self.gears.size > 0), cycle)
        if at.size != 1:
            return gears
        row = {name: values[at[0]] for name, values in self.orders.items()}
        first.equal("order book: region", row["region"], rank, cycle)
        first.equal("order book: quanta", row["quanta"], quoted[rank], cycle)
        first.equal("order book: temperature", row["temperature"], self._warmth(quoted[rank]), cycle)
        gears[:, rank] = row["gear_m"], row["gear_n"]
        first.equal("gear offered to both", gears[:, h], gears[:, c], cycle)
        neither = np.setdiff1d(rank, np.concatenate([h, c]))
        first.equal("gear offered to who has no partner", gears[:, neither], np.zeros((2, neither.size)), cycle)
        self._offers(first, gears[:, h], quoted[h], quoted[c], cycle)
        return gears

    def _offers(
        self,
        first: Exact,
        gears: NDArray[np.int64],
        hot: NDArray[np.int64],
        cold: NDArray[np.int64],
        cycle: int,
    ) -> None:
        """The gear of each pair: none if none is expected to pay, else that of the most work, or nearest to Carnot's share."""
        works, chosen = self._choices(hot, cold)
        offered = gears.any(axis=0)
        wanted, unwanted = (works > _CLOSE).any(axis=0), (works < -_CLOSE).all(axis=0)
        first.equal("pairs that should trade and are not offered to", wanted & ~offered, np.zeros_like(offered), cycle)
        first.equal("pairs that should not trade", unwanted & offered, np.zeros_like(offered), cycle)
        same = (gears[0] == self.gears[:, :1]) & (gears[1] == self.gears[:, 1:])
        best = (same & chosen).any(axis=0) | ~offered
        first.equal("gear of the most work, or nearest to Carnot's share", best, np.ones_like(best), cycle)

    def _log(
        self,
        first: Exact,
        books: Columns,
        quoted: NDArray[np.int64],
        h: NDArray[np.int64],
        c: NDArray[np.int64],
        cycle: int,
    ) -> None:
        """The trades of a cycle; ``h``, ``c``: regions of those that took place, hottest first."""
        log = {name: values[self.log["cycle"] == cycle] for name, values in self.log.items()}
        if not log:
            first.equal("trades that the log lacks", np.int64(h.size), np.int64(0), cycle)
            return
        m, n = books["gear_m"][h], books["gear_n"][h]
        warmth = self._warmth(quoted[h]), self._warmth(quoted[c])
        said = {
            "hot": h,
            "cold": c,
            "m": m,
            "n": n,
            "price": np.sqrt(warmth[0] * warmth[1]),
            "temperature_hot": warmth[0],
            "temperature_cold": warmth[1],
            "work": books["gear"][h] + books["gear"][c],
            "heat_hot": -books["gear_heat"][h],
            "heat_cold": books["gear_heat"][c],
            "share_hot": books["gear"][h],
            "share_cold": books["gear"][c],
        }
        for name, values in said.items():
            first.equal(f"trade log: {name}", log[name], values, cycle)
        if log["expected_work"].shape != h.shape:
            first.equal("trade log: expected work", log["expected_work"], h, cycle)
            return
        expected = _expected(m, n, quoted[h], quoted[c], self.sites)
        close = np.abs(log["expected_work"] - expected) <= _CLOSE * np.abs(expected)
        first.equal("trade log: expected work", close, np.ones_like(close), cycle)

    def _warmth(self, quanta: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.array([special.temperature(self.sites, int(q)) for q in quanta], float)

    def _choices(
        self, hot: NDArray[np.int64], cold: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Expected work of every gear on every pair, and whether it may be the one: [gears, pairs] each."""
        m, n = self.gears[:, :1], self.gears[:, 1:]
        works = _expected(m, n, hot, cold, self.sites)
        if self.carnot_share is None:
            return works, works >= works.max(axis=0, initial=0.0) - _CLOSE * (1 + np.abs(works))
        target = self.carnot_share * (1 - self._beta(hot) / self._beta(cold))
        far = np.where(works > -_CLOSE, np.abs(1 - n / m - target), np.inf)
        return works, far <= far.min(axis=0, initial=np.inf) + _CLOSE

    def _beta(self, quanta: NDArray[np.int64]) -> NDArray[np.float64]:
        """1 / T of regions."""
        beta: NDArray[np.float64] = np.log1p((self.sites - 1) / (quanta + 1))
        return beta

    def law(self) -> Law:
        """Carnot: every gear taken has β_h m < β_c n."""
        if not self.done:
            return Law("carnot", True, 0.0, "no trade took place")
        if self.broken:
            return Law("carnot", False, min(self.worst, 0.0), f"no work can be expected in {self.broken}")
        return Law("carnot", True, self.worst, f"{self.done:,} trades, {self.work:,} quanta; {self.where}")


def _expected(
    m: NDArray[np.int64], n: NDArray[np.int64], hot: NDArray[np.int64], cold: NDArray[np.int64], sites: int
) -> NDArray[np.float64]:
    """Mean work of an m:n swap a pair, at the local equilibria of two regions."""
    with np.errstate(divide="ignore", over="ignore"):
        turns = 1 / np.expm1(m * np.log1p(sites / hot)) - 1 / np.expm1(n * np.log1p(sites / cold))
    work: NDArray[np.float64] = (m - n) * turns
    return work


def _table(path: Path, config: Config) -> dict[str, NDArray[Any]]:
    """Columns of a log; none if they are not of one length."""
    if not config.exchange.enabled or not path.exists():
        return {}
    columns = {name: np.asarray(array[...]) for name, array in opened(path, largest(config)).arrays()}
    return columns if len({len(values) for values in columns.values()}) == 1 else {}
