"""What a cell came out with, entry by entry, so that two that differ can be told where they part."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import zarr
from numpy.typing import NDArray

from entropic.durable import whole
from entropic.engine.checkpoint import Generation, newest_sound
from entropic.engine.state import block_digest
from entropic.initial import lattice_of
from entropic.lattice import BlockGrid, Lattice, regular_cuts
from entropic.ledger import ACCOUNTS
from entropic.reading import reading
from entropic.store import RunStore

__all__ = ["Difference", "Outcome", "first_difference", "outcome_of"]

_SHARES = "region_digests"
_TABLES = {"counts": "histogram before the lift", "counts_lifted": "histogram after the lift"}


@final
@dataclass(frozen=True)
class Difference:
    """Where two outcomes part first: the earliest cycle, its lowest region, the account.

    Attributes
    ----------
    cycle, region : int
    regions : int
        How many regions differ in that cycle.
    account : str
        Of the books; or ``field``, where all books agree.
    expected, found : float or str
        A number of the account; of a histogram its first cell that differs, in words.
    """

    cycle: int
    region: int
    regions: int
    account: str
    expected: float | str
    found: float | str


@final
@dataclass(frozen=True)
class Outcome:
    """Books and field of a run.

    Attributes
    ----------
    books : dict of arrays
        By account [cycles, regions]; histograms [cycles, regions, levels].
    regions : uint64[regions, 2]
        Each region's share of the digest of the last field.
    """

    books: dict[str, NDArray[Any]]
    regions: NDArray[np.uint64]

    @property
    def digest(self) -> str:
        """First 128 bits of SHA-256 over all entries of the books, in order of their names."""
        total = hashlib.sha256()
        for name, values in sorted(self.books.items()):
            plain = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
            total.update(f"{name} {plain.dtype.str} {plain.shape}\n".encode())
            total.update(plain.tobytes())
        return total.hexdigest()[:32]

    def save(self, path: Path) -> None:
        """Write whole or not at all."""
        with whole(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **{**self.books, _SHARES: self.regions})  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> Outcome:
        """Read back.

        Raises
        ------
        StoreError
            The file is damaged or missing.
        """
        with reading(path, "remove it, and run the study again"), np.load(path) as stored:
            books = {name: stored[name] for name in stored.files}
            return cls(books, books.pop(_SHARES))


def outcome_of(store: RunStore) -> Outcome:
    """Outcome of a finished run, from its store."""
    books = store.books() if (store.path / "books.zarr").exists() else {}
    for name in _TABLES.keys() & books.keys():  # the width says nothing
        table = books[name]
        levels = int(np.flatnonzero(table.any(axis=(0, 1))).max(initial=0)) + 1
        books[name] = np.ascontiguousarray(table[:, :, :levels])
    lattice = lattice_of(store.config().field)
    return Outcome(books, _region_digests(newest_sound(store.checkpoints), lattice))


def _region_digests(generation: Generation, lattice: Lattice) -> NDArray[np.uint64]:
    """Each region's share of the field's digest, read from a checkpoint, a layer of regions at a time."""
    shares = np.zeros((lattice.region_count, 2), np.uint64)
    blocks = BlockGrid(lattice, regular_cuts(lattice, (1,) * lattice.axes)).blocks
    layer = lattice.region_count // lattice.regions[4 - lattice.axes]
    with reading(generation.path):
        array = zarr.open_group(generation.field, mode="r")["quanta"]
        for first in range(0, len(blocks), layer):
            mine = blocks[first : first + layer]
            start = mine[0].sites.start[4 - lattice.axes]
            sites = np.asarray(array[start : start + lattice.region_shape[4 - lattice.axes]])  # type: ignore[index]
            sites = sites.reshape((1,) * (4 - sites.ndim) + sites.shape)
            for block in mine:
                place = list(block.sites.slices)
                place[4 - lattice.axes] = slice(0, sites.shape[4 - lattice.axes])
                shares[block.number] = block_digest(np.ascontiguousarray(sites[tuple(place)]), block)
    return shares


def first_difference(expected: Outcome, found: Outcome) -> Difference | None:
    """Where two outcomes of one physics part first; None if they do not."""
    names = [*_TABLES, *ACCOUNTS]
    names = [name for name in names if name in expected.books or name in found.books]
    cycles = max((outcome.books["cycle"].size for outcome in (expected, found) if outcome.books), default=0)
    worst: tuple[int, NDArray[np.bool_], str] | None = None
    for name in names:
        wrong = _wrong(expected.books.get(name), found.books.get(name))
        at = np.flatnonzero(wrong.any(axis=1))
        if at.size and (worst is None or at[0] < worst[0]):
            worst = int(at[0]), wrong[at[0]], name
    if worst is None:
        apart = (expected.regions != found.regions).any(axis=1)
        if not apart.any():
            return None
        region = int(np.flatnonzero(apart)[0])
        shares = ("{:016x}{:016x}".format(*o.regions[region][::-1].tolist()) for o in (expected, found))
        return Difference(cycles, region, int(apart.sum()), "field", *shares)
    at_cycle, regions, name = worst
    region = int(np.flatnonzero(regions)[0])
    values = (_value(o.books.get(name), at_cycle, region, name, (expected, found)) for o in (expected, found))
    return Difference(at_cycle + 1, region, int(regions.sum()), name, *values)


def _wrong(a: NDArray[Any] | None, b: NDArray[Any] | None) -> NDArray[np.bool_]:
    """Which (cycle, region) differ; what one of the two has not, does."""
    if a is None or b is None:
        there = a if b is None else b
        assert there is not None
        return np.ones(there.shape[:2], np.bool_)
    size = tuple(max(n, m) for n, m in zip(a.shape, b.shape, strict=True))
    wrong = _widened(a, size) != _widened(b, size)
    missing = np.ones(size[:2], np.bool_)
    missing[: min(a.shape[0], b.shape[0]), : min(a.shape[1], b.shape[1])] = False
    found: NDArray[np.bool_] = (wrong.any(axis=2) if wrong.ndim == 3 else wrong) | missing
    return found


def _widened(values: NDArray[Any], size: tuple[int, ...]) -> NDArray[Any]:
    return np.pad(values, [(0, n - m) for n, m in zip(size, values.shape, strict=True)])


def _value(
    values: NDArray[Any] | None, cycle: int, region: int, name: str, both: tuple[Outcome, Outcome]
) -> float | str:
    if values is None or cycle >= values.shape[0] or region >= values.shape[1]:
        return "no entry"
    if name not in _TABLES:
        value = values[cycle, region].item()
        return float(value) if isinstance(value, float) else int(value)
    rows = [o.books[name][cycle, region] for o in both if name in o.books]
    width = max(row.size for row in rows)
    level = int(
        np.flatnonzero(np.pad(rows[0], (0, width - rows[0].size)) != np.pad(rows[-1], (0, width - rows[-1].size)))[0]
    )
    mine = values[cycle, region]
    return f"{int(mine[level]) if level < mine.size else 0} sites of {level} quanta ({_TABLES[name]})"
