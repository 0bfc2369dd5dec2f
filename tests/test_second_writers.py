"""What is written twice, or by a worker that was given up: it counts once, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numcodecs import blosc
from numpy.typing import NDArray

from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.engine.checkpoint import (
    begin,
    commit,
    generations,
    load_block,
    newest_sound,
    reload_block,
    verify,
    write_block,
)
from entropic.engine.drive import block_grid
from entropic.engine.state import TapePiece, first_state
from entropic.initial import lattice_of
from entropic.inventory import Inventory, file_facts
from entropic.tape import read_tape, write_tape

CONFIG = Config.from_mapping(
    {
        "field": {"shape": [16, 16], "regions": [4, 4], "mean": 3.0, "seed": 3},
        "run": {"cycles": 6, "checkpoint_every": 3},
        "demon": {"threshold": 3, "erase": False},
    }
)


def test_a_state_kept_in_a_process_is_that_of_its_place(tmp_path: Path) -> None:
    """The next driver, on the same workers, may cut the field otherwise: block 1 of 2 × 2 is not block 1 of 4 × 1."""
    lattice = lattice_of(CONFIG.field)
    old, new = block_grid(lattice, (2, 2)), block_grid(lattice, (1, 4))
    path = begin(tmp_path, 3, old)
    written = commit(path, 3, old, [write_block(first_state(CONFIG, b), b, str(path)) for b in old.blocks])
    for block in (*new.blocks, *old.blocks):
        found, right = reload_block(block, str(written.path)), load_block(block, str(written.path))
        assert np.array_equal(found.array, right.array)


def test_what_a_stopped_writer_leaves_does_not_count(tmp_path: Path) -> None:
    """It has a file open in a checkpoint that others finish, and writes on when it wakes."""
    lattice = lattice_of(CONFIG.field)
    grid = block_grid(lattice, (2, 2))
    directory = tmp_path / "checkpoints"
    directory.mkdir()
    path = begin(directory, 3, grid)
    parts = [write_block(first_state(CONFIG, b), b, str(path)) for b in grid.blocks]
    with (path / "field.zarr" / "quanta" / "c" / "0.0123456789abcdef.partial").open("wb") as torn:
        torn.write(b"half")
        torn.flush()
        written = commit(path, 3, grid, parts, inventory=Inventory(tmp_path).write(3))
        torn.write(b"the other half")
    assert verify(written.path).digest == written.digest
    assert newest_sound(directory).cycle == 3 and len(generations(directory)) == 1


def packed(cycle: int, bits: NDArray[np.uint8]) -> TapePiece:
    return TapePiece(cycle, blosc.compress(np.ascontiguousarray(bits), b"zstd", 1, blosc.SHUFFLE))


def test_a_part_of_the_tape_written_again(tmp_path: Path) -> None:
    """By a worker that was taken for dead, in another cut, and cut short once: the bits are what they were."""
    computer = EntropicComputer(CONFIG, tmp_path / "r", chunks=(2, 2))
    computer.run()
    computer.store.unlock()
    every = np.arange(16)
    before = read_tape(str(tmp_path / "r"), every, range(1, 7))
    grid = block_grid(lattice_of(CONFIG.field), (1, 4))
    for block in grid.blocks:
        pieces = [packed(cycle, before[cycle][block.region_ids]) for cycle in (4, 5, 6)]
        files = write_tape(pieces, block, str(tmp_path / "r"), 4, 6)
        bits = next(tmp_path / "r" / name for name in files if name.endswith("bits/zarr.json"))
        assert json.loads(bits.read_text())["shape"][0] == 3
        assert all(file_facts(tmp_path / "r" / name) == facts for name, facts in files.items())
    (torn,) = (tmp_path / "r" / "tape").glob("*4-*6")
    (torn / ".tmp-part-000001-01234567.zarr").mkdir()
    after = read_tape(str(tmp_path / "r"), every, range(1, 7))
    assert all(np.array_equal(after[cycle], before[cycle]) for cycle in range(1, 7))
    assert any(bits.any() for bits in after.values())
