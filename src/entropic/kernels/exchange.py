"""The exchange layer: pairs of sites share their quanta anew, and the inverse."""

from __future__ import annotations

import numpy as np
from numba import njit

from entropic.randomness import GROUP_WORDS, PURPOSE_EXCHANGE, fill_words, words

__all__ = [
    "exchange_pairs",
    "exchange_runs",
    "exchange_runs_anew",
    "exchange_seam",
    "exchange_touching",
    "scratch",
]

_CHUNK_GROUPS = 32
_SHORT = 8  # sites of a run up to which single words come cheaper than whole groups
_CLOSE = 48  # distance of neighbouring runs up to which words are filled for both, the unused ones too
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
    bits = (np.int64(high) << 16) | np.int64(low)
    shift = (bits * size) >> 32
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


@njit(nogil=True, cache=True, inline="always")
def _mix_bytes(old_lower, old_upper, lower, upper, high, low, n, inverse):  # type: ignore[no-untyped-def]
    """Returns whether all old values are below 128, so that no pair of them exceeds 255; else the new ones are rubbish."""
    bits = np.uint8(0)
    for i in range(n):
        bits = np.uint8(bits | old_lower[i] | old_upper[i])
        t = np.uint16(np.uint8(old_lower[i] + old_upper[i]))
        size = np.uint16(t + np.uint16(1))
        carry_in = np.uint16((np.uint32(low[i]) * np.uint32(size)) >> np.uint32(16))
        bottom = np.uint16(high[i] * size)
        total = np.uint16(bottom + carry_in)
        carry = np.uint16(np.uint16((bottom & carry_in) | ((bottom | carry_in) & (~total))) >> np.uint16(15))
        shift = np.uint16((np.uint32(high[i]) * np.uint32(size)) >> np.uint32(16))
        if inverse:
            place = np.uint16(np.uint16(old_lower[i]) - shift - carry)
            place = min(place, np.uint16(place + size))
        else:
            place = np.uint16(np.uint16(old_lower[i]) + shift + carry)
            place = min(place, np.uint16(place - size))
        lower[i] = np.uint8(place)
        upper[i] = np.uint8(t - place)
    return bits < 128


@njit(nogil=True, cache=True)
def _rows_bytes(lower, upper, high, low, n, inverse):  # type: ignore[no-untyped-def]
    _mix_bytes(lower, upper, lower, upper, high, low, n, inverse)


@njit(nogil=True, cache=True)
def _rows_bytes_anew(old_lower, old_upper, lower, upper, high, low, n, inverse):  # type: ignore[no-untyped-def]
    return _mix_bytes(old_lower, old_upper, lower, upper, high, low, n, inverse)


@njit(nogil=True, cache=True)
def _small(values, n):  # type: ignore[no-untyped-def]
    """True if all values are below 128, so that no pair of them exceeds 255."""
    bits = np.uint8(0)
    for i in range(n):
        # In bytes: numba takes the bare expression for one of 64 bits, which costs four times as much.
        bits = np.uint8(bits | values[i])
    return bits < 128


@njit(nogil=True, cache=True)
def _rows_general(lower, upper, high, low, n, q_max, inverse):  # type: ignore[no-untyped-def]
    for i in range(n):
        t = np.int64(lower[i]) + np.int64(upper[i])
        new = _mix(lower[i], upper[i], high[i], low[i], q_max, inverse)
        lower[i] = new
        upper[i] = t - new


@njit(nogil=True, cache=True)
def _copy(to, run, n):  # type: ignore[no-untyped-def]
    for i in range(n):
        to[i] = run[i]


@njit(nogil=True, cache=True, inline="always")
def _apply(lower, upper, high, low, n, q_max, inverse):  # type: ignore[no-untyped-def]
    """Mix lower[i] with upper[i], i < n, by the halves of their words."""
    if q_max == 255 and _small(lower, n) and _small(upper, n):
        _rows_bytes(lower, upper, high, low, n, inverse)
    else:
        _rows_general(lower, upper, high, low, n, q_max, inverse)


@njit(nogil=True, cache=True, inline="always")
def _apply_anew(old_lower, old_upper, lower, upper, high, low, n, q_max, inverse):  # type: ignore[no-untyped-def]
    """`_apply` of the old runs into others: what must be fetched and stored goes along with the arithmetic."""
    if q_max != 255 or not _rows_bytes_anew(old_lower, old_upper, lower, upper, high, low, n, inverse):
        _copy(lower, old_lower, n)
        _copy(upper, old_upper, n)
        _rows_general(lower, upper, high, low, n, q_max, inverse)


