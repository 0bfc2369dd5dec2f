"""Maxwell's demon: the larger of each pair of sites to the hot side, the bit to the tape, and back."""

from __future__ import annotations

import numpy as np
from numba import njit

from entropic.kernels.contact import put_run, take_run

__all__ = ["sort_contact", "sort_pairs", "sort_runs", "unsort_contact", "unsort_pairs", "unsort_runs"]

_CHUNK = 65536  # pairs whose summed differences, each below 2^16, still fit 32 bits
_NARROW = 32  # rows shorter than this are gathered: the vectoriser has no use for them
_GATHERED = 1024  # pairs gathered at a time: both sides stay in the first-level cache


@njit(nogil=True, cache=True)
def _sort(hot, cold, bits):  # type: ignore[no-untyped-def]
    """Sort a chunk of pairs; returns ones, summed differences, and the quanta that went over to the hot side.

    One pass without a branch, for the vectoriser.
    """
    ones = np.uint32(0)
    gradient = np.uint32(0)
    moved = np.uint32(0)
    for x in range(hot.size):
        q = hot[x]
        p = cold[x]
        larger = max(q, p)
        smaller = min(q, p)
        bit = np.uint8(q < p)
        hot[x] = larger
        cold[x] = smaller
        bits[x] = bit
        ones = np.uint32(ones + np.uint32(bit))
        gradient = np.uint32(gradient + np.uint32(np.uint32(larger) - np.uint32(smaller)))
        moved = np.uint32(moved + np.uint32(np.uint32(larger) - np.uint32(q)))
    return np.int64(ones), np.int64(gradient), np.int64(moved)


@njit(nogil=True, cache=True)
def _unsort(hot, cold, bits):  # type: ignore[no-untyped-def]
    for x in range(hot.size):
        q = hot[x]
        p = cold[x]
        swapped = bits[x] != 0
        hot[x] = p if swapped else q
        cold[x] = q if swapped else p


@njit(nogil=True, cache=True)
def _runs(hot, cold, bits, inverse):  # type: ignore[no-untyped-def]
    ones = np.int64(0)
    gradient = np.int64(0)
    for begin in range(0, bits.size, _CHUNK):
        end = min(begin + _CHUNK, bits.size)
        if inverse:
            _unsort(hot[begin:end], cold[begin:end], bits[begin:end])
        else:
            more, steeper, _ = _sort(hot[begin:end], cold[begin:end], bits[begin:end])
            ones += more
            gradient += steeper
    return ones, gradient


@njit(nogil=True, cache=True)
def _narrow_pairs(region, bits, inverse):  # type: ignore[no-untyped-def]
    """`_wide_pairs` by way of contiguous copies."""
    hot = np.empty(_GATHERED, region.dtype)
    cold = np.empty(_GATHERED, region.dtype)
    ones = np.int64(0)
    gradient = np.int64(0)
    for begin in range(0, bits.size, _GATHERED):
        count = min(_GATHERED, bits.size - begin)
        take_run(region, begin, hot[:count])
        take_run(region, begin + bits.size, cold[:count])
        more, steeper = _runs(hot[:count], cold[:count], bits[begin : begin + count], inverse)
        put_run(region, begin, hot[:count])
        put_run(region, begin + bits.size, cold[:count])
        ones += more
        gradient += steeper
    return ones, gradient


