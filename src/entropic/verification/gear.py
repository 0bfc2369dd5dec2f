"""Checks of gears: mean work on thermal sites and on sorted pairs, by every pair of bytes and by sampling; Carnot."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from entropic.machines.demon import MaxwellDemon
from entropic.machines.pump import EntropyPump, expected_work_exact
from entropic.verification.check import Check, Finding, Tally, Value
from entropic.verification.closed_forms import boltzmann_factor, geometric, sorted_work, thermal_work
from entropic.verification.samples import Played, Sites, play, seed_of, thermal
from entropic.verification.statistics import counts_of, p_value, smallest, sum_p

__all__ = ["CHECKS", "Bytes", "work_law"]

GEARS = ((2, 1), (3, 2), (3, 1), (5, 3))
HOT, COLD, WARM = 4.0, 1.0, 4.0  # quanta a site
CELLS = 200  # what lies beyond has a chance of 1e-19 at the warmest
Q_MAX = 255


class Bytes:
    """Every pair of bytes through a demon (or not) and a pump, and means over them with exact thermal weights."""

    def __init__(self, m: int, n: int, sort_first: bool) -> None:
        grid = np.arange(Q_MAX + 1, dtype=np.uint8)
        hot, cold = np.repeat(grid, grid.size), np.tile(grid, grid.size)
        self.bits = MaxwellDemon().sort_between(hot, cold).bits() if sort_first else np.zeros(hot.size, np.uint8)
        q, p = hot.astype(np.int64), cold.astype(np.int64)
        EntropyPump(m, n, Q_MAX).swap(hot, cold)
        self.image = np.stack([hot, cold])
        self.work = q + p - self.image.sum(axis=0, dtype=np.int64)
        capped = (m * (p // n) + q % m > Q_MAX) | (n * (q // m) + p % n > Q_MAX)
        self._lost = np.where(capped, abs(m - n) * (q // m + p // n), 0)  # at most what a pair at the cap did not yield
        self._spread = abs(m - n)

    def mean(self, x_hot: Fraction, x_cold: Fraction, values: NDArray[np.int64]) -> Fraction:
        """Σ P(q) P(p) value(q, p), over the bytes."""
        hot, cold = (
            np.array([x.numerator**q * x.denominator ** (Q_MAX - q) for q in range(Q_MAX + 1)], object)
            for x in (x_hot, x_cold)
        )
        scale = (1 - x_hot) * (1 - x_cold) / Fraction(x_hot.denominator * x_cold.denominator) ** Q_MAX
        return Fraction(hot @ values.reshape(hot.size, -1).astype(object) @ cold) * scale

    def slack(self, x_hot: Fraction, x_cold: Fraction) -> Fraction:
        """What the cap and sites above it keep from the law without a cap, at most."""
        u_hot, u_cold = x_hot / (1 - x_hot), x_cold / (1 - x_cold)
        above = (x_hot ** (Q_MAX + 1) + x_cold ** (Q_MAX + 1)) * (
            Q_MAX + 1 + u_hot + u_cold
        )  # E[q + p; a site above it]
        return self.mean(x_hot, x_cold, self._lost) + self._spread * above


FACTORS = ((Fraction(3, 5), Fraction(1, 4)), (Fraction(1, 2), Fraction(1, 2)), (Fraction(1, 5), Fraction(1, 2)))


def every_pair(scale: int) -> Finding:
    """All 65,536 pairs of bytes: a bijection and its own inverse; exact mean work, plain and after a sort."""
    tally, largest = Tally(), Fraction(0)
    gears = (*GEARS, (1, 2), (7, 2), *(((4, 3), (5, 1), (9, 4)) if scale > 1 else ()))
    for (m, n), sort_first in ((gear, sort_first) for gear in gears for sort_first in (False, True)):
        table = Bytes(m, n, sort_first)
        if not sort_first:
            images = np.unique(table.image[0].astype(np.int64) << 8 | table.image[1])
            tally.see(images.size == table.work.size, f"{m}:{n} is no bijection of pairs", table.work.size)
            hot, cold = table.image[0].copy(), table.image[1].copy()
            EntropyPump(m, n, Q_MAX).undo(hot, cold)
            grid = np.arange(Q_MAX + 1)
            restored = np.array_equal(hot, np.repeat(grid, grid.size)) and np.array_equal(
                cold, np.tile(grid, grid.size)
            )
            tally.see(restored, f"{m}:{n} is not undone", table.work.size)
        for x_hot, x_cold in FACTORS:
            x_hot = x_cold if sort_first else x_hot
            exact = sorted_work(m, n, x_hot) if sort_first else thermal_work(m, n, x_hot, x_cold)
            found, slack = table.mean(x_hot, x_cold, table.work), table.slack(x_hot, x_cold)
            largest = max(largest, slack)
            what = f"⟨W⟩ of {m}:{n} at x = {x_hot}, {x_cold}{' after a sort' if sort_first else ''}"
            tally.see(abs(found - exact) <= slack, f"{what} is {float(found)!r}, not {float(exact)!r}", table.work.size)
            if (m, n) == GEARS[0] and x_hot != x_cold and x_hot > x_cold:
                tally.values.append(Value(what, float(exact), float(found)))
    tally.values.append(Value("slack left for the cap, at most", 0.0, float(largest)))
    return tally.finding("pairs", "equality in rationals, but for what the cap is proven to take")


def carnot(scale: int) -> Finding:
    """The sign of an engine's mean work, by rationals, over regions of small energies, and by every pair of bytes beside it."""
    tally, zeros = Tally(), 0
    for sites in (3, 5, 8, 12)[: 2 + 2 * (scale > 1)]:
        for hot in range(1, 25):
            for cold in range(1, 25):
                for m in range(2, 6):
                    for n in range(1, m):
                        work = expected_work_exact(m, n, hot, cold, sites)
                        heat = (1 + Fraction(sites, hot)) ** m  # e^{β_h m}
                        other = (1 + Fraction(sites, cold)) ** n
                        agrees = (work > 0) == (heat < other) and (work == 0) == (heat == other)
                        agrees = agrees and work == thermal_work(
                            m, n, Fraction(hot, hot + sites), Fraction(cold, cold + sites)
                        )
                        tally.see(agrees, f"{m}:{n} between {hot} and {cold} quanta on {sites} sites")
                        zeros += work == 0
    for m, n in GEARS:
        table, x_hot = Bytes(m, n, sort_first=False), Fraction(4, 9)
        for sign in (-1, 1):
            x_cold = Fraction(float(x_hot) ** (m / n) * (1 - sign * 1e-3)).limit_denominator(10**6)
            work, slack = table.mean(x_hot, x_cold, table.work), table.slack(x_hot, x_cold)
            tally.see(work * sign > slack, f"{m}:{n} just {'above' if sign > 0 else 'below'} its ratio of temperatures")
    tally.values.append(Value("cases of β_h m = β_c n, all without mean work", zeros, zeros))
    return tally.finding("cases", "sign of ⟨W⟩ against that of β_c n − β_h m")