@njit(nogil=True, cache=True)
def exchange_pairs(lower, upper, high, low, q_max, inverse):  # type: ignore[no-untyped-def]
    """Mix lower[i] with upper[i] by given words: what every layer does to its pairs, without the generator.

    Parameters
    ----------
    lower, upper : uint8 or uint16 [n], contiguous
    high, low : uint16[n]
        Upper and lower halves of the words.
    """
    _apply(lower, upper, high, low, lower.size, q_max, inverse)


@njit(nogil=True, cache=True, inline="always")
def _words_of(first, count, layer, seed, high32, low32):  # type: ignore[no-untyped-def]
    """Fill the buffers for a chunk of pairs whose words follow each other; returns the halves, uint16[count] each."""
    group = first // GROUP_WORDS
    skip = first - group * GROUP_WORDS
    groups = (skip + count + GROUP_WORDS - 1) // GROUP_WORDS
    fill_words(high32, low32, group, groups, layer, PURPOSE_EXCHANGE, seed)
    return high32.view(np.uint16)[skip : skip + count], low32.view(np.uint16)[skip : skip + count]


@njit(nogil=True, cache=True)
def _rows(lower, upper, first, n, layer, seed, q_max, inverse, high32, low32):  # type: ignore[no-untyped-def]
    """Mix lower[i] with upper[i], i < n; pair i has word ``first + i``."""
    done = 0
    while done < n:
        count = min(n - done, CHUNK)
        high, low = _words_of(first + done, count, layer, seed, high32, low32)
        _apply(lower[done : done + count], upper[done : done + count], high, low, count, q_max, inverse)
        done += count


@njit(nogil=True, cache=True)
def _rows_anew(old_lower, old_upper, lower, upper, first, n, layer, seed, q_max, inverse, high32, low32):  # type: ignore[no-untyped-def]
    """`_rows` of the old runs into others."""
    done = 0
    while done < n:
        count = min(n - done, CHUNK)
        high, low = _words_of(first + done, count, layer, seed, high32, low32)
        old_a, old_b = old_lower[done : done + count], old_upper[done : done + count]
        a, b = lower[done : done + count], upper[done : done + count]
        _apply_anew(old_a, old_b, a, b, high, low, count, q_max, inverse)
        done += count


