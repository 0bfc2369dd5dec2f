"""EntropicComputer: the cycle relax → lift → erase → books, over all blocks, from start to end."""

from __future__ import annotations

import shutil
import tempfile
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from entropic import special
from entropic.config import Config
from entropic.engine.block import BlockState, Rules, UndoError, advance, block_digest, first_state
from entropic.engine.checkpoint import (
    Generation,
    begin,
    commit,
    digest_text,
    discard,
    generations,
    is_damage,
    load_block,
    newest_sound,
    prune,
    write_block,
)
from entropic.engine.cluster import Executor, SerialExecutor
from entropic.engine.layers import take_face
from entropic.engine.program import CycleEnd, Segment, segments
from entropic.errors import EntropicError, ResourceError, StoreError, UsageError
from entropic.initial import lattice_of
from entropic.kernels import region_histogram
from entropic.lattice import Block, BlockGrid, Lattice, LayoutError, regular_cuts
from entropic.ledger import Ledger, Row
from entropic.store import RunStore, read_tape, write_tape

__all__ = ["Cycle", "EntropicComputer", "Interrupted", "Observer", "Reversal", "reverse"]

_WINDOW = 3  # segments in flight


@final
class Interrupted(EntropicError):
    """The user stopped the run; a checkpoint was written."""

    exit_code = 130


@final
@dataclass
class Observer:
    """What a run tells while it goes on, and how it is told to stop.

    Attributes
    ----------
    progress : callable(cycle)
        Called as cycles are finished.
    booked : callable(store, cycle)
        Called when books and a checkpoint up to a cycle are on disk.
    stop : callable() -> bool
        Whether to end with a checkpoint now.
    """

    progress: Callable[[int], None] = lambda cycle: None
    booked: Callable[[RunStore, int], None] = lambda store, cycle: None
    stop: Callable[[], bool] = lambda: False


@final
@dataclass(frozen=True)
class Cycle:
    """Books of one cycle, all regions."""

    number: int
    entries: dict[str, NDArray[Any]] = field(repr=False)

    @property
    def gross(self) -> int:
        """Quanta delivered by the lift."""
        return int(self.entries["lift"].sum())

    @property
    def net(self) -> int:
        """Gross less what erasure cost."""
        return self.gross - int(self.entries["erasure"].sum())


# --- tasks ------------------------------------------------------------------------------------------------------


def _face(state: BlockState, axis: int, last: bool) -> NDArray[np.generic]:
    return take_face(state.array, axis, last)


def _opening(state: BlockState, block: Block) -> dict[str, NDArray[Any]]:
    counts = np.zeros((block.region_count, block.lattice.q_max + 1), np.int64)
    hist = np.zeros(block.region_count)
    for i, region in enumerate(block.region_views(state.array)):
        region_histogram(region, counts[i])
        hist[i] = special.ln_multinomial(counts[i])
    return {
        "quanta": counts @ np.arange(counts.shape[1], dtype=np.int64),
        "battery": state.battery,
        "entropy_hist": hist,
        "digest": block_digest(state.array, block),
    }


def _books(state: BlockState) -> tuple[Row, ...]:
    return state.rows


def _flushed(state: BlockState) -> BlockState:
    return state.flushed()


def _write_tape(state: BlockState, block: Block, path: str, first: int, last: int) -> int:
    return write_tape(state.pieces, block, path, first, last)


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


def _grid(lattice: Lattice, chunks: tuple[int, ...] | BlockGrid | None) -> BlockGrid:
    """The cut asked for; a ready-made one must be of this very lattice, for blocks carry the geometry."""
    if isinstance(chunks, BlockGrid):
        if chunks.lattice != lattice:
            raise LayoutError("the blocks are those of another lattice.", "cut the lattice of this configuration")
        return chunks
    return BlockGrid(lattice, regular_cuts(lattice, chunks or lattice.boxes))


# --- driving ----------------------------------------------------------------------------------------------------


