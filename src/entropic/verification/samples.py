"""Fields and runs for the checks: the engine itself, in this thread, with nothing written to disk."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from entropic.config import Config
from entropic.engine.cluster import SerialExecutor
from entropic.engine.drive import Drive, block_grid
from entropic.engine.state import first_state
from entropic.initial import draw_block, lattice_of
from entropic.lattice import BlockGrid
from entropic.ledger import Ledger

__all__ = ["Played", "Sites", "draw", "play", "seed_of", "thermal"]

Sites = NDArray[Any]


@final
@dataclass(frozen=True)
class Played:
    """What a run left behind.

    Attributes
    ----------
    fields : list of arrays, of the configured shape
        At the start and after every cycle.
    books : dict of arrays [cycles, regions]
    """

    fields: list[Sites]
    books: dict[str, NDArray[Any]]


def seed_of(*key: str | int) -> int:
    """A seed of its own for every key: 63 bits of its BLAKE2 digest."""
    return int.from_bytes(blake2b(repr(key).encode(), digest_size=8).digest()) >> 1


def draw(**field: Any) -> Sites:
    """The initial field of a ``[field]`` section, of its shape."""
    config = Config.from_mapping(
        {"battery": {"initial": 0.0}, "field": {"regions": [1] * len(field["shape"]), **field}}
    ).field
    (block,) = block_grid(lattice_of(config), config.regions).blocks
    return draw_block(config, block).reshape(config.shape)


def thermal(mean: float, sites: int, seed: int) -> Sites:
    """Thermal sites in a row."""
    return draw(shape=[sites], mean=mean, seed=seed)


def play(cycles: int, chunks: tuple[int, ...] | None = None, **sections: Any) -> Played:
    """Run a configuration for some cycles.

    Parameters
    ----------
    chunks : tuple of int or None
        Regions a block; None: one block.
    sections
        As in a configuration; batteries begin empty and the tape is kept, unless told otherwise.
    """
    sections["demon"] = {"erase": False, **sections.get("demon", {})}
    config = Config.from_mapping({"battery": {"initial": 0.0}, **sections, "run": {"cycles": max(cycles, 1)}})
    lattice = lattice_of(config.field)
    grid = block_grid(lattice, chunks or lattice.boxes)
    drive = Drive(grid, SerialExecutor(), config, lambda cycle: None, lambda: False)
    drive.states = [first_state(config, block) for block in grid.blocks]
    fields = [_joined(drive, grid)]
    for cycle in range(1, cycles + 1):
        drive.go(cycle, cycle)
        fields.append(_joined(drive, grid))
    ledger = Ledger(1, cycles, lattice.region_count, drive.rules.accounts)
    for block, state in zip(grid.blocks, drive.states, strict=True):
        for row in state.rows:
            ledger.enter(row, block.region_ids)
    assert ledger.complete
    return Played(fields, ledger.entries)


def _joined(drive: Drive, grid: BlockGrid) -> Sites:
    whole = np.empty(grid.lattice.shape, grid.lattice.dtype)
    for block, state in zip(grid.blocks, drive.states, strict=True):
        whole[block.sites.slices] = state.array
    return whole.reshape(grid.lattice.extents)
