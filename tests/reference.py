"""Slow, readable twins of `entropic.kernels` and `entropic.randomness`: plain Python and NumPy, no numba.

Written from physics.md and the docstrings, not from the kernels' code.  Functions return new arrays; nothing is
changed in place.  A lattice is a four-dimensional array (leading extents 1 if it has fewer axes).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Place = tuple[int, ...]

PURPOSE_EXCHANGE = 1
LANES = 16
GROUP_WORDS = 64
MASK32 = 0xFFFFFFFF
MASK64 = 0xFFFFFFFFFFFFFFFF
DIGEST_SALT = (0x243F6A8885A308D3, 0x13198A2E03707344)  # π in hexadecimal

# --- randomness -------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1 << 16)
def philox4x32(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, int, int, int]:
    """Philox4x32-10 as in the paper (and in Random123)."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * c0, 1 << 32)
        high1, low1 = divmod(0xCD9E8D57 * c2, 1 << 32)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0 = (k0 + 0x9E3779B9) & MASK32
        k1 = (k1 + 0xBB67AE85) & MASK32
    return c0, c1, c2, c3


def _halves(numbers: list[int]) -> list[int]:
    """Each 32-bit number cut in two 16-bit pieces, least significant first."""
    return [piece for n in numbers for piece in (n & 0xFFFF, n >> 16)]


@lru_cache(maxsize=1 << 12)
def group_words(group: int, time: int, purpose: int, seed: int) -> tuple[int, ...]:
    """The 64 words of a group, in order."""
    key = (seed & MASK32, seed >> 32)
    blocks = []
    for number in range(LANES * group, LANES * (group + 1)):
        blocks.append(
            philox4x32((number & MASK32, number >> 32, time & MASK32, purpose << 24 | time >> 32), key),
        )
    a, b, c, d = (list(column) for column in zip(*blocks, strict=True))
    return tuple(high << 16 | low for high, low in zip(_halves(a + b), _halves(c + d), strict=True))


def word(index: int, time: int, purpose: int, seed: int) -> int:
    """The 32-bit word at ``index``."""
    group, place = divmod(int(index), GROUP_WORDS)
    return group_words(group, int(time), int(purpose), int(seed))[place]


def random_u64(index: int, time: int, purpose: int, seed: int) -> int:
    return word(2 * index, time, purpose, seed) | word(2 * index + 1, time, purpose, seed) << 32


# --- exchange ---------------------------------------------------------------------------------------------------


def exchange_pair(lower: int, upper: int, u: int, q_max: int, inverse: bool = False) -> tuple[int, int]:
    """The exchange move on one pair, given its word ``u``."""
    t = lower + upper
    bottom = max(0, t - q_max)  # least that the lower site can hold
    size = min(t, q_max) - bottom + 1
    s = u * size // 2**32
    new = (lower - bottom + (-s if inverse else s)) % size + bottom
    return new, t - new


