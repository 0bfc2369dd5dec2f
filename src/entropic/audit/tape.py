"""The tape on disk against the books: law 7 rests on every bit being there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from entropic.audit.exact import Exact, Law
from entropic.columns import opened
from entropic.config import Config
from entropic.lattice import Lattice

__all__ = ["check_tape"]


def check_tape(path: Path, config: Config, lattice: Lattice, reached: int, lift_bits: int) -> Law:
    """Bits set in every record, by cycle and region, are those of the books; where the tape was kept."""
    demon = config.demon
    if not (demon.lift or demon.sort) or not reached:
        return Law("reversal", True, 0.0, "nothing was written: every move can be undone")
    if demon.erase:
        return Law("reversal", True, 0.0, "the tape was erased: the run cannot be played backwards, as the law says")
    exact = Exact("reversal")
    books = zarr.open_group(path / "books.zarr", mode="r")
    most = 8 * (lift_bits + lattice.region_sites) * lattice.region_count * (1 + max(config.run.cycles, reached))
    lift_bytes = -(-lift_bits // 8) if demon.lift else 0
    seen = np.zeros((reached, lattice.region_count), np.bool_)
    for part in sorted((path / "tape").glob("*-*")):
        first = int(part.name.split("-")[0])
        for piece in sorted(part.glob("part-*.zarr")):
            _piece(exact, opened(piece, most), books, first, lift_bytes, demon.sort, seen)
    exact.equal("regions on tape", seen, np.ones_like(seen), 1)
    law = exact.law()
    note = f"{law.detail}; 'entropic reverse {path}' plays the run backwards" if law.holds else law.detail
    return Law(law.name, law.holds, law.margin, note)


def _piece(
    exact: Exact,
    group: zarr.Group,
    books: zarr.Group,
    first: int,
    lift_bytes: int,
    sort: bool,
    seen: NDArray[np.bool_],
) -> None:
    regions = np.asarray(group["region"][:])  # type: ignore[index]
    bits = group["bits"]
    for offset in range(bits.shape[0]):  # type: ignore[union-attr]
        cycle = first + offset
        if cycle > seen.shape[0]:
            return
        rows = np.asarray(bits[offset])  # type: ignore[index]
        said: dict[str, Any] = {n: np.asarray(books[n][cycle - 1])[regions] for n in ("ones", "stopped")}  # type: ignore[index]
        if lift_bytes:
            exact.equal("ones on tape", _ones(rows[:, :lift_bytes]), said["ones"], cycle)
        if sort:
            ones = np.asarray(books["sort_ones"][cycle - 1])[regions]  # type: ignore[index]
            exact.equal("ones of the sort on tape", _ones(rows[:, lift_bytes:]), ones, cycle)
        seen[cycle - 1, regions] = True


def _ones(rows: NDArray[np.uint8]) -> NDArray[np.int64]:
    ones: NDArray[np.int64] = np.bitwise_count(rows).sum(axis=1, dtype=np.int64)
    return ones