@final
class _Drive:
    """Submits segments for all blocks, a few ahead of what is done."""

    def __init__(self, grid: BlockGrid, executor: Executor, config: Config, observer: Observer) -> None:
        self.grid = grid
        self.executor = executor
        self.rules = Rules.of(config)
        self.layers = config.relax.layers
        self.observer = observer
        self.tasks = 0
        self.run = uuid.uuid4().hex[:8]
        self.states: list[Any] = []

    def each(self, name: str, function: Callable[..., Any]) -> list[Any]:
        """Submit ``function(state)`` for every block."""
        return [self.submit(name, b.number, function, self.states[b.number]) for b in self.grid.blocks]

    def submit(self, name: str, block: int, function: Callable[..., Any], *arguments: Any) -> Any:
        self.tasks += 1
        return self.executor.submit(f"{name}-{self.run}-{self.tasks}-{block}", block, function, *arguments)

    def blocked(self, name: str, function: Callable[..., Any], *more: Any) -> list[Any]:
        """Submit ``function(state, block, *more)`` for every block."""
        return [self.submit(name, b.number, function, self.states[b.number], b, *more) for b in self.grid.blocks]

    def _step(self, segment: Segment, function: Callable[..., Any], extra: Callable[[Block], tuple[Any, ...]]) -> None:
        grid, axis = self.grid, segment.axis
        faces: dict[tuple[int, bool], Any] = {}
        if axis is not None:
            for block in grid.blocks:
                for last in (False, True):
                    handle = self.submit("face", block.number, _face, self.states[block.number], axis, last)
                    faces[block.number, last] = handle
        new = []
        for block in grid.blocks:
            before = after = None
            if axis is not None:
                before = faces[grid.neighbour(block.number, axis, -1), True]
                after = faces[grid.neighbour(block.number, axis, 1), False]
            state = self.states[block.number]
            new.append(
                self.submit(
                    "block", block.number, function, state, block, segment, self.rules, before, after, *extra(block)
                )
            )
        self.states = new

    def go(
        self,
        first: int,
        last: int,
        inverse: bool = False,
        function: Callable[..., Any] = advance,
        extra: Callable[[Block], tuple[Any, ...]] = lambda block: (),
    ) -> int:
        """Run (or undo) the cycles first … last; returns the last cycle done, earlier if told to stop."""
        flight: deque[tuple[list[Any], int]] = deque()
        done = first - 1

        def land(limit: int) -> None:
            while len(flight) > limit:
                handles, cycle = flight.popleft()
                self.executor.finish(handles, lambda: None)
                self.observer.progress(cycle)

        for segment in segments(self.grid, first, last, self.layers, inverse):
            stopping = not inverse and self.observer.stop()
            if stopping:
                ends = [i for i, step in enumerate(segment.operations) if isinstance(step, CycleEnd)]
                if ends:
                    segment = Segment(segment.operations[: ends[0] + 1], segment.axis)
            self._step(segment, function, extra)
            cycles = [step.cycle for step in segment.operations if isinstance(step, CycleEnd)]
            if cycles:
                done = cycles[-1]
            flight.append((list(self.states), done))
            land(_WINDOW)
            if stopping and cycles:
                break
        land(0)
        return done


@contextmanager
def _room(store: RunStore) -> Iterator[None]:
    """Failures of the disk become typed errors with the remedy that fits what is on it."""
    try:
        yield
    except OSError as error:
        if is_damage(error):
            raise StoreError(f"{store.path} is damaged: {error}.", "put back what is missing, or run again") from error
        remedy = f"make room, then go on with: entropic resume {store.path}"
        if not generations(store.checkpoints):
            remedy = f"make room, remove {store.path} (it holds no cycle yet), then run again"
        raise ResourceError(f"{store.path}: {error.strerror or error}.", remedy) from error


