"""One field at every scale: ones and quanta of regions of 1, 2, 4 … sites up to the whole lattice, counted in integers.

A region here is a run of consecutive sites (C order); where it is a box, the engine makes the same region.  Blocks count
by themselves, plane by plane; what they count is merged, so that no digit depends on the cut.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from entropic.engine.checkpoint import load_block
from entropic.lattice import Block

__all__ = ["Count", "Table", "count_block", "count_sites", "factors", "merged", "table_digest", "table_of", "together"]

Table = NDArray[np.int64]
"""int64[k, 3]: ones, quanta, how many regions have them; in ascending order of (quanta, ones)."""

_DENSE = 8  # cells of a counter for each thing counted, up to which counting beats sorting


def factors(number: int) -> list[int]:
    """Prime factors in ascending order."""
    found, divisor = [], 2
    while number > 1:
        while number % divisor == 0:
            found.append(divisor)
            number //= divisor
        divisor = divisor + 1 if divisor * divisor <= number else number
    return found


@final
@dataclass(frozen=True)
class Count:
    """What was counted on some whole planes of a lattice.

    Attributes
    ----------
    tables : dict of Table
        By sites of a region, up to a plane.
    demons : dict of int64[sites + 1]
        By sites of a demon: how many found 0, 1, 2 … ones.  What is left over at the end of a plane belongs to no demon.
    planes : int64[planes, 2]
        Ones and quanta of each plane.
    """

    tables: dict[int, Table]
    demons: dict[int, NDArray[np.int64]]
    planes: NDArray[np.int64]


def table_of(ones: NDArray[np.integer], quanta: NDArray[np.integer], sites: int) -> Table:
    """Table of regions of ``sites`` sites, given the ones and quanta of each: int[regions] both."""
    key = quanta.astype(np.int64) * (sites + 1) + ones
    span = int(key.max(initial=0)) + 1
    if span <= _DENSE * key.size:
        counts = np.bincount(key, minlength=span)
        seen = np.flatnonzero(counts)
        many = counts[seen]
    else:
        seen, many = np.unique(key, return_counts=True)
    return np.stack([seen % (sites + 1), seen // (sites + 1), many], axis=1).astype(np.int64)


def _merged_tables(tables: Iterable[Table], sites: int) -> Table:
    rows = np.concatenate(list(tables))
    key, place = np.unique(rows[:, 1] * (sites + 1) + rows[:, 0], return_inverse=True)
    many = np.zeros(key.size, np.int64)
    np.add.at(many, place, rows[:, 2])
    return np.stack([key % (sites + 1), key // (sites + 1), many], axis=1)


def table_digest(table: Table) -> str:
    """First 128 bits of SHA-256 over the table's little-endian numbers."""
    return hashlib.sha256(np.ascontiguousarray(table, "<i8").tobytes()).hexdigest()[:32]


def _sums(values: NDArray[Any], factor: int) -> NDArray[Any]:
    """Sums of ``factor`` neighbours each; what is left over at the end is dropped."""
    size = values.size // factor * factor
    total = values[0:size:factor].copy()
    for k in range(1, factor):
        total += values[k:size:factor]
    return total


def _fitting(values: NDArray[Any], most: int) -> NDArray[Any]:
    """The values in integers wide enough for ``most``, which all is that they and their sums can be."""
    kind = next(kind for kind in (np.uint8, np.uint16, np.uint32, np.int64) if most <= np.iinfo(kind).max)
    return values.astype(kind, copy=False)


def count_sites(plane: NDArray[np.integer], threshold: int, demons: Iterable[int]) -> Count:
    """Count one plane.

    Parameters
    ----------
    plane : uint8 or uint16 [sites]
        In C order.
    threshold : int
        Quanta from which on a site's bit is set.
    demons : iterable of int
        Sites of demons; those that do not fit on a plane are left out.
    """
    bits = (plane >= threshold).astype(np.uint8)
    q_max = int(np.iinfo(np.dtype(plane.dtype.str)).max)
    ones: NDArray[Any] = bits
    quanta: NDArray[Any] = plane
    sites = 1
    tables = {1: table_of(ones, quanta, 1)}
    for factor in factors(plane.size):
        sites *= factor
        ones = _sums(_fitting(ones, sites), factor)
        quanta = _sums(_fitting(quanta, sites * q_max), factor)
        tables[sites] = table_of(ones, quanta, sites)
    total = np.array([[int(ones[0]), int(quanta[0])]], np.int64)
    return Count(tables, _demons(bits, sorted(set(demons))), total)


def _demons(bits: NDArray[np.uint8], sizes: list[int]) -> dict[int, NDArray[np.int64]]:
    """How many runs of each size hold 0, 1, 2 … ones; larger runs are summed from smaller ones that divide them."""
    known: dict[int, NDArray[Any]] = {1: bits}
    found = {}
    for size in sizes:
        if size > bits.size:
            continue
        if size not in known:
            part = max(d for d in known if size % d == 0)
            sums = _fitting(known[part], size)
            for factor in factors(size // part):
                sums = _sums(sums, factor)
            known[size] = sums
        found[size] = np.bincount(known[size], minlength=size + 1).astype(np.int64)
    return found


def count_block(block: Block, generation: str, threshold: int, demons: tuple[int, ...]) -> Count:
    """Count the planes along the field's first axis that a block of a checkpoint holds."""
    array = load_block(block, generation).array
    planes = array.reshape(block.sites.shape[4 - block.lattice.axes], -1)
    counts = [count_sites(plane, threshold, demons) for plane in planes]  # type: ignore[arg-type]
    return together(counts)


def together(counts: list[Count]) -> Count:
    """Several counts, of planes in order, as one; regions of several planes are left to `merged`."""
    sizes, demons = counts[0].tables, counts[0].demons
    return Count(
        {size: _merged_tables((c.tables[size] for c in counts), size) for size in sizes},
        {size: np.sum([c.demons[size] for c in counts], axis=0) for size in demons},
        np.concatenate([c.planes for c in counts]),
    )


def merged(counts: list[Count]) -> Count:
    """All planes of a lattice together, in order; with the tables of regions of several planes, up to all of them."""
    whole = together(counts)
    tables = dict(whole.tables)
    sites = max(tables)
    ones, quanta = whole.planes.T
    for factor in factors(len(whole.planes)):
        sites *= factor
        ones, quanta = _sums(ones, factor), _sums(quanta, factor)
        tables[sites] = table_of(ones, quanta, sites)
    assert sites == math.prod((len(whole.planes), max(whole.tables)))
    return Count(tables, whole.demons, whole.planes)
