"""EntropicComputer: the cycle relax → sort → exchange → lift → grid → erase → books, over all blocks."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from entropic import special
from entropic.config import Config
from entropic.drivers import note_driver
from entropic.durable import mending
from entropic.engine.checkpoint import (
    Generation,
    begin,
    commit,
    discard,
    generations,
    load_carried,
    newest_sound,
    prune,
    reload_block,
    write_block,
)
from entropic.engine.cluster import Executor, SerialExecutor
from entropic.engine.drive import Drive, block_grid
from entropic.engine.interval import Spent, seconds_between
from entropic.engine.plan import checkpoint_seconds, longest_epoch
from entropic.engine.rules import energy_grid_of
from entropic.engine.state import BlockState, block_digest, first_state
from entropic.errors import ResourceError, StoreError
from entropic.initial import lattice_of, start_nats
from entropic.inventory import DRIVERS, Facts
from entropic.kernels import region_histogram
from entropic.lattice import Block, BlockGrid
from entropic.ledger import Ledger, Row
from entropic.machines.harvester import Harvester
from entropic.machines.protocol import OwnProtocol, ProtocolError
from entropic.observer import Interrupted, Observer
from entropic.reading import is_damage
from entropic.records import append_flows, append_orders, append_trades
from entropic.soundness import drop_damaged
from entropic.store import RunStore
from entropic.tape import write_tape, writes_tape

if TYPE_CHECKING:
    from entropic.field import Field

__all__ = ["Cycle", "EntropicComputer"]


@final
@dataclass(frozen=True)
class Cycle:
    """Books of one cycle, all regions."""

    number: int
    entries: dict[str, NDArray[Any]] = field(repr=False)

    @property
    def gross(self) -> int:
        """Quanta delivered by lifts and gear swaps."""
        gears = int(self.entries["gear"].sum()) if "gear" in self.entries else 0
        return int(self.entries["lift"].sum()) + gears

    @property
    def net(self) -> int:
        """Gross less what erasure cost."""
        return self.gross - int(self.entries["erasure"].sum())


@final
@dataclass
class _Alarm:
    """Whether to end the stretch of cycles under way: because ``stop`` says so, or the next checkpoint is due."""

    stop: Callable[[], bool]
    due: float = math.inf

    def __call__(self) -> bool:
        return self.stop() or time.perf_counter() >= self.due


def _opening(state: BlockState, block: Block, config: Config) -> dict[str, NDArray[Any]]:
    counts = np.zeros((block.region_count, block.lattice.q_max + 1), np.int64)
    hist = np.zeros(block.region_count)
    for i, region in enumerate(block.region_views(state.array)):
        region_histogram(region, counts[i])
        hist[i] = special.ln_multinomial(counts[i])
    return {
        "quanta": counts @ np.arange(counts.shape[1], dtype=np.int64),
        "battery": state.battery,
        "entropy_hist": hist,
        "entropy_start": start_nats(config.field, block, state.array),
        "digest": block_digest(state.array, block),
    }


def _books(state: BlockState) -> tuple[Row, ...]:
    return state.rows


def _write_tape(state: BlockState, block: Block, path: str, first: int, last: int) -> dict[str, Facts]:
    return write_tape(state.pieces, block, path, first, last)


@contextmanager
def _room(store: RunStore) -> Iterator[None]:
    """Failures of the disk become typed errors with the remedy that fits what is on it."""
    try:
        yield
    except OSError as error:
        if is_damage(error):
            raise StoreError(f"{store.path} is damaged: {error}.", "put back what is missing, or run again") from error
        remedy = f"{mending(error)}, then go on with: entropic resume {store.path}"
        if not generations(store.checkpoints):
            remedy = f"{mending(error)}, remove {store.path} (it holds no cycle yet), then run again"
        raise ResourceError(f"{store.path}: {error.strerror or error}.", remedy) from error


def _with_protocol(config: Config, harvester: Harvester | None, sites: int) -> tuple[Config, OwnProtocol | None]:
    """The configuration that names the protocol, and the protocol."""
    spec = config.demon.protocol
    if harvester is None:
        return config, None if spec is None else OwnProtocol.from_file(spec, sites)
    if spec is not None:
        raise ProtocolError(f"a harvester is given beside demon.protocol = {spec!r}.", "leave one of them out")
    own = OwnProtocol.from_object(harvester, sites)
    return config.with_overrides([f"demon.protocol={own.spec}"]), own


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
        Most cycles between checkpoints (None: as many as lineage and memory allow); ``run.checkpoint_every`` may be less.
    harvester : Harvester or None
        A protocol, as an object, in place of the lift; a file is named by ``demon.protocol``.

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
        harvester: Harvester | None = None,
    ) -> None:
        self.lattice = lattice_of(config.field)
        if store is None:
            config, protocol = _with_protocol(config, harvester, self.lattice.region_sites)
        else:
            protocol = store.protocol(self.lattice.region_sites, harvester)
        self.config = config
        self.executor = executor or SerialExecutor()
        self.observer = observer or Observer()
        self.grid = block_grid(self.lattice, chunks)
        self._temporary = None
        if store is None and out is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="entropic-")
            out = Path(self._temporary.name) / "run"
        energy_grid = energy_grid_of(config, store.network_file if store else None)  # raises before anything is written
        self.store = store or RunStore.create(Path(str(out)), config, protocol)
        self._epoch = min(epoch, config.run.checkpoint_every or epoch) if epoch else longest_epoch(self.grid, config)
        self._cycle = self._begun = 0
        watch = self.observer
        self._alarm = _Alarm(watch.stop)
        self._drive = Drive(self.grid, self.executor, config, watch.progress, self._alarm, energy_grid, protocol)
        self.seconds = self._books_seconds = 0.0
        self._spent = Spent()

    @classmethod
    def resume(
        cls,
        path: str | Path,
        executor: Executor | None = None,
        chunks: tuple[int, ...] | BlockGrid | None = None,
        epoch: int | None = None,
        observer: Observer | None = None,
        harvester: Harvester | None = None,
    ) -> EntropicComputer:
        """Go on from the newest checkpoint that verifies; ``harvester`` where the run began with an object."""
        store = RunStore.open(Path(path))
        with _room(store):
            store.lock()
        try:
            computer = cls(store.config(), None, executor, chunks, epoch, observer, store, harvester)
            generation = newest_sound(store.checkpoints)
            with _room(store):
                store.restore(generation)
                drop_damaged(store, generation)
                note_driver(store.path, generation.cycle)
                store.link_field(generation.path)
                if generation.cycle:
                    computer._series()
                for name in DRIVERS:
                    store.inventory.note(store.path / name)
                store.inventory.write(generation.cycle)
            computer._cycle = computer._begun = generation.cycle
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

    @property
    def field(self) -> Field:
        """The field as the newest checkpoint has it (between cycles that are iterated over: now), in Dask chunks."""
        from entropic.field import Field  # here, for xarray is slow to import

        if (self.store.path / "field.zarr").exists():
            return Field.stored(self.store)
        return Field.initial(self.config.field, self.grid)

    def _load(self, generation: Generation) -> None:
        drive = self._drive
        path = str(generation.path.resolve())
        drive.replace([drive.submit("load", b.number, reload_block, b, path) for b in self.grid.blocks])
        drive.decisions.carried = load_carried(generation.path)

    def _start(self) -> None:
        drive = self._drive
        drive.states = [drive.submit("first", b.number, first_state, self.config, b) for b in self.grid.blocks]
        parts = self.executor.gather(drive.blocked("opening", _opening, self.config))
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
        started = time.perf_counter()
        self._write_generation(cycle)
        self._spent = self._spent.and_one(time.perf_counter() - started)

    def _write_generation(self, cycle: int) -> None:
        drive, executor, directory = self._drive, self.executor, self.store.checkpoints
        try:
            temporary = begin(directory.resolve(), cycle, self.grid)
            parts = executor.gather(drive.blocked("write", write_block, str(temporary)))
            seal = self.store.inventory.write(cycle)
            generation = commit(temporary, cycle, self.grid, parts, drive.decisions.carried, seal)
        except BaseException:
            discard(directory)  # a disk that is full shall not be kept full by an attempt that failed
            raise
        self.store.link_field(generation.path)
        prune(directory)
        self.store.inventory.prune()
        self._load(generation)

    def _advance(self, last: int) -> Ledger:
        """Cycles up to ``last`` (or until told to stop), books and a checkpoint."""
        first, drive, executor, inventory = self._cycle + 1, self._drive, self.executor, self.store.inventory
        cost = self._spent.each(checkpoint_seconds(self.config, executor.workers * executor.threads))
        patience = self.observer.patience
        self._alarm.due = time.perf_counter() + seconds_between(self.config.run, executor.workers, cost, patience)
        done = drive.go(first, last)
        closing = time.perf_counter()
        ledger = Ledger(first, done - first + 1, self.lattice.region_count, drive.rules.accounts)
        for block, rows in zip(self.grid.blocks, executor.gather(drive.each("books", _books)), strict=True):
            for row in rows:
                ledger.enter(row, block.region_ids)
        ledger.require_complete()
        if writes_tape(self.config) and not drive.rules.erase:
            parts = executor.gather(drive.blocked("tape", _write_tape, str(self.store.path.resolve()), first, done))
            for name, facts in (entry for part in parts for entry in part.items()):
                inventory.note(self.store.path / name, facts)
        inventory.protect()
        self.store.append_books(ledger)
        append_orders(inventory, drive.decisions.orders, drive.decisions.trades)
        append_trades(inventory, ledger, drive.decisions.trades)
        append_flows(inventory, drive.decisions.outcomes)
        drive.decisions.orders.clear()
        drive.decisions.trades.clear()
        drive.decisions.outcomes.clear()
        self._series()
        self._books_seconds += time.perf_counter() - closing
        self._checkpoint(done)
        self._cycle = done
        self.observer.booked(self.store, done)
        return ledger

    def _epochs(self, epoch: int) -> Iterator[Ledger]:
        total, given = self.config.run.cycles, self.config.run.checkpoint_every is not None
        with _room(self.store):
            if not self._drive.states:
                self._start()
            while self._cycle < total:
                started = time.perf_counter()
                begun = self._cycle // epoch * epoch if given else self._cycle
                ledger = self._advance(min(total, begun + epoch))
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
        """How fast the cycles went that this object did itself, on what; and what it wrote down in how many seconds.

        ``checkpoints`` and ``checkpoint_seconds`` count the one before the first cycle, too, which is no part of ``seconds``.
        """
        done = self._cycle - self._begun
        rate = self.lattice.sites * done / self.seconds if self.seconds else 0.0
        return {
            "seconds": self.seconds,
            "site_cycles_per_second": rate,
            "workers": self.executor.workers,
            "threads": self.executor.threads,
            "blocks": len(self.grid.blocks),
            "tasks": self.tasks,
            "peak_bytes": self.executor.peak_bytes(),
            "checkpoints": self._spent.checkpoints,
            "checkpoint_seconds": self._spent.seconds,
            "books_seconds": self._books_seconds,
        }