@final
class EntropicComputer:
    """The whole machine.

    Parameters
    ----------
    config : Config
    out : path or None
        Run directory; None: a temporary one, removed with the object.
    executor : Executor or None
        Where to compute; None: in this thread.
    chunks : tuple of int, or BlockGrid, or None
        Regions a block along each axis, or the whole cut; None: one block.
    epoch : int or None
        Cycles between checkpoints (None: ``run.checkpoint_every``).

    Examples
    --------
    >>> import entropic
    >>> computer = entropic.EntropicComputer(entropic.Config.from_mapping(
    ...     {"field": {"shape": [16, 16], "regions": [2, 2]}, "run": {"cycles": 3}}))
    >>> [cycle.number for cycle in computer]
    [1, 2, 3]
    """

    def __init__(
        self,
        config: Config,
        out: str | Path | None = None,
        executor: Executor | None = None,
        chunks: tuple[int, ...] | BlockGrid | None = None,
        epoch: int | None = None,
        observer: Observer | None = None,
        store: RunStore | None = None,
    ) -> None:
        self.config = config
        self.lattice = lattice_of(config.field)
        self.executor = executor or SerialExecutor()
        self.observer = observer or Observer()
        self.grid = _grid(self.lattice, chunks)
        self._temporary = None
        if store is None and out is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="entropic-")
            out = Path(self._temporary.name) / "run"
        self.store = store or RunStore.create(Path(str(out)), config)
        self._epoch = epoch or config.run.checkpoint_every or 100
        self._cycle = 0
        self._drive = _Drive(self.grid, self.executor, config, self.observer)
        self.seconds = 0.0

    @classmethod
    def resume(
        cls,
        path: str | Path,
        executor: Executor | None = None,
        chunks: tuple[int, ...] | BlockGrid | None = None,
        epoch: int | None = None,
        observer: Observer | None = None,
    ) -> EntropicComputer:
        """Go on from the newest checkpoint that verifies."""
        store = RunStore.open(Path(path))
        with _room(store):
            store.lock()
        try:
            computer = cls(store.config(), None, executor, chunks, epoch, observer, store)
            generation = newest_sound(store.checkpoints)
            with _room(store):
                store.truncate(generation.cycle)
                if generation.cycle:
                    computer._series()
            computer._cycle = generation.cycle
            computer._load(generation)
        except BaseException:
            store.unlock()
            raise
        return computer

    @property
    def cycle(self) -> int:
        """Cycles done."""
        return self._cycle

    @property
    def tasks(self) -> int:
        return self._drive.tasks

    def _load(self, generation: Generation) -> None:
        drive = self._drive
        path = str(generation.path.resolve())
        drive.states = [drive.submit("load", b.number, load_block, b, path) for b in self.grid.blocks]

    def _start(self) -> None:
        drive = self._drive
        drive.states = [drive.submit("first", b.number, first_state, self.config, b) for b in self.grid.blocks]
        parts = self.executor.gather(drive.blocked("opening", _opening))
        opening = {n: np.zeros(self.lattice.region_count, parts[0][n].dtype) for n in parts[0] if n != "digest"}
        for block, part in zip(self.grid.blocks, parts, strict=True):
            for name in opening:
                opening[name][block.region_ids] = part[name]
        self.store.write_opening(opening)
        self._checkpoint(0)

    def _series(self) -> None:
        """Bring the series up to date with the books."""
        run = self.config.run
        self.store.append_series(self.lattice.region_sites, run.record_every, run.cycles)

    def _checkpoint(self, cycle: int) -> None:
        drive, executor, directory = self._drive, self.executor, self.store.checkpoints
        try:
            temporary = begin(directory.resolve(), cycle, self.grid)
            parts = executor.gather(drive.blocked("write", write_block, str(temporary)))
            generation = commit(temporary, cycle, self.grid, parts)
        except BaseException:
            discard(directory)  # a disk that is full shall not be kept full by an attempt that failed
            raise
        self.store.link_field(generation.path)
        prune(directory)
        if isinstance(executor, SerialExecutor):
            drive.states = drive.each("flushed", _flushed)
        else:
            self._load(generation)

    def _advance(self, last: int) -> Ledger:
        """Cycles up to ``last`` (or until told to stop), books and a checkpoint."""
        first, drive = self._cycle + 1, self._drive
        done = drive.go(first, last)
        ledger = Ledger(first, done - first + 1, self.lattice.region_count)
        for block, rows in zip(self.grid.blocks, self.executor.gather(drive.each("books", _books)), strict=True):
            for row in rows:
                ledger.enter(row, block.region_ids)
        assert ledger.complete
        if drive.rules.lift and not drive.rules.erase:
            self.executor.gather(drive.blocked("tape", _write_tape, str(self.store.path.resolve()), first, done))
        self.store.append_books(ledger)
        self._series()
        self._checkpoint(done)
        self._cycle = done
        self.observer.booked(self.store, done)
        return ledger

    def _epochs(self, epoch: int) -> Iterator[Ledger]:
        total = self.config.run.cycles
        with _room(self.store):
            if not self._drive.states:
                self._start()
            while self._cycle < total:
                started = time.perf_counter()
                ledger = self._advance(min(total, (self._cycle // epoch + 1) * epoch))
                self.seconds += time.perf_counter() - started
                yield ledger
                if self.observer.stop() and self._cycle < total:
                    raise Interrupted(
                        f"interrupted after cycle {self._cycle}; a checkpoint was written.",
                        f"go on with: entropic resume {self.store.path}",
                    )

    def __iter__(self) -> Iterator[Cycle]:
        for ledger in self._epochs(1):
            yield Cycle(ledger.first, {name: values[0] for name, values in ledger.entries.items()})

    def run(self) -> dict[str, Any]:
        """Run to the end; returns the summary that ``entropic run --json`` prints."""
        from entropic.summary import summarise

        for _ in self._epochs(self._epoch):
            pass
        summary = summarise(self.store, self.performance())
        with _room(self.store):
            self.store.write_json("summary.json", summary)
        return summary

    def performance(self) -> dict[str, Any]:
        done = self._cycle
        rate = self.lattice.sites * done / self.seconds if self.seconds else 0.0
        return {
            "seconds": self.seconds,
            "site_cycles_per_second": rate,
            "workers": self.executor.workers,
            "threads": self.executor.threads,
            "blocks": len(self.grid.blocks),
            "tasks": self.tasks,
            "peak_bytes": self.executor.peak_bytes(),
        }


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
    grid = _grid(lattice, chunks)
    executor = executor or SerialExecutor()
    generation = newest_sound(store.checkpoints)
    if generation.cycle == 0:
        raise UsageError(f"{path} has not run a cycle yet.", "run it first: entropic resume")
    books = store.books()
    drive = _Drive(grid, executor, config, observer or Observer())
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