def layer_pairs(
    shape: Place, region: Place, axis: int, parity: int, *, adiabatic: bool, periodic: bool
) -> Iterator[tuple[Place, Place, int]]:
    """Lower site, upper site and index of the word of every pair of a layer."""
    extent = shape[axis]
    stride = math.prod(shape[axis + 1 :])
    for site in product(*(range(n) for n in shape)):
        x = site[axis]
        if x % 2 != parity or (x + 1 == extent and not periodic) or extent == 1:
            continue
        other = (*site[:axis], (x + 1) % extent, *site[axis + 1 :])
        if adiabatic and any(a // n != b // n for a, b, n in zip(site, other, region, strict=True)):
            continue
        index = 0
        for coordinate, n in zip(site, shape, strict=True):
            index = index * n + coordinate
        yield site, other, index >> 1 if stride == 1 else index


def exchange_layer(
    field: Array,
    region: Place,
    axis: int,
    parity: int,
    *,
    adiabatic: bool,
    periodic: bool,
    q_max: int,
    seed: int,
    layer: int,
    inverse: bool = False,
) -> Array:
    """One exchange layer (or its inverse) on a whole lattice."""
    if periodic and field.shape[axis] > 1 and field.shape[axis] % 2:
        raise ValueError("a periodic axis must have an even extent")
    new = field.copy()
    for i, j, index in layer_pairs(field.shape, region, axis, parity, adiabatic=adiabatic, periodic=periodic):
        u = word(index, layer, PURPOSE_EXCHANGE, seed)
        new[i], new[j] = exchange_pair(int(field[i]), int(field[j]), u, q_max, inverse)
    return new


# --- reductions -------------------------------------------------------------------------------------------------


def histogram(region: Array, q_max: int) -> Array:
    return np.array([np.count_nonzero(region == q) for q in range(q_max + 1)], np.int64)


def region_totals(field: Array, region: Place) -> Array:
    """Quanta of every region, as an array of the regions' lattice."""
    boxes = [n // m for n, m in zip(field.shape, region, strict=True)]
    totals = np.zeros(boxes, np.int64)
    for place in product(*(range(n) for n in boxes)):
        box = tuple(slice(i * m, (i + 1) * m) for i, m in zip(place, region, strict=True))
        totals[place] = sum(int(q) for q in field[box].flat)
    return totals


def face_totals(field: Array, region: Place, axis: int, x: int) -> Array:
    """Quanta of every region's share of the plane ``x`` along ``axis``; the totals keep four axes."""
    plane = field.take([x], axis=axis)
    return region_totals(plane, (*region[:axis], 1, *region[axis + 1 :]))


def _mix64(z: Array) -> Array:
    """The finaliser of splitmix64."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Array = z ^ (z >> np.uint64(31))
    return mixed


def digest(field: Array, first: int = 0) -> tuple[int, int]:
    """Σ_g mix(2¹⁶ g + q_g + salt_j) mod 2⁶⁴, j = 0, 1, over the sites g (C order, counted from ``first``)."""
    g = np.arange(field.size, dtype=np.uint64) + np.uint64(first)
    z = g * np.uint64(1 << 16) + field.ravel().astype(np.uint64)
    one, two = (int(np.sum(_mix64(z + np.uint64(salt)), dtype=np.uint64)) for salt in DIGEST_SALT)
    return one, two


# --- lift -------------------------------------------------------------------------------------------------------


def lift(region: Array, threshold: int) -> tuple[Array, Array]:
    """Lifted region and its bits (uint8, in C order)."""
    bits = [1 if int(q) >= threshold else 0 for q in region.flat]
    lifted = [int(q) - threshold * bit for q, bit in zip(region.flat, bits, strict=True)]
    return np.array(lifted, region.dtype).reshape(region.shape), np.array(bits, np.uint8)


def lift_inverse(region: Array, threshold: int, bits: Array) -> Array:
    restored = [int(q) + threshold * int(bit) for q, bit in zip(region.flat, bits, strict=True)]
    return np.array(restored, region.dtype).reshape(region.shape)


# --- deposit ----------------------------------------------------------------------------------------------------


def _shares(sites: int, quanta: int, start: int) -> list[int]:
    """What each site gets: ⌊E/N⌋, and one more on a cyclic run from ``start``."""
    each, rest = divmod(quanta, sites)
    return [each + (1 if (i - start) % sites < rest else 0) for i in range(sites)]


def deposit(region: Array, quanta: int, start: int, q_max: int) -> Array | None:
    """The region with ``quanta`` more; None if a site would exceed the cap."""
    shares = _shares(region.size, quanta, start)
    new = [int(q) + share for q, share in zip(region.flat, shares, strict=True)]
    return None if max(new) > q_max else np.array(new, region.dtype).reshape(region.shape)


def deposit_inverse(region: Array, quanta: int, start: int) -> Array | None:
    """The region before a deposit; None if there cannot have been one."""
    shares = _shares(region.size, quanta, start)
    old = [int(q) - share for q, share in zip(region.flat, shares, strict=True)]
    return None if min(old) < 0 else np.array(old, region.dtype).reshape(region.shape)
