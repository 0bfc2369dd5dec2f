"""Counter-based randomness: Philox4x32-10, keyed by the seed, counted by place and time.

A word is a pure function of (seed, purpose, time, index).  Nothing here has a state, so no layout, order of
tasks or restart can change a draw.

Words come in groups of 64, made from 16 consecutive counters with outputs a, b, c, d.  Within a group the upper
halves are the 32 numbers a_0 … a_15 b_0 … b_15 cut into 16-bit pieces, least significant piece first; the
lower halves are c_0 … c_15 d_0 … d_15 cut likewise.  (So vector registers of outputs *are* the vectors of halves
that the exchange kernel multiplies, without a shuffle.)  The 128-bit counter is
``(number low, number high, time low, purpose << 24 | time high)``; group g owns numbers 16 g … 16 g + 15.

Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = [
    "BEYOND",
    "GROUP_WORDS",
    "PURPOSE_BATH",
    "PURPOSE_CONTACT",
    "PURPOSE_DEPOSIT",
    "PURPOSE_EXCHANGE",
    "PURPOSE_INITIAL",
    "PURPOSE_MICROCANONICAL",
    "PURPOSE_SORT",
    "PURPOSE_WASTE",
    "fill_words",
    "philox4x32",
    "random_u64",
    "word",
    "words",
]

# One domain a use, so that no two uses ever share a word.
PURPOSE_EXCHANGE = 1
PURPOSE_INITIAL = 2
PURPOSE_MICROCANONICAL = 3
PURPOSE_DEPOSIT = 4
PURPOSE_WASTE = 5
PURPOSE_CONTACT = 6
PURPOSE_BATH = 7
PURPOSE_SORT = 8

BEYOND = 1 << 60  # added to a site's index to name the place beyond the edge, beside it

LANES = 16
GROUP_WORDS = 4 * LANES

_M0 = np.uint64(0xD2511F53)
_M1 = np.uint64(0xCD9E8D57)
_W0 = np.uint64(0x9E3779B9)
_W1 = np.uint64(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_S32 = np.uint64(32)
_S16 = np.uint64(16)
_S24 = np.uint64(24)
_PIECE = np.uint64(0xFFFF)
_LANES = np.uint64(LANES)
_GROUP = np.uint64(GROUP_WORDS)
_ROUNDS = 10


@njit(nogil=True, cache=True, inline="always")
def _rounds(c0, c1, c2, c3, k0, k1):  # type: ignore[no-untyped-def]
    """Ten rounds on 32-bit words held in 64-bit lanes (high halves of the inputs may hold rubbish)."""
    for _ in range(_ROUNDS):
        p0 = (c0 & _LOW) * _M0
        p1 = (c2 & _LOW) * _M1
        n0 = (p1 >> _S32) ^ c1 ^ k0
        n2 = (p0 >> _S32) ^ c3 ^ k1
        c0, c1, c2, c3 = n0, p1, n2, p0
        k0 = k0 + _W0
        k1 = k1 + _W1
    return c0, c1, c2, c3


@njit(nogil=True, cache=True)
def philox4x32(counter, key, out):  # type: ignore[no-untyped-def]
    """One Philox4x32-10 block: counter uint32[4], key uint32[2] → out uint32[4]."""
    a, b, c, d = _rounds(
        np.uint64(counter[0]),
        np.uint64(counter[1]),
        np.uint64(counter[2]),
        np.uint64(counter[3]),
        np.uint64(key[0]),
        np.uint64(key[1]),
    )
    out[0] = np.uint32(a & _LOW)
    out[1] = np.uint32(b & _LOW)
    out[2] = np.uint32(c & _LOW)
    out[3] = np.uint32(d & _LOW)


@njit(nogil=True, cache=True)
def fill_words(high, low, first_group, groups, time, purpose, seed):  # type: ignore[no-untyped-def]
    """The words of some groups, as packs of halves.

    Parameters
    ----------
    high, low : uint32[>= 32 * groups]
        Upper and lower halves of the words; seen as uint16 (little-endian) they are in order of the index.
    first_group, groups : int
        First index / 64, and how many groups.
    time, purpose, seed : int
        Time (layer or cycle, < 2**56), purpose and 64-bit seed.
    """
    k0 = np.uint64(seed) & _LOW
    k1 = np.uint64(seed) >> _S32
    t = np.uint64(time)
    c2 = t & _LOW
    c3 = (t >> _S32) | (np.uint64(purpose) << _S24)
    for g in range(groups):
        number = (np.uint64(first_group) + np.uint64(g)) * _LANES
        c1 = number >> _S32
        base = g * 2 * LANES
        # 32-bit stores in a loop of sixteen: from these LLVM builds vectors of eight 64-bit lanes.
        for lane in range(LANES):
            a, b, c, d = _rounds(number + np.uint64(lane), c1, c2, c3, k0, k1)
            high[base + lane] = np.uint32(a)
            high[base + LANES + lane] = np.uint32(b)
            low[base + lane] = np.uint32(c)
            low[base + LANES + lane] = np.uint32(d)


@njit(nogil=True, cache=True)
def word(index, time, purpose, seed):  # type: ignore[no-untyped-def]
    """The 32-bit word at ``index``, as uint64."""
    i = np.uint64(index)
    group = i // _GROUP
    piece = i - group * _GROUP
    element = piece >> np.uint64(1)
    shift = (piece & np.uint64(1)) * _S16
    second = element >= _LANES
    number = group * _LANES + (element - _LANES if second else element)
    t = np.uint64(time)
    a, b, c, d = _rounds(
        number,
        number >> _S32,
        t & _LOW,
        (t >> _S32) | (np.uint64(purpose) << _S24),
        np.uint64(seed) & _LOW,
        np.uint64(seed) >> _S32,
    )
    upper = ((b if second else a) >> shift) & _PIECE
    lower = ((d if second else c) >> shift) & _PIECE
    return (upper << _S16) | lower


@njit(nogil=True, cache=True)
def words(indices, high, low, time, purpose, seed):  # type: ignore[no-untyped-def]
    """The words at some indices that do not follow each other.

    Parameters
    ----------
    indices : int64[n]
    high, low : uint16[>= n]
        Upper and lower halves of the words.
    time, purpose, seed : int
        As for `fill_words`.
    """
    k0 = np.uint64(seed) & _LOW
    k1 = np.uint64(seed) >> _S32
    t = np.uint64(time)
    c2 = t & _LOW
    c3 = (t >> _S32) | (np.uint64(purpose) << _S24)
    numbers = np.zeros(LANES, np.uint64)
    outputs = np.empty(4 * LANES, np.uint32)
    for first in range(0, indices.size, LANES):
        n = min(indices.size - first, LANES)
        for lane in range(n):
            i = np.uint64(indices[first + lane])
            numbers[lane] = i // _GROUP * _LANES + (i >> np.uint64(1)) % _LANES
        for lane in range(LANES):
            a, b, c, d = _rounds(numbers[lane], numbers[lane] >> _S32, c2, c3, k0, k1)
            outputs[lane] = np.uint32(a)
            outputs[LANES + lane] = np.uint32(b)
            outputs[2 * LANES + lane] = np.uint32(c)
            outputs[3 * LANES + lane] = np.uint32(d)
        for lane in range(n):
            i = np.uint64(indices[first + lane])
            second = (i % _GROUP) >> np.uint64(5)
            shift = (i & np.uint64(1)) * _S16
            place = second * _LANES + np.uint64(lane)
            high[first + lane] = np.uint16(np.uint64(outputs[place]) >> shift)
            low[first + lane] = np.uint16(np.uint64(outputs[place + np.uint64(2) * _LANES]) >> shift)


@njit(nogil=True, cache=True)
def random_u64(index, time, purpose, seed):  # type: ignore[no-untyped-def]
    """64 random bits at ``index``: words ``2 index`` (low) and ``2 index + 1`` (high)."""
    i = np.uint64(index) * np.uint64(2)
    return word(i, time, purpose, seed) | (word(i + np.uint64(1), time, purpose, seed) << _S32)
