"""Exact values, as the model's pages write them: x = ū/(1 + ū) is the Boltzmann factor of a quantum, β = −ln x.

Nothing here is used by a machine, and nothing here uses one.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

import mpmath

__all__ = [
    "boltzmann_factor",
    "divergence",
    "geometric",
    "information",
    "inverse_temperature",
    "larger_law",
    "ones_law",
    "record",
    "ring_decay",
    "site_law",
    "smaller_law",
    "sorted_work",
    "thermal_work",
    "turns",
]


def boltzmann_factor(mean: float) -> Fraction:
    """x = ū/(1 + ū), of the float's exact value."""
    return Fraction(mean) / (1 + Fraction(mean))


def inverse_temperature(mean: float) -> float:
    """β = ln(1 + 1/ū), nats a quantum."""
    return math.log1p(1.0 / mean)


def geometric(x: Fraction, cells: int) -> list[float]:
    """P(q) = (1 − x) x^q, q = 0 … cells − 2, and what lies beyond."""
    return [float((1 - x) * x**q) for q in range(cells - 1)] + [float(x ** (cells - 1))]


def information(p: float) -> float:
    """H(p) = −p ln p − (1 − p) ln(1 − p), nats."""
    return -p * math.log(p) - (1.0 - p) * math.log1p(-p)


def divergence(a: float, p: float) -> float:
    """D(a‖p) = a ln(a/p) + (1 − a) ln((1 − a)/(1 − p)), nats; the rate of Chernoff's bound."""
    return sum(s * math.log(s / t) for s, t in ((a, p), (1.0 - a, 1.0 - p)) if s > 0.0)


@lru_cache(maxsize=4096)
def record(bits: int, ones: int) -> float:
    """ln C(n, n₁) + ln(n + 1), nats: from the integers, to 40 digits before it is rounded."""
    with mpmath.workdps(40):
        return float(mpmath.log(mpmath.binomial(bits, ones)) + mpmath.log(bits + 1))


def ones_law(sites: int, quanta: int, threshold: int) -> list[Fraction]:
    """P(n₁) of a lift in a closed region (N, Q), in integers.

    P(n₁) = C(N, n₁) Σ_j (−1)^j C(N − n₁, j) C(Q − θ(n₁ + j) + N − 1, N − 1) / C(Q + N − 1, N − 1).
    """
    choose = math.comb

    def states(ones: int) -> int:
        number = 0
        for j in range(sites - ones + 1):
            left = quanta - threshold * (ones + j)
            term = choose(sites - ones, j) * choose(left + sites - 1, sites - 1) if left >= 0 else 0
            number += -term if j % 2 else term
        return choose(sites, ones) * number

    return [Fraction(states(n), choose(quanta + sites - 1, sites - 1)) for n in range(sites + 1)]


def site_law(sites: int, quanta: int) -> list[float]:
    """P(q) of one site of a closed region in equilibrium: C(Q − q + N − 2, N − 2) / C(Q + N − 1, N − 1)."""
    whole = math.comb(quanta + sites - 1, sites - 1)
    return [float(Fraction(math.comb(quanta - q + sites - 2, sites - 2), whole)) for q in range(quanta + 1)]


def smaller_law(x: Fraction, cells: int) -> list[float]:
    """P(min = k) of two thermal sites: P(min ≥ k) = x^{2k}, so geometric with x², and E[min] = x²/(1 − x²)."""
    return geometric(x * x, cells)


def larger_law(x: Fraction, cells: int) -> list[float]:
    """P(max = k) of two thermal sites: P(max ≤ k) = (1 − x^{k+1})², so E[max] = 2ū − E[min]; the last cell is what lies beyond."""
    below = [Fraction(0), *((1 - x ** (k + 1)) ** 2 for k in range(cells - 1)), Fraction(1)]
    return [float(b - a) for a, b in pairwise(below)]


def turns(x: Fraction, gear: int) -> Fraction:
    """⟨⌊q/m⌋⟩ = x^m/(1 − x^m)."""
    return x**gear / (1 - x**gear)


def thermal_work(m: int, n: int, x_hot: Fraction, x_cold: Fraction) -> Fraction:
    """⟨W⟩ = (m − n)[x_h^m/(1 − x_h^m) − x_c^n/(1 − x_c^n)] a pair of thermal sites."""
    return (m - n) * (turns(x_hot, m) - turns(x_cold, n))


def sorted_work(m: int, n: int, x: Fraction) -> Fraction:
    """⟨W⟩ = (m − n)[2x^m/(1 − x^m) − x^{2m}/(1 − x^{2m}) − x^{2n}/(1 − x^{2n})] a sorted pair."""
    return (m - n) * (2 * turns(x, m) - turns(x, 2 * m) - turns(x, 2 * n))


def ring_decay(k: float, sweeps: int) -> float:
    """Mode k of the mean on a ring after t ≥ 1 sweeps of an even and an odd layer: cos²(k/2) cos(k)^{2t−1}."""
    return math.cos(k / 2.0) ** 2 * math.cos(k) ** (2 * sweeps - 1)
