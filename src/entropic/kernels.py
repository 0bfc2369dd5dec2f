"""Numba kernels: arrays in, arrays changed in place or filled; no dask, no files, no randomness of their own.

Every array that holds quanta is four-dimensional and C-contiguous (a field of fewer axes has leading axes of
extent 1).  Each kernel has a slow, readable twin in ``tests/reference.py`` that agrees with it bit for bit.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from entropic.randomness import GROUP_WORDS, PURPOSE_EXCHANGE, fill_words

__all__ = [
    "add_heat",
    "block_histograms",
    "drop_ones",
    "drop_ones_where",
    "exchange_runs",
    "exchange_seam",
    "exchange_touching",
    "face_totals",
    "field_digest",
    "lift",
    "measure",
    "region_histogram",
    "region_total",
    "remove_heat",
    "scratch",
]

_CHUNK_GROUPS = 32
CHUNK = _CHUNK_GROUPS * GROUP_WORDS  # pairs handled at a time: their words stay in the first-level cache


def scratch() -> tuple[np.ndarray, np.ndarray]:
    """Buffers for the halves of the words of one chunk of pairs (and one group of misalignment)."""
    size = (_CHUNK_GROUPS + 1) * GROUP_WORDS // 2
    return np.empty(size, np.uint32), np.empty(size, np.uint32)


# --- one pair -----------------------------------------------------------------------------------------------


@njit(nogil=True, cache=True, inline="always")
def _mix(qi, qj, high, low, q_max, inverse):  # type: ignore[no-untyped-def]
    """New lower value of a pair: the KMP shift on its shell, all cases, 64-bit arithmetic."""
    t = np.int64(qi) + np.int64(qj)
    bottom = max(t - q_max, 0)
    size = min(t, q_max) - bottom + 1
    word = (np.int64(high) << 16) | np.int64(low)
    shift = (word * size) >> 32
    place = np.int64(qi) - bottom
    place = place - shift if inverse else place + shift
    if place >= size:
        place -= size
    elif place < 0:
        place += size
    return place + bottom


# --- runs of pairs ------------------------------------------------------------------------------------------
# A "row" pair is two runs of sites, lower[i] with upper[i]; a "touching" run is (a[2i], a[2i+1]).
# The byte versions are written for the vectoriser: sixteen-bit lanes, the product word * size in two halves,
# its carry by logic.  They serve chunks whose pair totals cannot exceed 255; others take the general route.


@njit(nogil=True, cache=True)
def _rows_bytes(lower, upper, high, low, n):  # type: ignore[no-untyped-def]
    for i in range(n):
        t = np.uint16(np.uint8(lower[i] + upper[i]))
        size = np.uint16(t + np.uint16(1))
        carry_in = np.uint16((np.uint32(low[i]) * np.uint32(size)) >> np.uint32(16))
        bottom = np.uint16(high[i] * size)
        total = np.uint16(bottom + carry_in)
        carry = np.uint16(np.uint16((bottom & carry_in) | ((bottom | carry_in) & (~total))) >> np.uint16(15))
        shift = np.uint16((np.uint32(high[i]) * np.uint32(size)) >> np.uint32(16))
        place = np.uint16(np.uint16(lower[i]) + shift + carry)
        place = min(place, np.uint16(place - size))
        lower[i] = np.uint8(place)
        upper[i] = np.uint8(t - place)


@njit(nogil=True, cache=True)
def _rows_bytes_inverse(lower, upper, high, low, n):  # type: ignore[no-untyped-def]
    for i in range(n):
        t = np.uint16(np.uint8(lower[i] + upper[i]))
        size = np.uint16(t + np.uint16(1))
        carry_in = np.uint16((np.uint32(low[i]) * np.uint32(size)) >> np.uint32(16))
        bottom = np.uint16(high[i] * size)
        total = np.uint16(bottom + carry_in)
        carry = np.uint16(np.uint16((bottom & carry_in) | ((bottom | carry_in) & (~total))) >> np.uint16(15))
        shift = np.uint16((np.uint32(high[i]) * np.uint32(size)) >> np.uint32(16))
        place = np.uint16(np.uint16(lower[i]) - shift - carry)
        place = min(place, np.uint16(place + size))
        lower[i] = np.uint8(place)
        upper[i] = np.uint8(t - place)


@njit(nogil=True, cache=True)
def _small(values, n):  # type: ignore[no-untyped-def]
    """True if all values are below 128, so that no pair of them exceeds 255."""
    bits = np.uint8(0)
    for i in range(n):
        bits |= np.uint8(values[i])
    return bits < 128


@njit(nogil=True, cache=True)
def _rows_general(lower, upper, high, low, n, q_max, inverse):  # type: ignore[no-untyped-def]
    for i in range(n):
        t = np.int64(lower[i]) + np.int64(upper[i])
        new = _mix(lower[i], upper[i], high[i], low[i], q_max, inverse)
        lower[i] = new
        upper[i] = t - new


@njit(nogil=True, cache=True)
def _rows(lower, upper, first, n, layer, seed, q_max, inverse, high32, low32):  # type: ignore[no-untyped-def]
    """Mix lower[i] with upper[i], i < n; pair i has word ``first + i``."""
    high = high32.view(np.uint16)
    low = low32.view(np.uint16)
    done = 0
    while done < n:
        index = first + done
        group = index // GROUP_WORDS
        skip = index - group * GROUP_WORDS
        count = min(n - done, CHUNK)
        groups = (skip + count + GROUP_WORDS - 1) // GROUP_WORDS
        fill_words(high32, low32, group, groups, layer, PURPOSE_EXCHANGE, seed)
        a = lower[done : done + count]
        b = upper[done : done + count]
        h = high[skip : skip + count]
        w = low[skip : skip + count]
        if q_max == 255 and _small(a, count) and _small(b, count):
            if inverse:
                _rows_bytes_inverse(a, b, h, w, count)
            else:
                _rows_bytes(a, b, h, w, count)
        else:
            _rows_general(a, b, h, w, count, q_max, inverse)
        done += count


@njit(nogil=True, cache=True)
def _split(run, even, odd, n):  # type: ignore[no-untyped-def]
    for i in range(n):
        even[i] = run[2 * i]
        odd[i] = run[2 * i + 1]


@njit(nogil=True, cache=True)
def _join(run, even, odd, n):  # type: ignore[no-untyped-def]
    for i in range(n):
        run[2 * i] = even[i]
        run[2 * i + 1] = odd[i]


# --- a layer inside a block -----------------------------------------------------------------------------------


@njit(nogil=True, cache=True)
def exchange_runs(array, outer_base, middle_base, stride, lower, seed, layer, q_max, inverse, high, low):  # type: ignore[no-untyped-def]
    """Exchange planes ``x`` and ``x + 1`` for every x in ``lower`` (an axis that is not the fastest).

    Parameters
    ----------
    array : uint8 or uint16 [outer, extent, middle, run]
        The block seen so that ``run`` sites follow each other in the lattice too.
    outer_base, middle_base : int64
        Global index of the site (outer, 0, 0, 0) and what the middle index adds to it.
    stride : int
        What one step along the axis adds to the global index.
    lower : int64
        Lower planes, counted in the block.
    seed, layer, q_max, inverse
        The random key, the layer's number, the cap, and whether the layer is to be undone.
    high, low : uint32
        Buffers from `scratch`.
    """
    run = array.shape[3]
    for o in range(array.shape[0]):
        for x in lower:
            for m in range(array.shape[2]):
                first = outer_base[o] + x * stride + middle_base[m]
                _rows(array[o, x, m], array[o, x + 1, m], first, run, layer, seed, q_max, inverse, high, low)


@njit(nogil=True, cache=True)
def exchange_touching(array, base, lower, full, seed, layer, q_max, inverse, high, low):  # type: ignore[no-untyped-def]
    """Exchange along the fastest axis; pair (x, x+1) has word ⌊global index of x / 2⌋.

    Parameters
    ----------
    array : uint8 or uint16 [rows, extent]
    base : int64[rows]
        Global index of each row's first site.
    lower : int64
        Lower sites, counted in the block, ascending.
    full : bool
        Whether ``lower`` is an arithmetic run of step 2 (no wall cuts it), which is the fast route.
    """
    even = np.empty(CHUNK, array.dtype)
    odd = np.empty(CHUNK, array.dtype)
    n = lower.size
    if n == 0:
        return
    for r in range(array.shape[0]):
        row = array[r]
        if full:
            done = 0
            while done < n:
                count = min(n - done, CHUNK)
                start = lower[0] + 2 * done
                piece = row[start : start + 2 * count]
                _split(piece, even, odd, count)
                _rows(even, odd, (base[r] + start) >> 1, count, layer, seed, q_max, inverse, high, low)
                _join(piece, even, odd, count)
                done += count
        else:
            for x in lower:
                first = (base[r] + x) >> 1
                _rows(row[x : x + 1], row[x + 1 : x + 2], first, 1, layer, seed, q_max, inverse, high, low)


@njit(nogil=True, cache=True)
def exchange_seam(lower, upper, base, step, halve, seed, layer, q_max, inverse, high, low):  # type: ignore[no-untyped-def]
    """Exchange two planes of sites across a seam; both sides of it call this and keep their own plane.

    Parameters
    ----------
    lower, upper : uint8 or uint16 [rows, run]
        Contiguous copies of the two planes.
    base : int64[rows]
        Global index of the first *lower* site of each row.
    step : int
        Global distance between neighbours of a row (1 if the row is contiguous in the lattice).
    halve : bool
        Whether words go by half the index (the fastest axis).
    """
    for r in range(lower.shape[0]):
        if step == 1 and not halve:
            _rows(lower[r], upper[r], base[r], lower.shape[1], layer, seed, q_max, inverse, high, low)
        else:
            for i in range(lower.shape[1]):
                index = base[r] + i * step
                if halve:
                    index >>= 1
                a = lower[r, i : i + 1]
                b = upper[r, i : i + 1]
                _rows(a, b, index, 1, layer, seed, q_max, inverse, high, low)


# --- reductions -----------------------------------------------------------------------------------------------


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
def _region(array, shape, number):  # type: ignore[no-untyped-def]
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
        region_histogram(_region(array, shape, number), counts[number])


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


# --- lift -------------------------------------------------------------------------------------------------------


@njit(nogil=True, cache=True)
def _lift_row(row, threshold):  # type: ignore[no-untyped-def]
    for x in range(row.size):
        q = row[x]
        row[x] = q - threshold if q >= threshold else q


@njit(nogil=True, cache=True)
def drop_ones(region, threshold):  # type: ignore[no-untyped-def]
    """Lift without keeping the bits: q −= θ wherever q ≥ θ.  ``threshold`` has the region's dtype."""
    for i in range(region.shape[0]):
        for j in range(region.shape[1]):
            for k in range(region.shape[2]):
                _lift_row(region[i, j, k], threshold)


