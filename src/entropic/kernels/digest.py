"""The digest of a field: a sum over sites, which knows nothing of layout."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["DIGEST_SALT", "field_digest"]


@njit(nogil=True, cache=True, inline="always")
def _finalise(z):  # type: ignore[no-untyped-def]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


DIGEST_SALT = (np.uint64(0x243F6A8885A308D3), np.uint64(0x13198A2E03707344))
_SALT0, _SALT1 = DIGEST_SALT


@njit(nogil=True, cache=True)
def _digest_row(row, base):  # type: ignore[no-untyped-def]
    first = np.uint64(0)
    second = np.uint64(0)
    for x in range(row.size):
        z = ((np.uint64(base) + np.uint64(x)) << np.uint64(16)) | np.uint64(row[x])
        first += _finalise(z + _SALT0)
        second += _finalise(z + _SALT1)
    return first, second


@njit(nogil=True, cache=True)
def field_digest(array, base, out):  # type: ignore[no-untyped-def]
    """Add the digest of some rows of sites to ``out``.

    The digest of a field is the pair Σ_g mix(2¹⁶ g + q_g + salt_j) mod 2⁶⁴, j = 0, 1, over all sites g (global
    C-order index), mix being the finaliser of splitmix64.  A sum over sites knows nothing of layout.

    Parameters
    ----------
    array : uint8 or uint16 [rows, extent]
    base : int64[rows]
        Global index of each row's first site.
    out : uint64[2]
    """
    first = np.uint64(0)
    second = np.uint64(0)
    for r in range(array.shape[0]):
        a, b = _digest_row(array[r], base[r])
        first += a
        second += b
    out[0] += first
    out[1] += second
