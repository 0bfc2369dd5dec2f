"""Heat into a region and out of it again: ⌊E/N⌋ to every site, the rest one each on a cyclic run of sites."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["add_heat", "remove_heat"]


_TABLES = 4  # neighbours are counted in different tables: a counter that is raised twice running waits for itself


@njit(nogil=True, cache=True)
def _step(row, step, limit):  # type: ignore[no-untyped-def]
    """Add ``step`` to every site of a row; False if one stood at ``limit``.  One pass without a branch, for the vectoriser."""
    at_limit = False
    for x in range(row.size):
        q = row[x]
        at_limit |= q == limit
        row[x] = q + step
    return not at_limit


@njit(nogil=True, cache=True)
def _tally(row, tables):  # type: ignore[no-untyped-def]
    """Count a row of bytes in `_TABLES` tables of 256, one after another."""
    whole = row.size // _TABLES * _TABLES
    for x in range(0, whole, _TABLES):
        for t in range(_TABLES):
            tables[(t << 8) + row[x + t]] += 1
    for x in range(whole, row.size):
        tables[row[x]] += 1


@njit(nogil=True, cache=True)
def _move(counts, q, step, sites):  # type: ignore[no-untyped-def]
    """Keep a histogram true when so many sites go from ``q`` to ``q + step``."""
    counts[q] -= sites
    counts[q + step] += sites


@njit(nogil=True, cache=True)
def _one_each(region, begin, end, step, limit, counts):  # type: ignore[no-untyped-def]
    """Add ``step`` (±1) to the sites begin … end − 1 in C order; False if one stands at ``limit`` already."""
    width = region.shape[3]
    row_number = begin // width
    x = begin - row_number * width
    left = end - begin
    tables = np.zeros(_TABLES << 8, np.int64)
    while left > 0:
        k = row_number % region.shape[2]
        j = row_number // region.shape[2] % region.shape[1]
        i = row_number // region.shape[2] // region.shape[1]
        count = min(left, width - x)
        row = region[i, j, k, x : x + count]
        if counts.size and region.itemsize == 1:
            _tally(row, tables)
        elif counts.size:
            for q in row:
                if q != limit:
                    _move(counts, np.int64(q), step, 1)
        if not _step(row, step, limit):
            return False
        left -= count
        x = 0
        row_number += 1
    if counts.size and region.itemsize == 1:
        for q in range(256):
            sites = np.int64(0)
            for t in range(_TABLES):
                sites += tables[(t << 8) + q]
            if sites > 0:
                _move(counts, q, step, sites)
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
                    short = False
                    for x in range(row.size):
                        q = row[x]
                        short |= q < each
                        row[x] = q - each
                    if short:
                        return False
    return True
