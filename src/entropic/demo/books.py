"""Reading the books of an act: accounts without their histograms, which are by far the largest part."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from entropic import entropy
from entropic.reading import reading
from entropic.store import RunStore

__all__ = ["Books", "information", "read_books", "read_columns", "total", "waste"]

Books = Mapping[str, NDArray[Any]]


def read_books(store: RunStore, cycles: int | None = None) -> Books:
    """Accounts of the first ``cycles`` (default: all): name → [cycle, region]; empty before the first books."""
    return _arrays(store, "books.zarr", cycles, ("counts", "counts_lifted"))


def read_columns(store: RunStore, name: str, wanted: Iterable[str]) -> Books:
    """Columns of the trade log or of the flows; empty if there were none."""
    found = _arrays(store, name, None, ())
    return {column: found[column] for column in wanted} if found else {}


def _arrays(store: RunStore, name: str, rows: int | None, without: Iterable[str]) -> Books:
    place = store.path / name
    if not place.exists():
        return {}
    with reading(place):
        group = zarr.open_group(place, mode="r", use_consolidated=False)
        return {key: np.asarray(array[:rows]) for key, array in group.arrays() if key not in without}


def total(books: Books, *names: str) -> int:
    """Sum of accounts over all cycles and regions; what the run does not book counts nothing."""
    return sum(int(books[name].sum()) for name in names if name in books)


def waste(books: Books) -> NDArray[np.int64]:
    """Heat that each cycle's end puts into each region, apart from erasure: [cycles, regions]."""
    heat = np.zeros(books["quanta"].shape, np.int64)
    for name in ("stored_loss", "compute", "line_loss"):
        if name in books:
            heat += books[name]
    return heat


def information(books: Books, sites: int) -> tuple[float, float]:
    """What was recorded, in nats, and in quanta at the field's temperature in each cycle before its lift.

    ``sites``: of the field.
    """
    kinds = [books[name] for name in ("record_nats", "sort_nats") if name in books]
    nats = [math.fsum(math.fsum(kind[c]) for kind in kinds) for c in range(len(books["cycle"]))]
    energy = (books["quanta"] + books["lift"] - books["erasure"] - waste(books)).sum(axis=1).tolist()
    worth = (entropy.temperature(sites, q) * n for q, n in zip(energy, nats, strict=True) if n)
    return math.fsum(nats), math.fsum(worth)
