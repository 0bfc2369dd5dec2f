"""P-values of exact laws, good in their far tails, and the correction for having many.

A check fails at a p-value of some 1e-8, so what counts is the far tail.  Pearson's statistic is no use there: with 25 expected
in a cell it raises twenty times the false alarms that its chi-square law says.  The likelihood ratio (G) has large deviations
of the right rate (Sanov), and with Williams' correction its body is chi-square too; the tests enumerate small tables to see it.

Sources: D. A. Williams, "Improved likelihood ratio tests for complete contingency tables", Biometrika 63 (1976) 33;
S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6 (1979) 65.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

__all__ = [
    "LEAST",
    "binomial_p",
    "counts_of",
    "heavy_mean_p",
    "holm",
    "likelihood_ratio",
    "normal_p",
    "p_value",
    "smallest",
    "sum_p",
]

LEAST = 20.0
"""Expectation of a cell, below which neighbouring cells are pooled."""

_Table = tuple[Iterable[float], Iterable[float]]


def _pooled(
    expected: NDArray[np.float64], seen: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    cells: list[list[float]] = []
    held, got = 0.0, 0.0
    for want, have in zip(expected.tolist(), seen.tolist(), strict=True):
        held, got = held + want, got + have
        if held >= LEAST:
            cells.append([held, got])
            held = got = 0.0
    if cells:
        cells[-1][0] += held
        cells[-1][1] += got
    table = np.array(cells).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def likelihood_ratio(counts: Iterable[float], chances: Iterable[float]) -> tuple[float, int]:
    """Likelihood ratio of one table, with Williams' correction, and its degrees of freedom.

    Parameters
    ----------
    counts, chances : [cells]
        What was seen, and the law, which sums to 1; neighbouring cells are pooled to an expectation of `LEAST`.
    """
    seen, chance = np.asarray(list(counts), float), np.asarray(list(chances), float)
    if not math.isclose(chance.sum(), 1, rel_tol=1e-12):
        raise ValueError(f"the chances sum to {chance.sum()!r}, expected 1")
    expected, found = _pooled(seen.sum() * chance, seen)
    freedom = expected.size - 1
    if freedom < 1:
        return 0.0, 0
    ratio = 2.0 * float(special.xlogy(found, found / expected).sum())
    total = float(expected.sum())
    correction = 1.0 + (float((total / expected).sum()) - 1.0) / (6.0 * total * freedom)
    return max(ratio, 0.0) / correction, freedom


def p_value(tables: Iterable[_Table]) -> float:
    """Joint p-value of independent tables (counts, chances): their statistics and degrees of freedom add up."""
    parts = [likelihood_ratio(counts, chances) for counts, chances in tables]
    freedom = sum(n for _, n in parts)
    if not freedom:
        raise ValueError("no table has two cells: nothing to test")
    return float(stats.chi2.sf(sum(x for x, _ in parts), freedom))


def binomial_p(ones: int, trials: int, chance: float) -> float:
    """Exact two-sided p-value of a binomial count: twice the smaller tail."""
    tails = stats.binom.cdf(ones, trials, chance), stats.binom.sf(ones - 1, trials, chance)
    return min(1.0, 2.0 * float(min(tails)))


def sum_p(values: ArrayLike, chances: ArrayLike, total: int, draws: int) -> float:
    """Exact two-sided p-value of the sum of independent draws of an integer.

    Parameters
    ----------
    values, chances : [n]
        The law of one draw.
    total, draws : int

    Notes
    -----
    The law of the sum is the inverse Fourier transform of a power of the law's transform, on a ring of more than 64 standard
    deviations; what lies beyond is nothing.  Where the power is not nothing either, the transform's distance from 1 is summed
    by itself, for a rounding error of 1e-16 would be raised to the same power.  Good to some 1e-12, absolute.
    """
    number, chance = np.asarray(values, np.int64), np.asarray(chances, float)
    chance = chance / chance.sum()
    mean = float(number @ chance)
    spread = math.sqrt(float((number - mean) ** 2 @ chance) * draws)
    size = 1 << math.ceil(math.log2(64.0 * (spread + 1.0) + 4.0 * float(np.ptp(number))))
    middle = round(draws * mean)
    if abs(total - middle) >= size // 2:
        return 0.0
    powers = _powers(number, chance, mean, draws, size)
    powers *= np.exp(-2j * math.pi * np.arange(powers.size) / size * (draws * mean - middle + size // 2))
    sums = np.maximum(np.fft.irfft(powers, size), 0.0)  # index i stands for the sum i − size/2 + middle
    place = total - middle + size // 2
    return min(1.0, 2.0 * float(min(sums[: place + 1].sum(), sums[place:].sum())))


def _powers(
    number: NDArray[np.int64], chance: NDArray[np.float64], mean: float, draws: int, size: int
) -> NDArray[np.complex128]:
    """Transform of the law of Σ (value − mean) on a ring: (E e^{−ik(value − mean)})^draws at k = 2π j / size, j = 0 … size/2."""
    law = np.zeros(size)
    np.add.at(law, number % size, chance)
    with np.errstate(divide="ignore"):
        kept = np.flatnonzero(draws * np.log(np.abs(np.fft.rfft(law))) > -60.0)
    powers = np.zeros(size // 2 + 1, np.complex128)
    for part in np.array_split(kept, -(-kept.size // 4096)):
        phase = np.outer(2.0 * math.pi * part / size, number - mean)
        real, imaginary = -2.0 * np.sin(phase / 2.0) ** 2 @ chance, -np.sin(phase) @ chance  # of the transform less 1
        length = 0.5 * np.log1p(2.0 * real + real**2 + imaginary**2)
        powers[part] = np.exp(draws * (length + 1j * np.arctan2(imaginary, 1.0 + real)))
    return powers


def normal_p(gap: ArrayLike, covariance: ArrayLike) -> float:
    """P-value of a normal vector of mean 0: only for means of many independent draws, with their exact covariance.

    With skewness γ of a draw, n draws and z standard deviations it is off by a factor of some exp(γ z³/(6 √n)) (Cramér):
    by less than 2 at 1e-8 if n > 16,000 and γ < 2.
    """
    vector, matrix = np.atleast_1d(np.asarray(gap, float)), np.atleast_2d(np.asarray(covariance, float))
    return float(stats.chi2.sf(vector @ np.linalg.solve(matrix, vector), vector.size))


def heavy_mean_p(values: ArrayLike, chances: ArrayLike, mean: float, draws: int) -> float:
    """Upper bound of the two-sided p-value of a mean of independent draws whose law may have a heavy upper tail.

    Chernoff's bound for draws cut off at c, and beside it draws · P(value > c), for the best of several c: rigorous for any
    law, and so never below the true p-value.

    Parameters
    ----------
    values, chances : [n]
        The law of one draw.
    """
    value, chance = np.asarray(values, float).ravel(), np.asarray(chances, float).ravel()
    order = np.argsort(value)
    value, chance = value[order], chance[order] / chance.sum()
    expected = float(value @ chance)
    if mean < expected:
        return min(1.0, 2.0 * _chernoff(-value, chance, -mean, draws))
    beyond = np.cumsum(chance[::-1])[::-1]  # P(value ≥ value[i])
    cuts = np.unique(np.searchsorted(-beyond, -np.logspace(-2, -20, 37)))
    bounds = []
    for cut in cuts[(cuts > 0) & (cuts < value.size)]:
        kept = np.append(chance[:cut], beyond[cut])
        bounds.append(draws * beyond[cut] + _chernoff(np.append(value[:cut], 0.0), kept, mean, draws))
    bounds.append(_chernoff(value, chance, mean, draws))
    return min(1.0, 2.0 * float(min(bounds)))


def _chernoff(value: NDArray[np.float64], chance: NDArray[np.float64], mean: float, draws: int) -> float:
    """exp(n (ln E e^(sv) − s·mean)) for the best s ≥ 0; a poor s only makes it larger."""
    spread = math.sqrt(float((value - value @ chance) ** 2 @ chance))
    if spread == 0.0:
        return 1.0

    def exponent(strength: float) -> float:
        return float(special.logsumexp(strength * (value - mean) / spread, b=chance))

    found = optimize.minimize_scalar(exponent, bounds=(0.0, 2.0), method="bounded", options={"xatol": 1e-10})
    return math.exp(min(0.0, draws * float(found.fun)))


def smallest(values: Sequence[float]) -> float:
    """One p-value of several, however they depend on each other (Bonferroni)."""
    return min(1.0, len(values) * min(values))


def holm(values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values: those at most α are rejected with a chance of at most α that any of them is sound."""
    adjusted, largest = [0.0] * len(values), 0.0
    order = sorted(range(len(values)), key=values.__getitem__)
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - rank) * values[place]))
        adjusted[place] = largest
    return adjusted


def counts_of(values: NDArray[Any], cells: int) -> NDArray[np.int64]:
    """How often 0, 1, … occur, all from the last cell on in it."""
    return np.bincount(np.minimum(np.asarray(values, np.int64).ravel(), cells - 1), minlength=cells)
