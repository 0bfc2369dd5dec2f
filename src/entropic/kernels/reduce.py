"""Integer reductions: totals, histograms, and the digest, none of which knows of layout."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = [
    "DIGEST_SALT",
    "block_histograms",
    "face_totals",
    "field_digest",
    "region_histogram",
    "region_total",
    "region_view",
]


@njit(nogil=True, cache=True)
def face_totals(plane, tile, sign, out):  # type: ignore[no-untyped-def]
    """Add ``sign`` times the quanta of each region's share of a plane to ``out``.

    Parameters
    ----------
    plane : uint8 or uint16 [a, b, c, d]
        A plane of sites (its own axis has extent 1).
    tile : int[4]
        Extents of a region's share of the plane (1 on the plane's own axis).
    out : int64 [a / tile0, b / tile1, c / tile2, d / tile3]
    """
    for i in range(plane.shape[0]):
        for j in range(plane.shape[1]):
            for k in range(plane.shape[2]):
                row = plane[i, j, k]
                target = out[i // tile[0], j // tile[1], k // tile[2]]
                for r in range(target.size):
                    start = r * tile[3]
                    total = np.uint64(0)
                    for x in range(start, start + tile[3]):
                        total += np.uint64(row[x])
                    target[r] += sign * np.int64(total)


@njit(nogil=True, cache=True)
def region_total(region):  # type: ignore[no-untyped-def]
    """Quanta in a box of sites."""
    total = np.uint64(0)
    for i in range(region.shape[0]):
        for j in range(region.shape[1]):
            for k in range(region.shape[2]):
                row = region[i, j, k]
                for x in range(row.size):
                    total += np.uint64(row[x])
    return np.int64(total)


@njit(nogil=True, cache=True)
def _count_bytes(row, t0, t1, t2, t3):  # type: ignore[no-untyped-def]
    n = row.size // 8 * 8
    for x in range(0, n, 8):
        t0[row[x]] += np.uint32(1)
        t1[row[x + 1]] += np.uint32(1)
        t2[row[x + 2]] += np.uint32(1)
        t3[row[x + 3]] += np.uint32(1)
        t0[row[x + 4]] += np.uint32(1)
        t1[row[x + 5]] += np.uint32(1)
        t2[row[x + 6]] += np.uint32(1)
        t3[row[x + 7]] += np.uint32(1)
    for x in range(n, row.size):
        t0[row[x]] += np.uint32(1)


@njit(nogil=True, cache=True)
def region_histogram(region, counts):  # type: ignore[no-untyped-def]
    """Fill ``counts`` (int64[q_max + 1]) with the numbers of sites that hold q quanta."""
    counts[:] = 0
    if counts.size == 256 and region.shape[3] >= 64:
        # Four tables, so that equal neighbours do not wait for each other's increment.
        tables = np.zeros((4, 256), np.uint32)
        pending = 0
        for i in range(region.shape[0]):
            for j in range(region.shape[1]):
                for k in range(region.shape[2]):
                    row = region[i, j, k]
                    if pending + row.size > 4_000_000_000:
                        for t in range(4):
                            for q in range(256):
                                counts[q] += np.int64(tables[t, q])
                        tables[:] = 0
                        pending = 0
                    pending += row.size
                    _count_bytes(row, tables[0], tables[1], tables[2], tables[3])
        for t in range(4):
            for q in range(256):
                counts[q] += np.int64(tables[t, q])
    else:
        for i in range(region.shape[0]):
            for j in range(region.shape[1]):
                for k in range(region.shape[2]):
                    row = region[i, j, k]
                    for x in range(row.size):
                        counts[row[x]] += 1


@njit(nogil=True, cache=True)
def region_view(array, shape, number):  # type: ignore[no-untyped-def]
    """View of the ``number``-th region, C order, of a block."""
    m = array.shape[3] // shape[3]
    k = array.shape[2] // shape[2]
    j = array.shape[1] // shape[1]
    d = number % m * shape[3]
    c = number // m % k * shape[2]
    b = number // m // k % j * shape[1]
    a = number // m // k // j * shape[0]
    return array[a : a + shape[0], b : b + shape[1], c : c + shape[2], d : d + shape[3]]


@njit(nogil=True, cache=True)
def block_histograms(array, shape, counts):  # type: ignore[no-untyped-def]
    """`region_histogram` of every region of a block; ``shape``: extents of a region; counts int64[regions, q_max + 1]."""
    for number in range(counts.shape[0]):
        region_histogram(region_view(array, shape, number), counts[number])


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
