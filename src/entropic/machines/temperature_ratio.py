"""The ratio of two regions' temperatures, compared exactly with rational numbers.

With T = 1 / ln((Q + N) / (Q + 1)), T_c / T_h is ln A / ln B, A = (Q_h + N) / (Q_h + 1) and B = (Q_c + N) / (Q_c + 1).
If it is rational, A and B are powers i and j of one rational g > 1; the numerator of A, at most Q + N < 2^43, is the i-th power of
an integer above 1, so i and j stay below 43, and equality is a matter of small powers.  If it is not, enough digits tell.
"""

from __future__ import annotations

from fractions import Fraction

import mpmath

from entropic import special

__all__ = ["RELATIVE_ERROR", "compare_ratio", "inverse_temperature", "ratio"]

RELATIVE_ERROR = 2.0**-48  # of `ratio`, which is good to four times 2^-52
_LARGEST_POWER = 64


def inverse_temperature(quanta: int, sites: int) -> float:
    """1 / T in nats per quantum, ``ln((Q + N) / (Q + 1))``, N >= 2; relative error below 2^-51."""
    return special.log1p((sites - 1) / (quanta + 1))


def ratio(quanta_hot: int, quanta_cold: int, sites: int) -> float:
    """T_c / T_h of regions of N >= 2 sites, the same bit on every machine."""
    return inverse_temperature(quanta_hot, sites) / inverse_temperature(quanta_cold, sites)


def compare_ratio(quanta_hot: int, quanta_cold: int, sites: int, bound: Fraction) -> int:
    """Sign of ``T_c / T_h - bound``, without error: -1, 0 or 1."""
    over, under = bound.numerator, bound.denominator
    if over <= 0:
        return 1
    if max(over, under) <= _LARGEST_POWER:
        a = Fraction(quanta_hot + sites, quanta_hot + 1)
        b = Fraction(quanta_cold + sites, quanta_cold + 1)
        if a**under == b**over:
            return 0
    digits = 30
    while True:
        with mpmath.workdps(digits):
            hot = under * mpmath.log1p(mpmath.mpf(sites - 1) / (quanta_hot + 1))
            cold = over * mpmath.log1p(mpmath.mpf(sites - 1) / (quanta_cold + 1))
            if abs(hot - cold) > (hot + cold) * mpmath.mpf(10) ** (3 - digits):
                return 1 if hot > cold else -1
        digits *= 2
