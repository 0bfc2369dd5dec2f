"""Checks of what a demon can gain: apparent violations, the bound of Sagawa and Ueda, the net of erasure."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import mpmath
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from entropic.entropy import RecordKind
from entropic.machines.harvester import EntropyHarvester
from entropic.machines.landauer import LandauerEngine
from entropic.verification.check import Check, Finding, Tally, Value
from entropic.verification.closed_forms import (
    boltzmann_factor,
    divergence,
    information,
    inverse_temperature,
    ones_law,
    sorted_work,
)
from entropic.verification.gear import GEARS, Q_MAX, Bytes
from entropic.verification.samples import play, seed_of
from entropic.verification.statistics import binomial_p, counts_of, p_value, smallest

__all__ = ["CHECKS"]

MEAN, THRESHOLD, LARGEST, REGIONS = 5.0, 12, 64, 1000
CHANCE = float(boltzmann_factor(MEAN) ** THRESHOLD)
PRICES = {
    "raw": math.log(2.0) / inverse_temperature(MEAN),  # c = T ln 2 a site
    "compressed": information(CHANCE) / inverse_temperature(MEAN),  # c = T H(p)
}


def _ones_of(sites: int, regions: int, what: str, repeats: int) -> NDArray[np.int64]:
    """Ones of many demons of ``sites`` sites each, as their batteries show them: quanta over θ.

    Raises
    ------
    ValueError
        The work of one is no multiple of θ.
    """
    field = {"shape": [sites * regions], "regions": [regions], "mean": MEAN}
    runs = (
        play(1, field={**field, "seed": seed_of(what, sites, r)}, relax={"layers": 0}, demon={"threshold": THRESHOLD})
        for r in range(repeats)
    )
    quanta = np.concatenate([played.books["lift"][0] for played in runs])
    if (quanta % THRESHOLD).any():
        raise ValueError(f"a demon's work is no multiple of θ = {THRESHOLD}")
    found: NDArray[np.int64] = quanta // THRESHOLD
    return found


def tail(sites: int, price: float) -> float:
    """P(θ Bin(N, p) − N c > 0), exactly."""
    return float(stats.binom.sf(math.floor(sites * price / THRESHOLD), sites, CHANCE))


def apparent(scale: int) -> Finding:
    """Demons of N = 1 … 64 sites, as many of each as there are regions: how many seem to gain, and the law of their ones."""
    tally, found, tables = Tally(), [], []
    share: dict[str, list[float]] = {name: [] for name in PRICES}
    for sites in range(1, LARGEST + 1):
        ones = _ones_of(sites, REGIONS, "apparent", scale)
        law = stats.binom.pmf(np.arange(sites + 1), sites, CHANCE)
        tables.append((counts_of(ones, sites + 1), law / law.sum()))
        for name, price in PRICES.items():
            gains = int((THRESHOLD * ones - sites * price > 0).sum())
            found.append(binomial_p(gains, ones.size, tail(sites, price)))
            share[name].append(gains / ones.size)
            if sites in (1, 8, LARGEST):
                tally.values.append(Value(f"P(net > 0), N = {sites}, {name}", tail(sites, price), share[name][-1]))
    p = smallest([p_value(tables), smallest(found)])
    statistic = f"exact binomial of each N and price, {len(found)} of them, and G of the ones; Bonferroni"
    return tally.finding("demons", statistic, samples=LARGEST * REGIONS * scale, p_value=p)


def exponential(scale: int) -> Finding:
    """Gains of larger demons against e^(−N D): one-sided, for it is a bound; and the tail itself, for every N."""
    tally, found, rises = Tally(), [], 0
    for name, price in PRICES.items():
        rate = divergence(price / THRESHOLD, CHANCE)
        tails = [tail(n, price) for n in range(1, LARGEST + 1)]
        tally.see(
            all(t <= math.exp(-n * rate) for n, t in enumerate(tails, 1)), f"the exact tail passes its bound, {name}", 0
        )
        rises += sum(b > a for a, b in pairwise(tails))
        for sites in (16, 32, 64):
            ones = _ones_of(sites, 8 * REGIONS, "exponential", scale)
            gains, bound = int((THRESHOLD * ones - sites * price > 0).sum()), math.exp(-sites * rate)
            found.append(float(stats.binom.sf(gains - 1, ones.size, bound)))
            tally.values.append(Value(f"bound of P(net > 0), N = {sites}, {name}", bound, gains / ones.size))
    tally.see(rises > 0, "the exact tail falls monotonically", 0)
    statistic = f"exact binomial, one-sided; {len(found)} tests, Bonferroni"
    return tally.finding("demons", statistic, samples=len(found) * 8 * REGIONS * scale, p_value=smallest(found))


def _nats(chance: Fraction) -> mpmath.mpf:
    """H(p) of a rational, to the digits in force."""
    p = mpmath.mpf(chance.numerator) / chance.denominator
    return -p * mpmath.log(p) - (1 - p) * mpmath.log(1 - p) if 0 < chance < 1 else mpmath.mpf(0)


def _bounded(tally: Tally, what: str, work: Fraction, chance: Fraction, x: Fraction) -> float:
    """See that ⟨W⟩ ≤ T I; returns W / (T I)."""
    with mpmath.workdps(60):
        worth = _nats(chance) / -mpmath.log(mpmath.mpf(x.numerator) / x.denominator)
        mean = mpmath.mpf(work.numerator) / work.denominator
        tally.see(mean <= worth, f"{what}: ⟨W⟩ = {float(mean)!r} exceeds T I = {float(worth)!r}")
        return float(mean / worth) if worth else math.inf if work > 0 else 0.0


def lift_bound(scale: int) -> Finding:
    """Every value of a byte through the harvester, weighted exactly: ⟨W⟩ is θ p, and not above T H(p)."""
    tally, best = Tally(), 0.0
    every = np.arange(Q_MAX + 1, dtype=np.uint8)
    for mean in (0.25, 1.0, 5.0, 8.5)[: 3 + (scale > 1)]:
        x = boltzmann_factor(mean)
        weight = [(1 - x) * x**q for q in range(Q_MAX + 1)]
        for threshold in (*range(1, 12), *range(12, 61, 6)):
            sites = every.copy().reshape(1, 1, 1, -1)
            bits = EntropyHarvester(threshold).harvest(sites)
            taken = every.astype(int) - sites.ravel()
            work = sum((w * int(t) for w, t in zip(weight, taken, strict=True) if t), Fraction(0))
            chance = sum((w for w, bit in zip(weight, bits, strict=True) if bit), Fraction(0))
            what = f"lift, θ = {threshold}, mean {mean:g}"
            lost = x ** (Q_MAX + 1)  # sites that no byte holds
            tally.see(work == threshold * (x**threshold - lost), f"{what}: ⟨W⟩ is not θ p")
            tally.see(chance == x**threshold - lost, f"{what}: p is not x^θ")
            best = max(best, _bounded(tally, what, work, chance, x))
    tally.values.append(Value("largest W/(T I), at most", 1.0, best))
    return tally.finding("cases", "⟨W⟩ in rationals against T H(p) to 60 digits")


def gear_bound(scale: int) -> Finding:
    """Every pair of bytes through demon and pump, weighted exactly: ⟨W⟩ not above T H(P(bit)), whatever the gear."""
    tally, best = Tally(), 0.0
    gears = (*GEARS, (4, 1), *(((4, 3), (7, 2)) if scale > 1 else ()))
    for (m, n), x in ((gear, x) for gear in gears for x in (Fraction(1, 8), Fraction(2, 5), Fraction(3, 5))):
        table = Bytes(m, n, True)
        work, chance = (table.mean(x, x, values.astype(np.int64)) for values in (table.work, table.bits))
        what, slack = f"sort and {m}:{n}, x = {x}", table.slack(x, x)
        tally.see(abs(work - sorted_work(m, n, x)) <= slack, f"{what}: ⟨W⟩ is not its closed form")
        tally.see(abs(chance - x / (1 + x)) <= 2 * x ** (Q_MAX + 1), f"{what}: P(bit) is not x/(1 + x)")
        best = max(best, _bounded(tally, what, work, chance, x))
    tally.values.append(Value("largest W/(T I), at most", 1.0, best))
    return tally.finding("cases", "⟨W⟩ in rationals against T H(P) to 60 digits")


def net(scale: int) -> Finding:
    """Closed regions: work of every n₁ less the price of its record, with the exact law of n₁."""
    tally, most, dearest = Tally(), -math.inf, -math.inf
    kinds: tuple[RecordKind, ...] = ("compressed", "raw")
    for sites, quanta in ((16, 48), (60, 300), (120, 240))[: 2 + (scale > 1)]:
        for threshold in (1, 3, 8, 15, 25):
            law = ones_law(sites, quanta, threshold)
            for kind in kinds:
                engine = LandauerEngine(kind, sites, 1, Q_MAX)
                nets = [_net(engine, quanta, threshold, n) if chance else 0 for n, chance in enumerate(law)]
                mean = sum(chance * gain for chance, gain in zip(law, nets, strict=True))
                most, dearest = max(most, *map(float, nets)), max(dearest, float(mean))
                what = f"{sites} sites, {quanta} quanta, θ = {threshold}, {kind}"
                tally.see(mean <= 0, f"{what}: the mean net is {float(mean):.6g} quanta")
    tally.see(most > 0, "no outcome gains, so nothing was put to the test")
    tally.values.append(Value("largest mean net, quanta, at most", 0.0, dearest))
    return tally.finding("cases", "Σ P(n₁) (θ n₁ − E_min), in rationals")


def _net(engine: LandauerEngine, quanta: int, threshold: int, ones: int) -> int:
    price = engine.price(quanta - threshold * ones, ones)
    assert price is not None  # of several sites
    return threshold * ones - price


CHECKS = (
    Check(
        "demon: apparent violation",
        f"share of demons of N = 1 … {LARGEST} sites with θ n₁ > N c, θ = {THRESHOLD}, mean {MEAN:g}, raw and compressed price",
        "P(θ Bin(N, p) > N c), c = T ln 2 or T H(p)",
        "binomial tail",
        "statistical",
        apparent,
        32,
    ),
    Check(
        "demon: exponential bound",
        "the same share at N = 16, 32, 64; the exact tail at all N",
        "≤ e^(−N D(a‖p)), a = c/θ; not monotone",
        "Chernoff 1952",
        "statistical",
        exponential,
        32,
    ),
    Check(
        "demon: bound on the lift",
        "⟨W⟩ of the harvester on every byte, weighted exactly",
        "⟨W⟩ = θ p ≤ T H(p)",
        "Sagawa, Ueda 2008",
        "exact",
        lift_bound,
        2,
    ),
    Check(
        "demon: bound on sort and gear",
        "⟨W⟩ of demon and pump on every pair of bytes, weighted exactly",
        "⟨W⟩ ≤ T H(x/(1 + x))",
        "Sagawa, Ueda 2008",
        "exact",
        gear_bound,
        2,
    ),
    Check(
        "demon: net of erasure",
        "work less price of every record of closed regions, weighted exactly",
        "Σ P(n₁)(θ n₁ − E_min) ≤ 0",
        "Landauer 1961; Reeb, Wolf 2014",
        "exact",
        net,
        2,
    ),
)