def work_law(m: int, n: int, joint: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Values (m − n)(a − b) of the work of a pair, and their chances, from the joint law [q_i, q_j] of its sites."""
    difference = (np.arange(joint.shape[0]) // m)[:, None] - (np.arange(joint.shape[1]) // n)[None, :]
    least = int(difference.min())
    law = np.bincount((difference - least).ravel(), joint.ravel()).astype(np.float64)
    values: NDArray[np.int64] = (m - n) * (np.arange(law.size, dtype=np.int64) + least)
    return values, law


def _sampled(
    tally: Tally,
    gear: tuple[int, int],
    runs: Iterable[tuple[Sites, Sites]],
    joint: NDArray[np.float64],
    exact: Fraction,
) -> float:
    """Swap runs of sites; p-value of the total work, and of the works of the pairs."""
    (m, n), total, pairs = gear, 0, 0
    values, chances = work_law(m, n, joint)
    counts = np.zeros(values.size, np.int64)
    for hot, cold in runs:
        before = hot.astype(np.int64) + cold
        result = EntropyPump(m, n, Q_MAX).swap(hot, cold)
        each = before - hot - cold
        sound = result.work == each.sum() == result.heat_hot - result.heat_cold
        tally.see(sound, f"{m}:{n}: the work is not what the sites lost", 0)
        counts += counts_of((each - values[0]) // (m - n), values.size)
        total, pairs = total + result.work, pairs + hot.size
    agrees = math.isclose(values @ chances, exact, rel_tol=1e-9)
    tally.see(agrees, f"the law of the work of {m}:{n} has not the mean that its closed form says", 0)
    tally.values.append(Value(f"⟨W⟩ a pair, {m}:{n}", float(exact), total / pairs))
    return smallest([sum_p(values, chances, total, pairs), p_value([(counts, chances / chances.sum())])])


PAIRS = 250_000


def thermal_sites(scale: int) -> Finding:
    """Pairs of thermal sites, the exact law of whose work is that of two independent geometric numbers of turns."""
    tally, gears, found = Tally(), (*GEARS, (1, 2)), []
    x_hot, x_cold = boltzmann_factor(HOT), boltzmann_factor(COLD)
    joint = np.outer(geometric(x_hot, CELLS), geometric(x_cold, CELLS))
    for m, n in gears:
        runs = (
            (thermal(HOT, PAIRS, seed_of("hot", m, n, repeat)), thermal(COLD, PAIRS, seed_of("cold", m, n, repeat)))
            for repeat in range(scale)
        )
        found.append(_sampled(tally, (m, n), runs, joint, thermal_work(m, n, x_hot, x_cold)))
    statistic = f"exact law of the sum, G of the works; {2 * len(found)} tests, Bonferroni"
    return tally.finding("pairs", statistic, samples=len(gears) * PAIRS * scale, p_value=smallest(found))


def sorted_pairs(scale: int) -> Finding:
    """Pairs of one temperature, sorted: the larger on the hot side."""
    tally, x, found = Tally(), boltzmann_factor(WARM), []
    single = np.array(geometric(x, CELLS))
    joint = np.tril(2.0 * np.outer(single, single), -1) + np.diag(single**2)  # P(max, min)
    for m, n in GEARS:
        runs = (_sorted_run(seed_of("sorted", m, n, repeat)) for repeat in range(scale))
        found.append(_sampled(tally, (m, n), runs, joint, sorted_work(m, n, x)))
    statistic = f"exact law of the sum, G of the works; {2 * len(found)} tests, Bonferroni"
    return tally.finding("pairs", statistic, samples=len(GEARS) * PAIRS * scale, p_value=smallest(found))


def _sorted_run(seed: int) -> tuple[Sites, Sites]:
    sites = thermal(WARM, 2 * PAIRS, seed)
    hot, cold = sites[:PAIRS].copy(), sites[PAIRS:].copy()
    MaxwellDemon().sort_between(hot, cold)
    return hot, cold


MARKET_PAIRS, MARKET_HOT = 128, 8.0  # pairs of regions of 20 × 20 sites


def _market(m: int, n: int, repeat: int) -> Played:
    """A cycle of the market between hot and cold regions, with one gear on offer and all sites in contact."""
    field = {"shape": [40, 20 * MARKET_PAIRS], "regions": [2, MARKET_PAIRS], "mean": 4.5, "initial": "hot-cold"}
    field |= {"hot": MARKET_HOT, "cold": COLD, "walls": "adiabatic", "seed": seed_of("market", m, n, repeat)}
    market = {"enabled": True, "contact": 1.0, "gears": [[m, n]]}
    battery = {"initial": 0.3}  # to owe from, should a trade turn out badly
    more = {"relax": {"layers": 2}, "demon": {"lift": False}, "exchange": market, "battery": battery}
    return play(1, (1, 32), field=field, **more)


def market(scale: int) -> Finding:
    """Hot regions beside cold ones: the market pairs them, gears turn over all their sites, batteries get the work.

    Whatever region meets which: every hot site swaps with one cold site, so the total work has the law of independent pairs.
    """
    tally, runs, found = Tally(), 4 * scale, []
    pairs = 400 * MARKET_PAIRS * runs
    x_hot, x_cold = boltzmann_factor(MARKET_HOT), boltzmann_factor(COLD)
    joint = np.outer(geometric(x_hot, 2 * CELLS), geometric(x_cold, CELLS))
    for m, n in GEARS[:3]:
        total = 0
        for repeat in range(runs):
            played = _market(m, n, repeat)
            before, after = (int(field.sum(dtype=np.int64)) for field in played.fields)
            work = int(played.books["gear"].sum())
            tally.see((played.books["partner"] >= 0).all(), "a region did not trade", 0)
            tally.see(work == before - after, f"batteries got {work} quanta of the {before - after} that sites lost", 0)
            total += work
        found.append(sum_p(*work_law(m, n, joint), total, pairs))
        tally.values.append(Value(f"⟨W⟩ a pair, {m}:{n}", float(thermal_work(m, n, x_hot, x_cold)), total / pairs))
    statistic = f"exact law of the sum; {len(found)} tests, Bonferroni"
    return tally.finding("pairs", statistic, samples=len(found) * pairs, p_value=smallest(found))


_THERMAL = "(m−n)[x_h^m/(1−x_h^m) − x_c^n/(1−x_c^n)]"
_SORTED = "(m−n)[2x^m/(1−x^m) − x^(2m)/(1−x^(2m)) − x^(2n)/(1−x^(2n))]"

CHECKS = (
    Check(
        "gear: every pair of bytes",
        "all pairs (q_i, q_j) ≤ 255 through the pump, weighted exactly",
        f"⟨W⟩ = {_THERMAL}; after a sort {_SORTED}",
        "⟨⌊q/m⌋⟩ = x^m/(1−x^m)",
        "exact",
        every_pair,
        2,
    ),
    Check(
        "gear: Carnot",
        "sign of an engine's mean work, m > n",
        "positive if and only if β_h m < β_c n",
        "Carnot 1824",
        "exact",
        carnot,
        2,
    ),
    Check(
        "gear: thermal sites",
        f"work of pairs of thermal sites of mean {HOT:g} and {COLD:g}",
        f"⟨W⟩ = {_THERMAL}",
        "⟨⌊q/m⌋⟩ = x^m/(1−x^m)",
        "statistical",
        thermal_sites,
        64,
    ),
    Check(
        "gear: sorted pairs",
        f"work of sorted pairs of mean {WARM:g}",
        f"⟨W⟩ = {_SORTED}",
        "law of max and min",
        "statistical",
        sorted_pairs,
        64,
    ),
    Check(
        "gear: market",
        "work that the market brings to the batteries, regions of mean 8 and 1",
        f"⟨W⟩ = {_THERMAL}",
        "⟨⌊q/m⌋⟩ = x^m/(1−x^m)",
        "statistical",
        market,
        32,
    ),
)
