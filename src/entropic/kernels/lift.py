"""Measure and lift: bits of a region, θ quanta off every one, and back."""

from __future__ import annotations

import numpy as np
from numba import njit

from entropic.kernels.reduce import region_view

__all__ = ["drop_ones", "drop_ones_where", "lift", "measure"]


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
            drop_ones(region_view(array, shape, number), threshold)


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
