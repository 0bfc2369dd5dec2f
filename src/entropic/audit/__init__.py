"""The laws, recomputed from what is stored.  Calls no machine and trusts nothing that the run said of itself.

Every check compares integers exactly, or floats that both sides must have evaluated by the same deterministic
functions (`entropic.special`); only the two laws that speak of fluctuations have a level, 1e-9.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from entropic.audit.exact import Exact, Law
from entropic.audit.flows import GridFlows
from entropic.audit.laws import Demon, Lift, Second
from entropic.audit.replay import Replay
from entropic.audit.stored import check_field, check_opening, check_series
from entropic.audit.tape import check_tape
from entropic.audit.trades import Trades
from entropic.columns import largest, opened
from entropic.initial import lattice_of
from entropic.reading import reading
from entropic.store import RunStore

__all__ = ["Law", "audit"]

_PAGE = 64  # cycles looked at together


def audit(path: str | Path, initial: bool = True, files: bool = True) -> list[Law]:
    """Recompute every law from a run's store.

    Parameters
    ----------
    path : path
        Run directory.
    initial : bool
        Draw the initial field again and compare the opening balance with it.
    files : bool
        Compare the newest checkpoint's field with the books.

    Returns
    -------
    list of Law

    Raises
    ------
    StoreError
        The store is damaged.
    """
    store = RunStore.open(Path(path))
    config = store.config()
    lattice = lattice_of(config.field)
    first = Exact("first law")
    information = Exact("information")
    second = Second(lattice, config)
    # What is no number in damaged books is equal to nothing, and breaks a law; numpy need not warn of it besides.
    with reading(store.path), np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        opening = store.opening()
        place = store.path / "books.zarr"
        group = opened(place, largest(config)) if place.exists() else None
        bits = store.lift_bits(lattice.region_sites)
        sitewise = _sitewise(group)
        lift, demon = Lift(sitewise), Demon(config, lattice, sitewise)
        trades = Trades(store.path, config, lattice)
        if initial:
            check_opening(first, config, lattice, opening)
        state = Replay(config, lattice, opening, bits)
        flows = GridFlows(store.path, config, lattice)
        second.open(opening)
        reached = 0
        for name, array in group.arrays() if group is not None else ():
            first.equal(f"books: rows of {name}", array.shape[0], group["cycle"].shape[0])  # type: ignore[index,union-attr]
        for page in _pages(group):
            first.equal("cycle numbers", page["cycle"], np.arange(reached + 1, reached + 1 + page["cycle"].size))
            relaxed = state.first_law(first, page, reached + 1)
            trades.check(first, page, relaxed, reached + 1)
            demon.check(page, relaxed)
            state.information(information, first, page, relaxed, reached + 1, flows)
            lift.check(page, state.threshold, bits, reached + 1)
            second.check(page)
            state.close(page)
            reached += page["cycle"].size
        trades.finish(first, reached)
        flows.finish(first, reached)
        check_series(first, store, config, lattice, reached)
        if files:
            check_field(first, store, lattice, state, flows.carried() if flows.on else None, reached)
        reversal = check_tape(store.path, config, lattice, reached, bits) if files else None
    laws = [first.law(), information.law(), lift.law(), *second.laws(), trades.law(), demon.law()]
    return [*laws, reversal] if reversal else laws


def _sitewise(group: zarr.Group | None) -> bool:
    """Whether whatever was harvested was harvested site by site, in the whole run."""
    if group is None or "sitewise" not in group:
        return True
    return bool((np.asarray(group["sitewise"][:]) | ~np.asarray(group["measured"][:])).all())  # type: ignore[index]


def _pages(group: zarr.Group | None) -> Iterator[dict[str, NDArray[Any]]]:
    if group is None:
        return
    total = group["cycle"].shape[0]  # type: ignore[union-attr]
    for start in range(0, total, _PAGE):
        yield {name: np.asarray(array[start : start + _PAGE]) for name, array in group.arrays()}