@njit(nogil=True, cache=True)
def _wide_pairs(region, bits, inverse):  # type: ignore[no-untyped-def]
    """Walk both halves at once, in runs that cross no row's end on either side."""
    width = region.shape[3]
    depth = region.shape[2]
    height = region.shape[1]
    ones = np.int64(0)
    gradient = np.int64(0)
    done = 0
    while done < bits.size:
        first = done // width
        x = done - first * width
        second = (done + bits.size) // width
        y = done + bits.size - second * width
        count = min(bits.size - done, width - x, width - y)
        hot = region[first // depth // height, first // depth % height, first % depth, x : x + count]
        cold = region[second // depth // height, second // depth % height, second % depth, y : y + count]
        more, steeper = _runs(hot, cold, bits[done : done + count], inverse)
        ones += more
        gradient += steeper
        done += count
    return ones, gradient


@njit(nogil=True, cache=True)
def sort_pairs(region, bits):  # type: ignore[no-untyped-def]
    """Sort the first half of a region against the second: bit = [q_i < q_j], swap where it is set.

    Site k is paired with site k + P, C order, P = ⌊N/2⌋; the last site of an odd N stays alone.

    Parameters
    ----------
    region : uint8 or uint16 [a, b, c, d]
        A box of sites, contiguous or a view into a block.
    bits : uint8 [P], contiguous
        Filled with the bits, 0 or 1.

    Returns
    -------
    tuple of int64
        The ones, and the quanta of the first half minus those of the second after the sort (the lone site in neither).
    """
    return _narrow_pairs(region, bits, False) if region.shape[3] < _NARROW else _wide_pairs(region, bits, False)


@njit(nogil=True, cache=True)
def unsort_pairs(region, bits):  # type: ignore[no-untyped-def]
    """Undo `sort_pairs` with the bits that it wrote."""
    if region.shape[3] < _NARROW:
        _narrow_pairs(region, bits, True)
    else:
        _wide_pairs(region, bits, True)


@njit(nogil=True, cache=True)
def _row(region, place, count):  # type: ignore[no-untyped-def]
    """Sites ``place`` … ``place + count`` of a region, C order, which lie in one row."""
    width = region.shape[3]
    number = place // width
    x = place - number * width
    k = number % region.shape[2]
    j = number // region.shape[2] % region.shape[1]
    return region[number // region.shape[2] // region.shape[1], j, k, x : x + count]


@njit(nogil=True, cache=True)
def _contact(hot, start_hot, cold, start_cold, bits, inverse):  # type: ignore[no-untyped-def]
    """Walk cyclic runs of two regions at once, in pieces that cross no row's end on either side."""
    ones = np.int64(0)
    gradient = np.int64(0)
    moved = np.int64(0)
    a = start_hot
    b = start_cold
    done = 0
    while done < bits.size:
        count = min(bits.size - done, _CHUNK, hot.shape[3] - a % hot.shape[3], cold.shape[3] - b % cold.shape[3])
        piece = bits[done : done + count]
        if inverse:
            _unsort(_row(hot, a, count), _row(cold, b, count), piece)
        else:
            more, steeper, heat = _sort(_row(hot, a, count), _row(cold, b, count), piece)
            ones += more
            gradient += steeper
            moved += heat
        done += count
        a = (a + count) % hot.size
        b = (b + count) % cold.size
    return ones, gradient, moved


@njit(nogil=True, cache=True)
def sort_contact(hot, start_hot, cold, start_cold, bits):  # type: ignore[no-untyped-def]
    """`sort_runs` in place, for cyclic runs of two regions (as `take_run` takes them) that do not overlap.

    Parameters
    ----------
    hot, cold : uint8 or uint16 [a, b, c, d]
        Two boxes of sites.
    start_hot, start_cold : int
        First sites of the runs, C order.
    bits : uint8 [n], contiguous
        Filled with the bits, 0 or 1.

    Returns
    -------
    tuple of int64
        The ones, the quanta of the hot run minus those of the cold run after the sort, and the quanta that went over to
        the hot side.
    """
    return _contact(hot, start_hot, cold, start_cold, bits, False)


@njit(nogil=True, cache=True)
def unsort_contact(hot, start_hot, cold, start_cold, bits):  # type: ignore[no-untyped-def]
    """Undo `sort_contact` with the bits that it wrote."""
    _contact(hot, start_hot, cold, start_cold, bits, True)


@njit(nogil=True, cache=True)
def sort_runs(hot, cold, bits):  # type: ignore[no-untyped-def]
    """`sort_pairs` for the sites of two regions: contiguous ``hot``, ``cold`` and ``bits`` (uint8) of one length."""
    return _runs(hot, cold, bits, False)


@njit(nogil=True, cache=True)
def unsort_runs(hot, cold, bits):  # type: ignore[no-untyped-def]
    """Undo `sort_runs` with the bits that it wrote."""
    _runs(hot, cold, bits, True)