@njit(nogil=True, cache=True)
def drop_ones_where(array, shape, threshold, chosen):  # type: ignore[no-untyped-def]
    """`drop_ones` in the regions of a block where ``chosen`` (bool[regions])."""
    for number in range(chosen.size):
        if chosen[number]:
            drop_ones(_region(array, shape, number), threshold)


@njit(nogil=True, cache=True)
def measure(region, threshold, bits):  # type: ignore[no-untyped-def]
    """Write the bits [q ≥ θ] of a region, in its C order, to ``bits`` (uint8[N], 0 or 1); returns the ones."""
    n = 0
    ones = np.int64(0)
    for i in range(region.shape[0]):
        for j in range(region.shape[1]):
            for k in range(region.shape[2]):
                row = region[i, j, k]
                for x in range(row.size):
                    bit = np.uint8(1) if row[x] >= threshold else np.uint8(0)
                    bits[n] = bit
                    ones += np.int64(bit)
                    n += 1
    return ones


@njit(nogil=True, cache=True)
def lift(region, threshold, bits, inverse):  # type: ignore[no-untyped-def]
    """q −= θ·bit (or += if ``inverse``) with given bits."""
    n = 0
    for i in range(region.shape[0]):
        for j in range(region.shape[1]):
            for k in range(region.shape[2]):
                row = region[i, j, k]
                for x in range(row.size):
                    if bits[n]:
                        row[x] = row[x] + threshold if inverse else row[x] - threshold
                    n += 1


