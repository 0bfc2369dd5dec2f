"""Slow, readable twins of the kernels and machines for sorting, gears and the market: plain Python, rationals, many digits.

Written from physics.md and the docstrings, not from the code under test.  Functions return new values; nothing is changed in place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray
from scipy import optimize

Array = NDArray[Any]
DIGITS = 250
_TIE = mpmath.mpf(10) ** -200  # nearer than this is equal: the numbers of the tests leave no such gap but 0

# --- contact ----------------------------------------------------------------------------------------------------


def run_of(region: Array, start: int, count: int) -> list[int]:
    """Sites start, start + 1, … in C order, round the end."""
    flat = [int(q) for q in region.flat]
    return [flat[(start + i) % len(flat)] for i in range(count)]


def with_run(region: Array, start: int, values: Sequence[int]) -> Array:
    new = [int(q) for q in region.flat]
    for i, value in enumerate(values):
        new[(start + i) % len(new)] = int(value)
    return np.array(new, region.dtype).reshape(region.shape)


# --- gear swap --------------------------------------------------------------------------------------------------


def gear_pair(q: int, p: int, m: int, n: int, q_max: int) -> tuple[int, int]:
    """The gear swap of one pair."""
    (a, r), (b, s) = divmod(q, m), divmod(p, n)
    new_q, new_p = m * b + r, n * a + s
    return (q, p) if new_q > q_max or new_p > q_max else (new_q, new_p)


def gear_swap(hot: Sequence[int], cold: Sequence[int], m: int, n: int, q_max: int) -> tuple[list[int], list[int], int]:
    """Both sides after the swap, and the work: what they lost."""
    pairs = [gear_pair(int(q), int(p), m, n, q_max) for q, p in zip(hot, cold, strict=True)]
    work = sum(map(int, hot)) + sum(map(int, cold)) - sum(q + p for q, p in pairs)
    return [q for q, _ in pairs], [p for _, p in pairs], work


# --- sort -------------------------------------------------------------------------------------------------------


def sort_runs(hot: Sequence[int], cold: Sequence[int]) -> tuple[list[int], list[int], list[int]]:
    """Both sides after the sort, and the bits."""
    bits = [1 if q < p else 0 for q, p in zip(hot, cold, strict=True)]
    larger = [p if bit else q for q, p, bit in zip(hot, cold, bits, strict=True)]
    smaller = [q if bit else p for q, p, bit in zip(hot, cold, bits, strict=True)]
    return larger, smaller, bits


def sort_pairs(region: Array) -> tuple[Array, list[int]]:
    """The region after its first half was sorted against its second, and the bits."""
    flat = [int(q) for q in region.flat]
    half = len(flat) // 2
    hot, cold, bits = sort_runs(flat[:half], flat[half : 2 * half])
    return np.array(hot + cold + flat[2 * half :], region.dtype).reshape(region.shape), bits


# --- market -----------------------------------------------------------------------------------------------------


def expected_work(m: int, n: int, quanta_hot: int, quanta_cold: int, sites: int) -> Fraction:
    x, y = Fraction(quanta_hot, quanta_hot + sites), Fraction(quanta_cold, quanta_cold + sites)
    return (m - n) * (x**m / (1 - x**m) - y**n / (1 - y**n))


def temperature(quanta: int, sites: int) -> mpmath.mpf:
    return 1 / mpmath.log(mpmath.mpf(quanta + sites) / (quanta + 1))


def best_gear(
    gears: Sequence[tuple[int, int]], quanta_hot: int, quanta_cold: int, sites: int, share: float | None
) -> tuple[int, int] | None:
    """The gear that a pair takes, by brute force; None if it does not trade."""
    works = {gear: expected_work(*gear, quanta_hot, quanta_cold, sites) for gear in gears}
    working = [gear for gear in gears if works[gear] > 0]
    if not working or quanta_hot == quanta_cold:
        return None
    if share is None:
        most = max(works[gear] for gear in working)
        return next(gear for gear in working if works[gear] == most)
    with mpmath.workdps(DIGITS):
        carnot = 1 - temperature(quanta_cold, sites) / temperature(quanta_hot, sites)
        far = {(m, n): abs(1 - mpmath.mpf(n) / m - mpmath.mpf(share) * carnot) for m, n in working}
        least = min(far.values())
        return next(gear for gear in working if far[gear] - least < _TIE)


def match(
    gears: Sequence[tuple[int, int]], quanta: Sequence[int], sites: int, share: float | None = None
) -> list[tuple[int, int, int, int]]:
    """(hot, cold, m, n) of every trade."""
    rank = sorted(range(len(quanta)), key=lambda region: (-quanta[region], region))
    trades = []
    for k in range(len(rank) // 2):
        hot, cold = rank[k], rank[-1 - k]
        gear = best_gear(gears, int(quanta[hot]), int(quanta[cold]), sites, share)
        if gear is not None:
            trades.append((hot, cold, *gear))
    return trades


def hot_share(work: int, quanta_hot: int, quanta_cold: int, sites: int) -> int:
    """⌊|W| (T_h - P) / (T_h - T_c)⌋, P = sqrt(T_h T_c), with the sign of W."""
    with mpmath.workdps(DIGITS):
        hot, cold = temperature(quanta_hot, sites), temperature(quanta_cold, sites)
        exact = abs(work) * (hot - mpmath.sqrt(hot * cold)) / (hot - cold)
        nearest = mpmath.nint(exact)
        share = int(nearest) if abs(exact - nearest) < _TIE else int(mpmath.floor(exact))
    return share if work >= 0 else -share


# --- statistics -------------------------------------------------------------------------------------------------


def chernoff(values: Array, law: Array, total: int, count: int) -> float:
    """Bound on the probability that ``count`` independent draws sum to ``total`` or farther out on its side.

    Chernoff's: exp(count (ln E[e^(λv)] - λ total/count)) for any λ of the right sign; a poor λ only makes it larger.
    """
    mean = float(values @ law)
    side = 1.0 if total / count >= mean else -1.0
    scale = 1.0 / max(1.0, float(np.abs(values).max()))

    def exponent(strength: float) -> float:
        tilt = side * strength * scale
        return math.log(float(np.exp(tilt * values) @ law)) - tilt * total / count

    found = optimize.minimize_scalar(exponent, bounds=(0.0, 5.0), method="bounded", options={"xatol": 1e-10})
    return math.exp(min(0.0, count * float(found.fun)))
