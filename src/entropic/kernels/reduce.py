"""Integer reductions, totals and histograms, none of which knows of layout."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = [
    "block_histograms",
    "face_totals",
    "region_histogram",
    "region_total",
    "region_view",
]


@intrinsic
def _eight_bytes(typing, flat, x):  # type: ignore[no-untyped-def]
    """Eight bytes of an array from place ``x`` on as one uint64, however they lie: a load that no view can express.

    (In which order is the machine's matter, and none of a histogram's.)
    """

    def load(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(64).as_pointer())
        return builder.load(place, align=1)

    return types.uint64(flat, x), load


# --- totals ------------------------------------------------------------------------------------------------------

_BYTES = np.uint64(0x00FF00FF00FF00FF)
_SIXTEENS = np.uint64(0x0000FFFF0000FFFF)
_LONG = 64  # sites from which on words are worth their trouble
_WORDS = 1 << 12  # words that are added up in 32-bit lanes; they might overflow from 2**15 on


@njit(nogil=True, cache=True, inline="always")
def _row_total(row, start, stop):  # type: ignore[no-untyped-def]
    """Sum of row[start : stop], eight bytes at a time where sites lie side by side."""
    total = np.uint64(0)
    x, end = np.uint64(start), np.uint64(stop)
    each = np.uint64(8 // row.itemsize)
    if row.strides[0] == row.itemsize and stop - start >= _LONG:
        while x + each <= end:
            lanes = np.uint64(0)
            for _ in range(min(np.uint64(_WORDS), (end - x) // each)):
                w = _eight_bytes(row, x)
                if row.itemsize == 1:
                    w = (w & _BYTES) + ((w >> np.uint64(8)) & _BYTES)
                lanes += (w & _SIXTEENS) + ((w >> np.uint64(16)) & _SIXTEENS)
                x += each
            total += (lanes & np.uint64(0xFFFFFFFF)) + (lanes >> np.uint64(32))
    while x < end:
        total += np.uint64(row[x])
        x += np.uint64(1)
    return total


_LANES = 1 << 16  # sites that are added up in 32 bits; of two bytes each, they might overflow from there on


@njit(nogil=True, cache=True)
def _run_total(flat, start, stop):  # type: ignore[no-untyped-def]
    """Sum of flat[start : stop], which lies in one piece: written for the vectoriser."""
    total = np.int64(0)
    for begin in range(start, stop, _LANES):
        run = flat[begin : min(begin + _LANES, stop)]
        lanes = np.uint32(0)
        for i in range(run.size):
            lanes += np.uint32(run[i])
        total += np.int64(lanes)
    return total


@njit(nogil=True, cache=True)
def _face_totals(array, axis, x, tile, sign, out):  # type: ignore[no-untyped-def]
    """One plane; ``out`` has extent 1 along its axis."""
    _, b, c, d = array.shape
    flat = array.reshape(-1)
    first = x * (b * c * d, c * d, d, 1)[axis]
    whole = out.shape[3] == 1 and axis < 2  # rows of a region follow each other
    length = tile[3] * tile[2] if whole else tile[3]
    step = d * tile[2] if whole else d  # of a row, or of a region's rows together
    for i in range(out.shape[0] * tile[0]):
        for j in range(out.shape[1] * tile[1]):
            targets = out[i // tile[0], j // tile[1]]
            for k in range(out.shape[2] if whole else out.shape[2] * tile[2]):
                place = first + (i * b + j) * c * d + k * step
                region = k if whole else k // tile[2]
                for r in range(out.shape[3]):
                    start = place + r * tile[3]
                    targets[region, r] += sign * _run_total(flat, start, start + length)


@njit(nogil=True, cache=True)
def face_totals(array, axis, planes, rows, tile, sign, out):  # type: ignore[no-untyped-def]
    """Add ``sign`` times the quanta of each region's share of some planes to ``out``.

    Parameters
    ----------
    array : uint8 or uint16 [a, b, c, d]
        C-contiguous.
    axis, planes : int, int64
        The planes: all sites at one of ``planes`` along ``axis``.
    rows : int64
        Of each plane, the place in ``out`` along the axis.
    tile : int64[4]
        Extents of a region's share of a plane (1 on the planes' own axis).
    out : int64 [a / tile0, b / tile1, c / tile2, d / tile3]
        Any extent on the planes' own axis.
    """
    for i in range(planes.size):
        if axis == 0:
            _face_totals(array, axis, planes[i], tile, sign, out[rows[i] : rows[i] + 1])
        elif axis == 1:
            _face_totals(array, axis, planes[i], tile, sign, out[:, rows[i] : rows[i] + 1])
        elif axis == 2:
            _face_totals(array, axis, planes[i], tile, sign, out[:, :, rows[i] : rows[i] + 1])
        else:
            _face_totals(array, axis, planes[i], tile, sign, out[:, :, :, rows[i] : rows[i] + 1])


@njit(nogil=True, cache=True)
def region_total(region):  # type: ignore[no-untyped-def]
    """Quanta in a box of sites."""
    total = np.uint64(0)
    for i in range(region.shape[0]):
        for j in range(region.shape[1]):
            for k in range(region.shape[2]):
                total += _row_total(region[i, j, k], 0, region.shape[3])
    return np.int64(total)


# --- histograms ------------------------------------------------------------------------------------------------
# A counter that is raised twice running waits for its own store, so neighbours go to different tables, and a byte
# is cut out of a register rather than loaded: eight sites a load.
# Tables are uint32 and flat, with constant offsets, and counted in unsigned indices: no bounds, no signs.

_FULL = 1 << 32  # sites after which a uint32 counter might be full
_PIECE = 1 << 30  # larger boxes are counted in pieces of this many sites at most
_PAIRED_SITES = 1 << 14  # from here on counting pairs of sites pays for adding up their larger tables
_BYTE = np.uint64(255)
_PAIR = np.uint64(65535)
_ABOVE_511 = np.uint64(0xFE00FE00FE00FE00)
_ONE = np.uint32(1)
# The second table of pairs lies four cache lines off a power of two, so that it uses other sets of the cache.
_SECOND = 65536 + 64


@njit(nogil=True, cache=True)
def _count_sites(flat, start, steps, rows, run, tables):  # type: ignore[no-untyped-def]
    """Count a box of at most 2³² bytes in four tables of 256; returns the bits that any of eight sites had set."""
    seen = np.uint64(0)
    for i in range(rows[0]):
        for j in range(rows[1]):
            x = np.uint64(start + i * steps[0] + j * steps[1])
            for _ in range(rows[2]):
                stop = x + np.uint64(run)
                whole = x + (np.uint64(run) & ~np.uint64(7))
                following = x + np.uint64(steps[2])
                while x < whole:
                    w = _eight_bytes(flat, x)
                    seen |= w
                    tables[w & _BYTE] += _ONE
                    tables[np.uint64(256) + ((w >> np.uint64(8)) & _BYTE)] += _ONE
                    tables[np.uint64(512) + ((w >> np.uint64(16)) & _BYTE)] += _ONE
                    tables[np.uint64(768) + ((w >> np.uint64(24)) & _BYTE)] += _ONE
                    tables[(w >> np.uint64(32)) & _BYTE] += _ONE
                    tables[np.uint64(256) + ((w >> np.uint64(40)) & _BYTE)] += _ONE
                    tables[np.uint64(512) + ((w >> np.uint64(48)) & _BYTE)] += _ONE
                    tables[np.uint64(768) + (w >> np.uint64(56))] += _ONE
                    x += np.uint64(8)
                while x < stop:
                    q = np.uint64(flat[x])
                    seen |= q
                    tables[((x & np.uint64(3)) << np.uint64(8)) + q] += _ONE
                    x += np.uint64(1)
                x = following
    return seen


@njit(nogil=True, cache=True)
def _count_pairs(flat, start, steps, rows, run, tables, counts):  # type: ignore[no-untyped-def]
    """Count a box of at most 2³² bytes by twos, in tables of 65536: half as many counters to raise."""
    seen = np.uint64(0)
    for i in range(rows[0]):
        for j in range(rows[1]):
            x = np.uint64(start + i * steps[0] + j * steps[1])
            for _ in range(rows[2]):
                stop = x + np.uint64(run)
                whole = x + (np.uint64(run) & ~np.uint64(7))
                following = x + np.uint64(steps[2])
                while x < whole:
                    w = _eight_bytes(flat, x)
                    seen |= w
                    tables[w & _PAIR] += _ONE
                    tables[np.uint64(_SECOND) + ((w >> np.uint64(16)) & _PAIR)] += _ONE
                    tables[(w >> np.uint64(32)) & _PAIR] += _ONE
                    tables[np.uint64(_SECOND) + (w >> np.uint64(48))] += _ONE
                    x += np.uint64(8)
                while x < stop:
                    counts[np.uint64(flat[x])] += 1
                    x += np.uint64(1)
                x = following
    return seen


@njit(nogil=True, cache=True, inline="always")
def _levels(seen):  # type: ignore[no-untyped-def]
    """A power of two above every byte of a word."""
    seen |= seen >> np.uint64(32)
    seen |= seen >> np.uint64(16)
    seen |= seen >> np.uint64(8)
    top = 1
    while np.uint64(top) <= (seen & _BYTE):
        top *= 2
    return top


@njit(nogil=True, cache=True)
def _add_sites(tables, top, counts):  # type: ignore[no-untyped-def]
    """Move four tables of sites to ``counts``."""
    for q in range(min(top, counts.size)):
        counts[q] += (
            np.int64(tables[q]) + np.int64(tables[q + 256]) + np.int64(tables[q + 512]) + np.int64(tables[q + 768])
        )
    for t in range(0, 1024, 256):
        tables[t : t + top] = 0


@njit(nogil=True, cache=True)
def _add_pairs(tables, top, counts):  # type: ignore[no-untyped-def]
    """Move two tables of pairs to ``counts``."""
    lowest = np.zeros(top, np.int64)
    for second in range(top):
        total = np.int64(0)
        for t in range(2):
            row = tables[t * _SECOND + second * 256 : t * _SECOND + second * 256 + top]
            for first in range(top):
                total += np.int64(row[first])
                lowest[first] += np.int64(row[first])
            row[:] = 0
        if total:
            counts[second] += total
    for first in range(min(top, counts.size)):
        counts[first] += lowest[first]


@njit(nogil=True, cache=True)
def _count_bytes(flat, start, steps, rows, run, tables, pairs, counts):  # type: ignore[no-untyped-def]
    """Histogram of a box of bytes.

    Parameters
    ----------
    flat : uint8[sites of the block]
    start : int
        Place of the box's first site.
    steps, rows : int[3]
        What a step along each of three axes adds to the place, and how many there are.
    run : int
        Sites that follow each other.
    tables, pairs : uint32
        Counters, all 0 before and after.
    counts : int64[<= 256]
    """
    sites = rows[0] * rows[1] * rows[2] * run
    if sites < _PAIRED_SITES:
        _add_sites(tables, _levels(_count_sites(flat, start, steps, rows, run, tables)), counts)
    elif sites <= _FULL:
        _add_pairs(pairs, _levels(_count_pairs(flat, start, steps, rows, run, pairs, counts)), counts)
    else:
        pending = 0
        for i in range(rows[0]):
            for j in range(rows[1]):
                for k in range(rows[2]):
                    place = start + i * steps[0] + j * steps[1] + k * steps[2]
                    for done in range(0, run, _PIECE):
                        n = min(run - done, _PIECE)
                        if pending + n > _FULL:
                            _add_pairs(pairs, 256, counts)
                            pending = 0
                        pending += n
                        _count_pairs(flat, place + done, steps, (1, 1, 1), n, pairs, counts)
        _add_pairs(pairs, 256, counts)


@njit(nogil=True, cache=True)
def _count_words(flat, start, steps, rows, run, tables, counts):  # type: ignore[no-untyped-def]
    """Histogram of a box of two-byte sites: those below 512 in four small tables (all 0 before and after)."""
    for i in range(rows[0]):
        for j in range(rows[1]):
            x = np.uint64(start + i * steps[0] + j * steps[1])
            for _ in range(rows[2]):
                stop = x + np.uint64(run)
                whole = x + (np.uint64(run) & ~np.uint64(3))
                following = x + np.uint64(steps[2])
                while x < whole:
                    w = _eight_bytes(flat, x)
                    if w & _ABOVE_511 == 0:
                        tables[w & _PAIR] += 1
                        tables[np.uint64(512) + ((w >> np.uint64(16)) & _PAIR)] += 1
                        tables[np.uint64(1024) + ((w >> np.uint64(32)) & _PAIR)] += 1
                        tables[np.uint64(1536) + (w >> np.uint64(48))] += 1
                    else:
                        for y in range(x, x + np.uint64(4)):
                            counts[np.uint64(flat[y])] += 1
                    x += np.uint64(4)
                while x < stop:
                    counts[np.uint64(flat[x])] += 1
                    x += np.uint64(1)
                x = following
    for q in range(min(512, counts.size)):
        counts[q] += tables[q] + tables[q + 512] + tables[q + 1024] + tables[q + 1536]
    tables[:] = 0


@njit(nogil=True, cache=True)
def block_histograms(array, shape, counts):  # type: ignore[no-untyped-def]
    """`region_histogram` of every region of a block.

    Parameters
    ----------
    array : uint8 or uint16 [a, b, c, d]
        The block, C-contiguous.
    shape : int[4]
        Extents of a region.
    counts : int64[regions, q_max + 1]
        Filled; the regions go in the block's C order.
    """
    counts[:] = 0
    flat = array.reshape(-1)
    steps = (array.shape[1] * array.shape[2] * array.shape[3], array.shape[2] * array.shape[3], array.shape[3])
    # Where a region has the block's whole extent, its rows follow each other and are one run.
    rows = (shape[0], shape[1], shape[2])
    run = shape[3]
    if shape[3] == array.shape[3]:
        run, rows = run * rows[2], (rows[0], rows[1], 1)
        if shape[2] == array.shape[2]:
            run, rows = run * rows[1], (rows[0], 1, 1)
            if shape[1] == array.shape[1]:
                run, rows = run * rows[0], (1, 1, 1)
    tables = np.zeros(1024 if array.itemsize == 1 else 0, np.uint32)
    lanes = np.zeros(0 if array.itemsize == 1 else 2048, np.int64)
    large = array.itemsize == 1 and shape[0] * shape[1] * shape[2] * shape[3] >= _PAIRED_SITES
    pairs = np.zeros(_SECOND + 65536 if large else 0, np.uint32)
    for number in range(counts.shape[0]):
        a, b, c, d = _corner(array, shape, number)
        start = a * steps[0] + b * steps[1] + c * steps[2] + d
        if array.itemsize == 1:
            _count_bytes(flat, start, steps, rows, run, tables, pairs, counts[number])
        else:
            _count_words(flat, start, steps, rows, run, lanes, counts[number])


@njit(nogil=True, cache=True)
def region_histogram(region, counts):  # type: ignore[no-untyped-def]
    """Fill ``counts`` (int64[q_max + 1]) with the numbers of sites of a box that hold q quanta."""
    whole = np.ascontiguousarray(region)
    block_histograms(whole, np.array(whole.shape), counts.reshape(1, -1))


@njit(nogil=True, cache=True)
def _corner(array, shape, number):  # type: ignore[no-untyped-def]
    """Coordinates in a block of the first site of its ``number``-th region."""
    m = array.shape[3] // shape[3]
    k = array.shape[2] // shape[2]
    j = array.shape[1] // shape[1]
    return (
        number // m // k // j * shape[0],
        number // m // k % j * shape[1],
        number // m % k * shape[2],
        number % m * shape[3],
    )


@njit(nogil=True, cache=True)
def region_view(array, shape, number):  # type: ignore[no-untyped-def]
    """View of the ``number``-th region, C order, of a block."""
    a, b, c, d = _corner(array, shape, number)
    return array[a : a + shape[0], b : b + shape[1], c : c + shape[2], d : d + shape[3]]
