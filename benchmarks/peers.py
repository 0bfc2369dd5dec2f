"""What others offer for the same work: NumPy, Dask, SciPy, xhistogram, flox, and numba written straight down."""

from __future__ import annotations

from typing import Any

import dask
import dask.array as da
import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "dask_layer",
    "digest_numpy",
    "histogram_bincount",
    "histogram_dask",
    "histogram_flox",
    "histogram_ndimage",
    "histogram_xhistogram",
    "loop_philox",
    "loop_splitmix",
    "numpy_layer",
]

Bytes = NDArray[np.uint8]
LEVELS = 256


# --- exchange: planes 0 and 1, 2 and 3 … of field[planes, sites]; no pair may hold more than 255 quanta ------------


def numpy_layer(field: Bytes, generator: np.random.Generator, piece: int = 1 << 15) -> None:
    """One layer in NumPy: 32-bit words, the product's upper half, wrapped; in pieces that stay in the cache."""
    for x in range(0, field.shape[0], 2):
        for start in range(0, field.shape[1], piece):
            lower, upper = (field[x + i, start : start + piece] for i in range(2))
            total = lower.astype(np.uint16) + upper
            size = total + np.uint16(1)
            words = generator.integers(0, 2**32, lower.size, np.uint32)
            place = ((words * size.astype(np.uint64)) >> np.uint64(32)).astype(np.uint16)
            place += lower
            np.subtract(place, size, out=place, where=place > total)
            lower[:] = place
            upper[:] = total - place


def dask_layer(field: Bytes, seed: int, planes: int) -> Any:
    """One layer as a Dask array, computed chunk by chunk in this thread; ``planes`` a chunk (even)."""
    array = da.from_array(field, chunks=(planes, field.shape[1]), name=False)
    lower, upper = array[0::2].astype(np.uint16), array[1::2].astype(np.uint16)
    total = lower + upper
    size = total + np.uint16(1)
    generator = da.random.default_rng(seed)
    words = generator.integers(0, 2**32, size=lower.shape, chunks=lower.chunks, dtype=np.uint32)
    place = lower + ((words * size.astype(np.uint64)) >> np.uint64(32)).astype(np.uint16)
    place = da.where(place > total, place - size, place)
    mixed = da.stack([place, total - place], axis=1).astype(np.uint8).reshape(field.shape)
    return mixed.persist(scheduler="synchronous")


@njit(nogil=True)
def loop_splitmix(field, seed):  # type: ignore[no-untyped-def]
    """One layer as one would first write it: a loop over pairs, a word from splitmix64 of the pair's number."""
    for x in range(0, field.shape[0], 2):
        for i in range(field.shape[1]):
            z = np.uint64(seed) + np.uint64(x * field.shape[1] + i) * np.uint64(0x9E3779B97F4A7C15)
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            word = (z ^ (z >> np.uint64(31))) >> np.uint64(32)
            total = np.int64(field[x, i]) + np.int64(field[x + 1, i])
            place = np.int64(field[x, i]) + np.int64((word * np.uint64(total + 1)) >> np.uint64(32))
            if place > total:
                place -= total + 1
            field[x, i] = place
            field[x + 1, i] = total - place


@njit(nogil=True)
def _philox(counter, key0, key1):  # type: ignore[no-untyped-def]
    c0, c1, c2, c3 = np.uint32(counter), np.uint32(np.uint64(counter) >> np.uint64(32)), np.uint32(0), np.uint32(0)
    for _ in range(10):
        first = np.uint64(c0) * np.uint64(0xD2511F53)
        second = np.uint64(c2) * np.uint64(0xCD9E8D57)
        c0 = np.uint32(second >> np.uint64(32)) ^ c1 ^ key0
        c2 = np.uint32(first >> np.uint64(32)) ^ c3 ^ key1
        c1, c3 = np.uint32(second), np.uint32(first)
        key0 = np.uint32(key0 + np.uint32(0x9E3779B9))
        key1 = np.uint32(key1 + np.uint32(0xBB67AE85))
    return c0


@njit(nogil=True)
def loop_philox(field, seed):  # type: ignore[no-untyped-def]
    """The same loop with our generator: a Philox4x32-10 block a pair, of which one word is used."""
    for x in range(0, field.shape[0], 2):
        for i in range(field.shape[1]):
            word = np.uint64(_philox(x * field.shape[1] + i, np.uint32(seed), np.uint32(0)))
            total = np.int64(field[x, i]) + np.int64(field[x + 1, i])
            place = np.int64(field[x, i]) + np.int64((word * np.uint64(total + 1)) >> np.uint64(32))
            if place > total:
                place -= total + 1
            field[x, i] = place
            field[x + 1, i] = total - place


# --- histograms of the rows of field[regions, sites] ---------------------------------------------------------------


def histogram_bincount(field: Bytes) -> NDArray[np.int64]:
    return np.array([np.bincount(region, minlength=LEVELS) for region in field])


def histogram_dask(field: Bytes) -> NDArray[np.int64]:
    chunk = 1 << 22
    counts = [da.histogram(da.from_array(r, chunks=chunk, name=False), LEVELS, (0, LEVELS))[0] for r in field]
    return np.array(dask.compute(*counts, scheduler="synchronous"))


def histogram_xhistogram(field: Bytes) -> NDArray[np.int64]:
    from xhistogram.core import histogram

    counts: NDArray[np.int64] = histogram(field, bins=[np.arange(LEVELS + 1)], axis=1, block_size=1)[0]
    return counts


def histogram_flox(field: Bytes) -> NDArray[np.int64]:
    from flox import groupby_reduce

    levels = np.arange(LEVELS)
    return np.array([groupby_reduce(r, r, func="count", expected_groups=levels, fill_value=0)[0] for r in field])


def histogram_ndimage(field: Bytes) -> NDArray[np.int64]:
    from scipy import ndimage

    return np.array([ndimage.histogram(region, 0, LEVELS, LEVELS) for region in field])


# --- digest --------------------------------------------------------------------------------------------------------


def digest_numpy(field: Bytes, piece: int = 1 << 15) -> tuple[int, int]:
    """The digest as the README writes it, in pieces that stay in the cache."""

    def mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))

    sites = field.ravel()
    sums = [0, 0]
    for start in range(0, sites.size, piece):
        part = sites[start : start + piece].astype(np.uint64)
        z = (np.arange(start, start + part.size, dtype=np.uint64) << np.uint64(16)) | part
        for i, salt in enumerate((0x243F6A8885A308D3, 0x13198A2E03707344)):
            sums[i] += int(mix(z + np.uint64(salt)).sum())
    return sums[0] % 2**64, sums[1] % 2**64
