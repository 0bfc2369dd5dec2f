"""The contact of a region: a cyclic run of its sites, copied out for a trade and written back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["long_rows", "put_run", "take_run"]

_CHUNK = 32768  # sites whose summed changes, each below 2^16, still fit 32 bits with a sign


def long_rows(region: NDArray[Any]) -> NDArray[Any]:
    """A view of the same sites in the same order, in rows as long as sites lie side by side: kernels begin each row anew."""
    a, b, c, d = region.shape
    if region.strides[2] == d * region.itemsize:
        c, d = 1, c * d
        if region.strides[1] == d * region.itemsize:
            b, d = 1, b * d
    return region.reshape(a, b, c, d)  # no copy: only axes that lie side by side were merged


@njit(nogil=True, cache=True)
def _copy(source, target):  # type: ignore[no-untyped-def]
    for x in range(target.size):
        target[x] = source[x]


@njit(nogil=True, cache=True)
def _replace(row, values):  # type: ignore[no-untyped-def]
    """Write ``values`` over ``row``, at most a chunk; returns how its total changed."""
    change = np.int32(0)
    for x in range(row.size):
        change = np.int32(change + (np.int32(values[x]) - np.int32(row[x])))
        row[x] = values[x]
    return np.int64(change)


@njit(nogil=True, cache=True)
def _along(region, start, values, write):  # type: ignore[no-untyped-def]
    """Walk ``values.size`` sites in C order from ``start`` on, round the end: copy them out, or write them."""
    width = region.shape[3]
    row_number = start // width
    x = start - row_number * width
    k = row_number % region.shape[2]
    j = row_number // region.shape[2] % region.shape[1]
    i = row_number // region.shape[2] // region.shape[1]
    change = np.int64(0)
    done = 0
    while done < values.size:
        count = min(values.size - done, width - x)
        row = region[i, j, k, x : x + count]
        if write:
            for begin in range(0, count, _CHUNK):
                end = min(begin + _CHUNK, count)
                change += _replace(row[begin:end], values[done + begin : done + end])
        else:
            _copy(row, values[done : done + count])
        done += count
        x = 0
        k += 1
        if k == region.shape[2]:
            k = 0
            j += 1
            if j == region.shape[1]:
                j = 0
                i += 1
                if i == region.shape[0]:
                    i = 0
    return change


@njit(nogil=True, cache=True)
def take_run(region, start, out):  # type: ignore[no-untyped-def]
    """Copy a cyclic run of sites out of a region.

    Parameters
    ----------
    region : uint8 or uint16 [a, b, c, d]
        A box of sites, contiguous or a view into a block.
    start : int
        First site of the run, C order, 0 <= start < N.
    out : of the region's dtype [n], contiguous
        Filled with the sites start, start + 1, ... mod N; n <= N.
    """
    _along(region, start, out, False)


@njit(nogil=True, cache=True)
def put_run(region, start, values):  # type: ignore[no-untyped-def]
    """Write a run back, as `take_run` took it; returns the change of the region's quanta, int64."""
    return _along(region, start, values, True)
