"""Before running: into which blocks, how many tasks, how many bytes, how long.  Pure arithmetic."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import product
from math import ceil, log2, prod
from typing import Any, final

from entropic.config import Config
from entropic.engine.interval import seconds_between
from entropic.engine.program import LONGEST, Segment, Stage, segments
from entropic.errors import ResourceError
from entropic.initial import lattice_of
from entropic.lattice import BlockGrid, Lattice, LayoutError, regular_cuts
from entropic.ledger import accounts

__all__ = ["Plan", "TooLargeError", "checkpoint_seconds", "longest_epoch", "make_plan"]

# Measured on two cores: they steer the choice of blocks and the forecast, never a result.
LAYER_SECONDS = 0.5e-9  # a site
REDUCE_SECONDS = 0.5e-9  # a site and cycle: histogram and lift
SORT_SECONDS = 0.6e-9  # a site, with its bits
TRADE_SECONDS = 3e-9  # a contact site
TASK_SECONDS = 1.5e-3
CYCLE_SECONDS = 0.7e-3  # a block and cycle, whatever its size
REGION_SECONDS = 4e-6  # of books, a region and cycle
EPOCH_SECONDS = 0.25  # a checkpoint and the books before it, apart from
CHECKPOINT_SECONDS = 2.5e-9  # a byte of the field
BLOCK_BYTES = 1 << 28  # of a block, beyond which memory, not speed, decides
SHARED_BLOCK_BYTES = 1 << 30  # likewise in one process, where idle memory serves every block
WORKER_BYTES = 350 << 20  # an idle worker process
DRIVER_BYTES = 450 << 20
COMPRESSED = 0.6
EPOCH_TASKS = 6000  # lineage between two checkpoints
EPOCH_SHARE = 0.1  # of the memory, for the books and the tape of the cycles between two checkpoints
DRIVER_MEMORY = 16 << 30  # where more is there in all, it is the workers'
BOOKS_COPIES = 3  # of an epoch's books: in the blocks, as they reach the driver, in its ledger
COUNTED_CYCLES = 2000  # whose tasks are counted one by one; those of longer runs are like them
COUNTED_LAYERS = 20_000  # likewise
MAX_BLOCKS = 1 << 16  # a scheduler holds several tasks a block


@final
class TooLargeError(ResourceError):
    """The field does not fit."""


@final
@dataclass(frozen=True)
class Plan:
    """Blocks and forecasts.

    Attributes
    ----------
    chunks : tuple of int
        Regions a block along each axis of the field.
    tasks : int
        Dask tasks in all.
    epoch : int
        Cycles between checkpoints (and lineage cuts), as foretold.
    epoch_limit : int
        The most that lineage and memory allow, or ``run.checkpoint_every``, whichever is less.
    bytes_per_worker, bytes_total, checkpoint_bytes : int
    seconds : float
    """

    chunks: tuple[int, ...]
    blocks: int
    workers: int
    threads: int
    tasks: int
    epoch: int
    epoch_limit: int
    bytes_per_worker: int
    bytes_total: int
    checkpoint_bytes: int
    books_bytes: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def _tasks_a_cycle(grid: BlockGrid, config: Config) -> float:
    """Tasks a cycle, about, on average over one turn of axes and parities; `_segment_tasks` counts them."""
    blocks, turn, seams = len(grid.blocks), 2 * grid.lattice.axes, 0
    for layer in range(turn):
        if crossed := len(grid.seam_sites(layer)):
            faces = 2 * crossed * blocks // grid.shape[grid.lattice.layer_axis(layer)]
            seams += blocks + max(faces, blocks)
    partners = config.demon.pairs == "partners" and bool(grid.split_partners)
    waits = 3 * partners + 2 * config.exchange.enabled + 2 * config.grid.enabled
    return config.relax.layers * seams / turn + blocks * waits or 2 * blocks / LONGEST


def _segment_tasks(grid: BlockGrid, segment: Segment) -> int:
    """Tasks of a segment: one a block, and what goes before: faces, quotes, claims, contact sites, marks to wait for."""
    blocks, waits = len(grid.blocks), segment.waits
    if segment.crossing is not None:
        crossed = grid.crossed(segment.crossing)
        return blocks + 2 * len(crossed) + blocks - len({number for pair in crossed for number in pair})
    contacts = 0
    if waits is not None and waits.stage is Stage.SORT:
        contacts = 2 * len({frozenset(grid.owner[list(pair)].tolist()) for pair in grid.split_partners})
    elif waits is not None and waits.stage is Stage.TRADE:  # at most: who trades is not known yet
        contacts = min(grid.lattice.region_count, blocks * (blocks - 1))
    return 2 * blocks + contacts


def _tasks(grid: BlockGrid, config: Config, epoch: int) -> int:
    """All tasks of a run that writes a checkpoint every ``epoch`` cycles."""
    blocks, cycles = len(grid.blocks), config.run.cycles
    counted = min(cycles, COUNTED_CYCLES, COUNTED_LAYERS // max(config.relax.layers, 1))
    tasks = 0 if counted else ceil(_tasks_a_cycle(grid, config) * cycles)
    known: dict[tuple[int | None, Stage | None], int] = {}
    for first in range(1, counted + 1, epoch):
        for segment in segments(grid, config, first, min(first + epoch - 1, counted)):
            layer = None if segment.crossing is None else segment.crossing % (2 * grid.lattice.axes)
            kind = layer, segment.waits and segment.waits.stage
            if kind not in known:
                known[kind] = _segment_tasks(grid, segment)
            tasks += known[kind]
    tape = not config.demon.erase and (config.demon.lift or config.demon.sort)
    closing = ceil(cycles / epoch) * (3 + tape)  # books, tape, write, load
    return ceil(tasks * cycles / counted if counted else tasks) + blocks * (
        4 + closing
    )  # before: first, opening, write, load


def _seconds(grid: BlockGrid, config: Config, slots: int) -> float:
    """Forecast seconds of all cycles, without what is done between them."""
    layers, cycles = config.relax.layers, config.run.cycles
    blocks = len(grid.blocks)
    largest = max(block.sites.size for block in grid.blocks)
    rounds = ceil(blocks / slots)
    site = layers * LAYER_SECONDS + REDUCE_SECONDS
    site += SORT_SECONDS * config.demon.sort + config.exchange.contact * TRADE_SECONDS * config.exchange.enabled
    cycle = rounds * (largest * site + CYCLE_SECONDS) + grid.lattice.region_count * REGION_SECONDS
    return cycles * (cycle + _tasks_a_cycle(grid, config) * TASK_SECONDS)


def checkpoint_seconds(config: Config, slots: int) -> float:
    """Forecast seconds of one checkpoint."""
    lattice = lattice_of(config.field)
    return EPOCH_SECONDS + lattice.sites * lattice.dtype.itemsize * CHECKPOINT_SECONDS / slots


def _levels(config: Config) -> int:
    """Levels that the histograms of a cycle's books have, about."""
    return min(config.field.q_max + 1, int(30 * (config.field.mean + 1)))