@njit(nogil=True, cache=True)
def _scattered(lower, upper, index, layer, seed, q_max, inverse, high32, low32):  # type: ignore[no-untyped-def]
    """Mix lower[i] with upper[i], i < index.size; pair i has word ``index[i]``."""
    high = high32.view(np.uint16)
    low = low32.view(np.uint16)
    for done in range(0, index.size, CHUNK):
        count = min(index.size - done, CHUNK)
        words(index[done : done + count], high, low, layer, PURPOSE_EXCHANGE, seed)
        _apply(lower[done : done + count], upper[done : done + count], high, low, count, q_max, inverse)


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
def _narrow(planes, base, stride, lower, layer, seed, q_max, inverse, high32, low32):  # type: ignore[no-untyped-def]
    """Exchange rows ``x`` and ``x + 1`` of planes[extent, run] that lie so close that many share a fill of words."""
    high = high32.view(np.uint16)
    low = low32.view(np.uint16)
    run = planes.shape[1]
    i = 0
    while i < lower.size:
        begin = lower[i]
        group = (base + begin * stride) // GROUP_WORDS
        skip = base + begin * stride - group * GROUP_WORDS
        end = i + 1
        while end < lower.size and (lower[end] - begin) * stride + run <= CHUNK:
            end += 1
        span = skip + (lower[end - 1] - begin) * stride + run
        fill_words(high32, low32, group, (span + GROUP_WORDS - 1) // GROUP_WORDS, layer, PURPOSE_EXCHANGE, seed)
        for x in lower[i:end]:
            place = skip + (x - begin) * stride
            _apply(planes[x], planes[x + 1], high[place : place + run], low[place : place + run], run, q_max, inverse)
        i = end


@njit(nogil=True, cache=True)
def _planes(array, outer, outer_base, middle_base, stride, lower, layer, seed, q_max, inverse, high, low):  # type: ignore[no-untyped-def]
    """Exchange planes of array[outer], in place."""
    run = array.shape[3]
    if run <= stride <= _CLOSE and array.shape[2] == 1:
        base = outer_base[outer] + middle_base[0]
        _narrow(array[outer, :, 0], base, stride, lower, layer, seed, q_max, inverse, high, low)
        return
    for x in lower:
        if run <= _SHORT:
            index = np.empty(middle_base.size * run, np.int64)
            for i in range(index.size):
                index[i] = outer_base[outer] + x * stride + middle_base[i // run] + i % run
            a, b = array[outer, x].reshape(-1), array[outer, x + 1].reshape(-1)
            _scattered(a, b, index, layer, seed, q_max, inverse, high, low)
            continue
        for m in range(array.shape[2]):
            first = outer_base[outer] + x * stride + middle_base[m]
            _rows(array[outer, x, m], array[outer, x + 1, m], first, run, layer, seed, q_max, inverse, high, low)


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
    for o in range(array.shape[0]):
        _planes(array, o, outer_base, middle_base, stride, lower, layer, seed, q_max, inverse, high, low)


@njit(nogil=True, cache=True)
def exchange_runs_anew(old, array, outer_base, middle_base, stride, lower, seed, layer, q_max, inverse, high, low):  # type: ignore[no-untyped-def]
    """`exchange_runs` of ``old`` into ``array``: what is long goes where it belongs at almost no cost."""
    run = array.shape[3]
    for o in range(array.shape[0]):
        if run <= max(_CLOSE, _SHORT):
            array[o] = old[o]
            _planes(array, o, outer_base, middle_base, stride, lower, layer, seed, q_max, inverse, high, low)
            continue
        alone = np.ones(array.shape[1], np.bool_)
        for x in lower:
            alone[x] = alone[x + 1] = False
            for m in range(array.shape[2]):
                first = outer_base[o] + x * stride + middle_base[m]
                old_a, old_b, a, b = old[o, x, m], old[o, x + 1, m], array[o, x, m], array[o, x + 1, m]
                _rows_anew(old_a, old_b, a, b, first, run, layer, seed, q_max, inverse, high, low)
        for x in np.flatnonzero(alone):
            array[o, x] = old[o, x]


@njit(nogil=True, cache=True)
def exchange_touching(array, base, lower, seed, layer, q_max, inverse, high, low):  # type: ignore[no-untyped-def]
    """Exchange along the fastest axis; pair (x, x+1) has word ⌊global index of x / 2⌋.

    Parameters
    ----------
    array : uint8 or uint16 [rows, extent]
        C-contiguous.
    base : int64[rows]
        Global index of each row's first site.
    lower : int64
        Lower sites, counted in the block, ascending, all odd or all even.
    """
    if lower.size == 0:
        return
    rows, extent = array.shape
    even = np.empty(CHUNK, array.dtype)
    odd = np.empty(CHUNK, array.dtype)
    flat = array.reshape(-1)
    # Pairs that a wall or the end of a row cuts are mixed with the rest, for speed, and put back.
    cut = np.ones(extent // 2 + 1, np.bool_)
    for x in lower:
        cut[(x - lower[0]) // 2] = False
    gaps = np.flatnonzero(cut[: extent // 2])
    r = 0
    while r < rows:
        # Rows of even extent that follow each other in the lattice are one run.
        end = r + 1
        while end < rows and extent % 2 == 0 and base[end] == base[end - 1] + extent:
            end += 1
        n = ((end - 1 - r) * extent + lower[-1] - lower[0]) // 2 + 1
        row, gap = 0, 0  # the next gap is gaps[gap] of this row
        for done in range(0, n, CHUNK):
            count = min(n - done, CHUNK)
            start = r * extent + lower[0] + 2 * done
            piece = flat[start : start + 2 * count]
            _split(piece, even, odd, count)
            first = (base[r] + lower[0] + 2 * done) >> 1
            _rows(even, odd, first, count, layer, seed, q_max, inverse, high, low)
            while gaps.size:
                i = row * (extent // 2) + gaps[gap] - done
                if i >= count:
                    break
                even[i], odd[i] = piece[2 * i], piece[2 * i + 1]
                gap += 1
                if gap == gaps.size:
                    row, gap = row + 1, 0
            _join(piece, even, odd, count)
        r = end


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
    rows, run = lower.shape
    a, b = lower.reshape(-1), upper.reshape(-1)
    if halve or step != 1:
        index = np.empty(rows * run, np.int64)
        for r in range(rows):
            for i in range(run):
                index[r * run + i] = (base[r] + i * step) >> (1 if halve else 0)
        _scattered(a, b, index, layer, seed, q_max, inverse, high, low)
        return
    r = 0
    while r < rows:
        # Rows that follow each other in the lattice are one run.
        end = r + 1
        while end < rows and base[end] == base[end - 1] + run:
            end += 1
        here, there = a[r * run : end * run], b[r * run : end * run]
        _rows(here, there, base[r], here.size, layer, seed, q_max, inverse, high, low)
        r = end