# --- deposit ----------------------------------------------------------------------------------------------------


@njit(nogil=True, cache=True)
def _one_each(region, begin, end, step, limit, counts):  # type: ignore[no-untyped-def]
    """Add ``step`` (±1) to the sites begin … end − 1 in C order; False if one stands at ``limit`` already."""
    width = region.shape[3]
    row_number = begin // width
    x = begin - row_number * width
    left = end - begin
    while left > 0:
        k = row_number % region.shape[2]
        j = row_number // region.shape[2] % region.shape[1]
        i = row_number // region.shape[2] // region.shape[1]
        row = region[i, j, k]
        count = min(left, width - x)
        for n in range(x, x + count):
            q = row[n]
            if q == limit:
                return False
            row[n] = q + step
            if counts.size:
                counts[q] -= 1
                counts[np.int64(q) + step] += 1
        left -= count
        x = 0
        row_number += 1
    return True


@njit(nogil=True, cache=True)
def add_heat(region, each, rest, start, q_max, counts):  # type: ignore[no-untyped-def]
    """Deposit ``each`` quanta on every site and one more on ``rest`` sites from ``start`` on (cyclic C order).

    Keeps ``counts`` (the region's histogram) true.  Returns False, with the region half done, if a site would
    exceed ``q_max``: the caller must discard it.
    """
    if each > 0:
        top = 0
        for q in range(counts.size):
            if counts[q] > 0:
                top = q
        if top + each > q_max:
            return False
        for i in range(region.shape[0]):
            for j in range(region.shape[1]):
                for k in range(region.shape[2]):
                    row = region[i, j, k]
                    for x in range(row.size):
                        row[x] = row[x] + each
        for q in range(counts.size - 1, each - 1, -1):
            counts[q] = counts[q - each]
        counts[:each] = 0
    wrapped = max(start + rest - region.size, 0)
    return _one_each(region, start, start + rest - wrapped, 1, q_max, counts) and _one_each(
        region, 0, wrapped, 1, q_max, counts
    )


@njit(nogil=True, cache=True)
def remove_heat(region, each, rest, start):  # type: ignore[no-untyped-def]
    """Undo `add_heat`.  Returns False, half done, if a site holds too little (it never was deposited)."""
    none = np.empty(0, np.int64)
    wrapped = max(start + rest - region.size, 0)
    if not (
        _one_each(region, start, start + rest - wrapped, -1, 0, none) and _one_each(region, 0, wrapped, -1, 0, none)
    ):
        return False
    if each > 0:
        for i in range(region.shape[0]):
            for j in range(region.shape[1]):
                for k in range(region.shape[2]):
                    row = region[i, j, k]
                    for x in range(row.size):
                        if row[x] < each:
                            return False
                        row[x] = row[x] - each
    return True