def _books_bytes(config: Config) -> int:
    """Of one cycle's books in memory, with the quotes of the market and the grid's flows."""
    decided = config.exchange.enabled + config.grid.enabled
    return config.field.region_count * (8 * len(accounts(config)) + 2 * _levels(config) + 128 * decided)


def _tape_bytes(config: Config) -> int:
    """Of the bits of one cycle where they are kept, compressed to twice what they hold."""
    demon, field = config.demon, config.field
    if demon.erase:
        return 0
    ones = (field.mean / (field.mean + 1)) ** demon.threshold  # of a thermal field
    rest = 1 - ones
    bits = 0.0
    if demon.protocol is not None:
        bits = 1.0  # a site, at most
    elif demon.lift and 0 < ones < 1:
        bits = min(1.0, -2 * (ones * log2(ones) + rest * log2(rest)))
    return ceil(field.sites * (bits + 0.5 * demon.sort) / 8)


def _kept_bytes(config: Config) -> int:
    """What each cycle adds to memory until a checkpoint."""
    return BOOKS_COPIES * _books_bytes(config) + _tape_bytes(config)


def longest_epoch(grid: BlockGrid, config: Config, memory: int = DRIVER_MEMORY) -> int:
    """Most cycles between two checkpoints: those that lineage and memory allow, or ``run.checkpoint_every``, if fewer."""
    lineage = EPOCH_TASKS / _tasks_a_cycle(grid, config)
    room = EPOCH_SHARE * min(memory, DRIVER_MEMORY) / _kept_bytes(config)
    return max(1, min(int(lineage), int(room), config.run.checkpoint_every or int(lineage)))


def _candidates(lattice: Lattice) -> list[tuple[int, ...]]:
    """Block shapes: along each axis the sizes that give distinct numbers of blocks, few axes cut first."""
    sizes = []
    for regions in lattice.boxes:
        numbers = [n for n in range(1, min(regions, 256) + 1) if n <= 16 or regions % n == 0]
        sizes.append(sorted({ceil(regions / n) for n in numbers}, reverse=True))
    made = [c for c in product(*sizes) if sum(s < r for s, r in zip(c, lattice.boxes, strict=True)) <= 2]
    return made[:20000]


