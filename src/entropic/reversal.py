"""Plays a run backwards and compares with its start."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from entropic.config import Config
from entropic.engine.block import Inputs, UndoError
from entropic.engine.checkpoint import begin, commit, digest_text, load_block, newest_sound, reload_block, write_block
from entropic.engine.cluster import Executor, SerialExecutor
from entropic.engine.drive import Drive, block_grid
from entropic.engine.program import Segment, Step
from entropic.engine.rules import Deal
from entropic.engine.sorting import foreign_partners
from entropic.engine.state import BlockState, block_digest, first_state
from entropic.errors import UsageError
from entropic.initial import lattice_of
from entropic.lattice import Block, BlockGrid
from entropic.machines.harvester import Harvester
from entropic.observer import Observer
from entropic.store import RunStore
from entropic.tape import read_tape, writes_tape

__all__ = ["Reversal", "reverse"]


_EPOCH = 100  # every task carries the books of the cycles up to the next cut of lineage
_ERASED = "the tape was erased, and with it what is needed to go back"
_PAST = ("erasure", "stored_loss", "compute", "line_loss", "lift", "measured")  # what was deposited, or shapes what was


@final
@dataclass(frozen=True)
class _Past:
    """Reads, in a task, the bits of the cycles that a segment undoes."""

    path: str
    books: Mapping[int, Mapping[str, NDArray[np.int64]]]
    partners: bool

    def __call__(self, block: Block, segment: Segment, given: Inputs) -> Inputs:
        cycles = {step.cycle for step in segment.operations if isinstance(step, Step)}
        ids = block.region_ids
        if self.partners:
            ids = np.concatenate([ids, np.array(foreign_partners(block), np.int64)])
        return replace(given, tape=read_tape(self.path, ids, cycles), past=self.books)


def _deals(books: Mapping[str, NDArray[Any]], cycle: int) -> tuple[Deal, ...]:
    """The trades that the books say took place in a cycle."""
    if "partner" not in books:
        return ()
    entry = {name: books[name][cycle - 1] for name in ("partner", "hot", "gear_m", "gear_n")}
    return tuple(
        Deal(cycle, int(r), int(entry["partner"][r]), int(entry["gear_m"][r]), int(entry["gear_n"][r]), 0, 0)
        for r in np.flatnonzero((entry["partner"] >= 0) & entry["hot"])
    )


def _compare(state: BlockState, block: Block, config: Config) -> int:
    return int(np.count_nonzero(first_state(config, block).array != state.array))


@final
@dataclass(frozen=True)
class Reversal:
    """Outcome of playing a run backwards.

    Attributes
    ----------
    restored : bool
        Whether every site is as it was at the start.
    sites_differing : int or None
        None if a move could not even be undone.
    """

    restored: bool
    tape_kept: bool
    cycles: int
    sites_differing: int | None
    digest_start: str
    digest_reached: str | None
    reason: str

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))


def reverse(
    path: str | Path,
    executor: Executor | None = None,
    chunks: tuple[int, ...] | BlockGrid | None = None,
    observer: Observer | None = None,
    epoch: int = _EPOCH,
    harvester: Harvester | None = None,
) -> Reversal:
    """Play a run backwards from its newest checkpoint and compare with its start.

    ``epoch``: most cycles between lineage cuts.  ``harvester``: the protocol, where the run began with an object.
    """
    epoch = min(epoch, _EPOCH)
    store = RunStore.open(Path(path))
    config = store.config()
    lattice = lattice_of(config.field)
    grid = block_grid(lattice, chunks)
    executor = executor or SerialExecutor()
    generation = newest_sound(store.checkpoints)
    if generation.cycle == 0:
        raise UsageError(f"{path} has not run a cycle yet.", "run it first: entropic resume")
    store.require_files()
    books = store.books()
    watch = observer or Observer()
    protocol = store.protocol(lattice.region_sites, harvester)
    drive = Drive(grid, executor, config, watch.progress, watch.stop, None, protocol)
    root = str(generation.path.resolve())
    drive.states = [drive.submit("load", b.number, load_block, b, root) for b in grid.blocks]
    where = str(store.path.resolve())
    kept = not writes_tape(config) or (not config.demon.erase and len(store.tape_cycles()) >= generation.cycle)
    end = generation.cycle
    firsts = [drive.submit("first", b.number, first_state, config, b) for b in grid.blocks]
    start = executor.gather(
        [drive.submit("digest", b.number, _digest, s, b) for b, s in zip(grid.blocks, firsts, strict=True)]
    )
    del firsts
    began = digest_text(np.sum(np.array(start, np.uint64), axis=0, dtype=np.uint64))
    try:
        with tempfile.TemporaryDirectory(prefix=".reverse-", dir=store.path) as scratch:
            while end > 0:
                first = max(1, end - epoch + 1)

                def past(block: Block, low: int = first, high: int = end) -> _Past:
                    names = [name for name in _PAST if name in books]
                    rows = {c: {n: books[n][c - 1, block.region_ids] for n in names} for c in range(low, high + 1)}
                    return _Past(where, rows, drive.rules.partners)

                drive.go(first, end, True, past, lambda cycle: _deals(books, cycle))
                end = first - 1
                if end and not isinstance(executor, SerialExecutor):
                    temporary = begin(Path(scratch).resolve(), end, grid)
                    parts = executor.gather(drive.blocked("write", write_block, str(temporary)))
                    old, root = root, str(commit(temporary, end, grid, parts).path)
                    if Path(old).parent == Path(scratch).resolve():
                        shutil.rmtree(old)
                    drive.replace([drive.submit("load", b.number, reload_block, b, root) for b in grid.blocks])
            differing = sum(executor.gather(drive.blocked("compare", _compare, config)))
            reached = executor.gather(drive.blocked("digest", _digest))
    except UndoError as error:
        reason = error.message.rstrip(".") if kept else f"{_ERASED}: {error.message.rstrip('.')}"
        return Reversal(False, kept, generation.cycle, None, began, None, reason)
    digest = digest_text(np.sum(np.array(reached, np.uint64), axis=0, dtype=np.uint64))
    if differing == 0:
        reason = "every site is as it was at the start"
    elif config.field.edges == "baths":
        reason = "sites went to the baths, and with them what is needed to go back"
    elif kept:
        reason = "the tape was kept, yet sites differ: a move was lost, doubled or changed"
    else:
        reason = _ERASED
    return Reversal(differing == 0, kept, generation.cycle, differing, began, digest, reason)


def _digest(state: BlockState, block: Block) -> NDArray[np.uint64]:
    return block_digest(state.array, block)
