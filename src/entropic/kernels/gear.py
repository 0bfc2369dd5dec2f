"""The gear swap m:n: work out of a gradient, without information."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["gear_swap", "gear_unswap"]

_CHUNK = 32768  # pairs whose summed turns, each below 2^16, still fit 32 bits with a sign


@njit(nogil=True, cache=True)
def _turn(hot, cold, m, n, q_max):  # type: ignore[no-untyped-def]
    """Swap the pairs of a chunk; returns the sum of a - b over those that moved.

    Written for the vectoriser: 32-bit lanes throughout.  The quotient comes from a float32 product, and is exact:
    (q + 1/2) / m is at least 1/(2m) away from every integer, while two roundings move it by less than
    2^-23 (2^16 + 1) / m.  For m, n <= 65535 no result of a swap reaches 2^32.
    """
    per_m = np.float32(1.0) / np.float32(m)
    per_n = np.float32(1.0) / np.float32(n)
    half = np.float32(0.5)
    m = np.uint32(m)
    n = np.uint32(n)
    cap = np.uint32(q_max)
    turns = np.uint32(0)
    for x in range(hot.size):
        q = np.uint32(hot[x])
        p = np.uint32(cold[x])
        a = np.uint32(np.int32((np.float32(hot[x]) + half) * per_m))
        b = np.uint32(np.int32((np.float32(cold[x]) + half) * per_n))
        new_q = np.uint32(q - np.uint32(m * a) + np.uint32(m * b))
        new_p = np.uint32(p - np.uint32(n * b) + np.uint32(n * a))
        moved = max(new_q, new_p) <= cap
        hot[x] = new_q if moved else q
        cold[x] = new_p if moved else p
        turns = np.uint32(turns + (np.uint32(a - b) if moved else np.uint32(0)))
    return np.int32(turns)


@njit(nogil=True, cache=True)
def gear_swap(hot, cold, m, n, q_max):  # type: ignore[no-untyped-def]
    """q_i = m a + r, q_j = n b + s: exchange a and b, in place, unless a result exceeds ``q_max``.

    The map is its own inverse, with the same m, n and q_max.  A pair that moved stands at (m b + r, n a + s), whose
    quotients are b and a and whose remainders are r and s still; the map sends it to (m a + r, n b + s), which is where it
    came from and so not above the cap.  A pair left alone is the same pair still, and is left alone again.

    Parameters
    ----------
    hot, cold : uint8 or uint16 [pairs], contiguous, one dtype
        Site i of one is paired with site i of the other.
    m, n : int
        Quanta a turn of the hot and of the cold side, 1 to 65535.
    q_max : int
        Cap of a site, at most the dtype's.

    Returns
    -------
    int64
        Work that came out, (m - n) times the sum of a - b over the pairs that moved: what both sides lost in total.
    """
    turns = np.int64(0)
    for begin in range(0, hot.size, _CHUNK):
        end = min(begin + _CHUNK, hot.size)
        turns += np.int64(_turn(hot[begin:end], cold[begin:end], m, n, q_max))
    return (np.int64(m) - np.int64(n)) * turns


gear_unswap = gear_swap  # an involution, see there: undoing is doing it again, and returns minus the work
