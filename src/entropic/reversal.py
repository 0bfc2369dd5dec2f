"""Plays a run backwards and compares with its start."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from entropic.computer import Observer
from entropic.config import Config
from entropic.engine.block import BlockState, Rules, UndoError, advance, block_digest, first_state
from entropic.engine.checkpoint import begin, commit, digest_text, load_block, newest_sound, write_block
from entropic.engine.cluster import Executor, SerialExecutor
from entropic.engine.drive import Drive, block_grid
from entropic.engine.program import CycleEnd, Segment
from entropic.errors import UsageError
from entropic.initial import lattice_of
from entropic.lattice import Block, BlockGrid
from entropic.store import RunStore, read_tape

__all__ = ["Reversal", "reverse"]


def _retreat(
    state: BlockState,
    block: Block,
    segment: Segment,
    rules: Rules,
    before: NDArray[np.generic] | None,
    after: NDArray[np.generic] | None,
    path: str,
    paid: dict[int, NDArray[np.int64]],
) -> BlockState:
    cycles = [step.cycle for step in segment.operations if isinstance(step, CycleEnd)]
    return advance(state, block, segment, rules, before, after, read_tape(path, block, cycles), paid)


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
    epoch: int = 100,
) -> Reversal:
    """Play a run backwards from its newest checkpoint and compare with its start."""
    store = RunStore.open(Path(path))
    config = store.config()
    lattice = lattice_of(config.field)
    grid = block_grid(lattice, chunks)
    executor = executor or SerialExecutor()
    generation = newest_sound(store.checkpoints)
    if generation.cycle == 0:
        raise UsageError(f"{path} has not run a cycle yet.", "run it first: entropic resume")
    books = store.books()
    watch = observer or Observer()
    drive = Drive(grid, executor, config, watch.progress, watch.stop)
    root = str(generation.path.resolve())
    drive.states = [drive.submit("load", b.number, load_block, b, root) for b in grid.blocks]
    where = str(store.path.resolve())
    kept = not config.demon.lift or (not config.demon.erase and len(store.tape_cycles()) >= generation.cycle)
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

                def extra(block: Block, low: int = first, high: int = end) -> tuple[Any, ...]:
                    paid = {c: books["erasure"][c - 1, block.region_ids] for c in range(low, high + 1)}
                    return (where, paid)

                drive.go(first, end, True, _retreat, extra)
                end = first - 1
                if end and not isinstance(executor, SerialExecutor):
                    temporary = begin(Path(scratch).resolve(), end, grid)
                    parts = executor.gather(drive.blocked("write", write_block, str(temporary)))
                    old, root = root, str(commit(temporary, end, grid, parts).path)
                    if Path(old).parent == Path(scratch).resolve():
                        shutil.rmtree(old)
                    drive.states = [drive.submit("load", b.number, load_block, b, root) for b in grid.blocks]
            differing = sum(executor.gather(drive.blocked("compare", _compare, config)))
            reached = executor.gather(drive.blocked("digest", _digest))
    except UndoError as error:
        return Reversal(False, kept, generation.cycle, None, began, None, error.message)
    digest = digest_text(np.sum(np.array(reached, np.uint64), axis=0, dtype=np.uint64))
    if differing == 0:
        reason = "every site is as it was at the start"
    elif kept:
        reason = "the tape was kept, yet sites differ: a move was lost, doubled or changed"
    else:
        reason = "the tape was erased, and with it what is needed to go back"
    return Reversal(differing == 0, kept, generation.cycle, differing, began, digest, reason)


def _digest(state: BlockState, block: Block) -> NDArray[np.uint64]:
    return block_digest(state.array, block)