def _block_count(lattice: Lattice, extents: tuple[int, ...]) -> int:
    return prod(-(-n // e) for n, e in zip(lattice.boxes, extents, strict=True))


def _check(lattice: Lattice, extents: tuple[int, ...]) -> None:
    """Refuse block shapes that do not fit, or of which there would be too many to list."""
    regular_cuts(Lattice((1,) * lattice.axes, (1,) * lattice.axes), extents)
    if (blocks := _block_count(lattice, extents)) > MAX_BLOCKS:
        raise LayoutError(
            f"block shape {extents} makes {blocks:,} blocks; expected at most {MAX_BLOCKS:,}.",
            "give more regions a block, or leave --chunks out",
        )


def make_plan(
    config: Config,
    workers: int,
    threads: int,
    memory: int,
    chunks: tuple[int, ...] | None = None,
    in_process: bool = False,
    processes: int | None = None,
) -> Plan:
    """Choose blocks (unless given) and forecast.

    Parameters
    ----------
    memory : int
        Bytes that all processes together may use.
    processes : int, optional
        How many the workers share; default: each has one, or none does, if ``in_process``.

    Raises
    ------
    TooLargeError
        The run cannot fit in ``memory``.
    LayoutError
        ``chunks`` do not fit the regions.
    """
    lattice = lattice_of(config.field)
    slots = workers * threads
    site_bytes = lattice.dtype.itemsize
    base = DRIVER_BYTES + (0 if in_process else (processes or workers) * WORKER_BYTES)
    levels = _levels(config)

    def total_bytes(extents: tuple[int, ...]) -> int:
        """Old and new field, working sets of the blocks that run at a time, one cycle's books in blocks and driver."""
        regions = prod(min(e, n) for e, n in zip(extents, lattice.boxes, strict=True))
        working = 2 * site_bytes * lattice.region_sites * regions + regions * (8 * (lattice.q_max + 1) + 32 * levels)
        running = min(slots, _block_count(lattice, extents))
        return base + 2 * site_bytes * lattice.sites + running * working + 2 * _books_bytes(config)

    best: tuple[float, int, tuple[int, ...]] | None = None
    least = None
    if chunks is not None:
        _check(lattice, chunks)
    for candidate in [chunks] if chunks is not None else _candidates(lattice):
        if _block_count(lattice, candidate) > 4096 and chunks is None:
            continue
        need = total_bytes(candidate)
        least = need if least is None else min(least, need)
        if need > memory:
            continue
        grid = BlockGrid(lattice, regular_cuts(lattice, candidate))
        seconds = _seconds(grid, config, slots)
        largest = max(block.sites.size for block in grid.blocks) * site_bytes
        seconds *= 1 + 0.02 * max(0.0, largest / (SHARED_BLOCK_BYTES if in_process else BLOCK_BYTES) - 1)
        key = (seconds, prod(grid.shape), candidate)
        if best is None or key < best:
            best = key
    if best is None:
        raise TooLargeError(
            f"the field of {lattice.sites:,} sites needs {(least or 0) / 2**30:.1f} GiB in all, of which "
            f"{memory / 2**30:.1f} GiB are there.",
            "use more machines, a smaller field.shape, dtype 'uint8', or smaller regions so that blocks can be smaller",
        )
    grid = BlockGrid(lattice, regular_cuts(lattice, best[2]))
    seconds = _seconds(grid, config, slots)
    blocks = len(grid.blocks)
    cycles = config.run.cycles
    limit = min(longest_epoch(grid, config, memory), max(cycles, 1))
    each = checkpoint_seconds(config, slots)
    between = seconds_between(config.run, workers, each)
    epoch = limit if between * cycles >= seconds * limit else max(1, int(between * cycles / seconds))
    seconds += ceil(cycles / epoch) * each
    total = total_bytes(best[2]) + epoch * _kept_bytes(config)
    return Plan(
        chunks=best[2],
        blocks=blocks,
        workers=workers,
        threads=threads,
        tasks=_tasks(grid, config, epoch),
        epoch=epoch,
        epoch_limit=limit,
        bytes_per_worker=total if in_process else (total - DRIVER_BYTES) // workers,
        bytes_total=total,
        checkpoint_bytes=int(lattice.sites * site_bytes * COMPRESSED),
        books_bytes=cycles * lattice.region_count * (2 * levels // 3 + 60),
        seconds=seconds,
    )
