"""Where a float does not decide: the sign of a sum of logarithms of counts, exact, and the least integer that passes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

import mpmath

from entropic import special

__all__ = ["Term", "least", "sign_of_logs"]

Term = tuple[int, int, int]
"""(w, n, k) stands for w ln C(n, k)."""

_EXACT_BITS = 500_000.0  # a product of binomials up to this size is compared digit by digit
_CHEAP_BITS = 4_000.0  # and up to this one that is quicker than mpmath


def sign_of_logs(terms: Sequence[Term], nats: float) -> int:
    """Sign of ``nats + sum w ln C(n, k)``: 0 if equal, or if 200 digits do not tell and integers are out of reach."""
    weights: Counter[tuple[int, int]] = Counter()
    for w, n, k in terms:
        weights[n, min(k, n - k)] += w
    terms = [(w, n, k) for (n, k), w in weights.items() if w and k]
    sizes = (abs(w) * (math.log(n) if k == 1 else special.ln_binomial(n, k)) for w, n, k in terms)
    bits = math.fsum(sizes) / math.log(2.0)  # decides the route alone
    if nats == 0.0 and bits <= _CHEAP_BITS:
        return _sign_of_integers(terms)
    for digits in (50, 100, 200):
        with mpmath.workdps(digits):
            parts = [w * s * mpmath.loggamma(m + 1) for w, n, k in terms for m, s in ((n, 1), (k, -1), (n - k, -1))]
            value = mpmath.fsum([*parts, nats])
            if abs(value) > mpmath.mpf(10) ** (10 - digits) * (1 + mpmath.fsum([*parts, nats], absolute=True)):
                return 1 if value > 0 else -1
    return _sign_of_integers(terms) if nats == 0.0 and bits <= _EXACT_BITS else 0


def _sign_of_integers(terms: Sequence[Term]) -> int:
    over: int = math.prod(math.comb(n, k) ** w for w, n, k in terms if w > 0)
    under: int = math.prod(math.comb(n, k) ** -w for w, n, k in terms if w < 0)
    return (over > under) - (over < under)


def least(holds: Callable[[int], bool], guess: int) -> int:
    """Least integer >= 0 for which the monotone ``holds`` is true, by galloping from ``guess``."""
    low, high, step = guess - 1, guess, 1
    while not holds(high):
        low, high, step = high, high + step, 2 * step
    while low >= 0 and holds(low):
        low, high, step = max(low - step, -1), low, 2 * step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
