"""Before running: into which blocks, how many tasks, how many bytes, how long.  Pure arithmetic."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import product
from math import ceil, prod
from typing import Any, final

from entropic.config import Config
from entropic.errors import ResourceError
from entropic.initial import lattice_of
from entropic.lattice import BlockGrid, Lattice, LayoutError, regular_cuts
from entropic.ledger import ACCOUNTS

__all__ = ["Plan", "TooLargeError", "make_plan"]

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
BLOCK_BYTES = 1 << 28  # a task's working set beyond which memory, not speed, decides
WORKER_BYTES = 350 << 20  # an idle worker process
DRIVER_BYTES = 450 << 20
COMPRESSED = 0.6
EPOCH_TASKS = 6000  # lineage between two checkpoints
EPOCH_SHARE = 0.1  # of the memory, for the books of the cycles between two checkpoints
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
        Cycles between checkpoints (and lineage cuts).
    bytes_per_worker, bytes_total, checkpoint_bytes : int
    seconds : float
    """

    chunks: tuple[int, ...]
    blocks: int
    workers: int
    threads: int
    tasks: int
    epoch: int
    bytes_per_worker: int
    bytes_total: int
    checkpoint_bytes: int
    books_bytes: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def _steps(grid: BlockGrid, config: Config) -> float:
    """Segments a cycle that wait for other blocks, on average over one turn of axes and parities."""
    turn = 2 * grid.lattice.axes
    seams = config.relax.layers * sum(bool(grid.seam_sites(n)) for n in range(turn)) / turn
    partners = config.demon.pairs == "partners" and bool(grid.split_partners)
    return seams + partners + config.exchange.enabled + config.grid.enabled


def _seconds(grid: BlockGrid, config: Config, slots: int) -> tuple[float, float]:
    """Forecast seconds, and tasks a cycle."""
    layers, cycles = config.relax.layers, config.run.cycles
    steps = _steps(grid, config)
    blocks = len(grid.blocks)
    largest = max(block.sites.size for block in grid.blocks)
    rounds = ceil(blocks / slots)
    site = layers * LAYER_SECONDS + REDUCE_SECONDS
    site += SORT_SECONDS * config.demon.sort + config.exchange.contact * TRADE_SECONDS * config.exchange.enabled
    tasks = steps * blocks * 3
    cycle = rounds * (largest * site + CYCLE_SECONDS) + grid.lattice.region_count * REGION_SECONDS
    return cycles * (cycle + tasks * TASK_SECONDS), tasks


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
    levels = min(lattice.q_max + 1, int(30 * (config.field.mean + 1)))
    cycle_bytes = lattice.region_count * (8 * len(ACCOUNTS) + 2 * levels)  # of books

    def total_bytes(extents: tuple[int, ...]) -> int:
        """Old and new field, working sets of the blocks that run at a time, one cycle's books in blocks and driver."""
        regions = prod(min(e, n) for e, n in zip(extents, lattice.boxes, strict=True))
        working = 2 * site_bytes * lattice.region_sites * regions + regions * (8 * (lattice.q_max + 1) + 32 * levels)
        running = min(slots, _block_count(lattice, extents))
        return base + 2 * site_bytes * lattice.sites + running * working + 2 * cycle_bytes

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
        seconds, _ = _seconds(grid, config, slots)
        largest = max(block.sites.size for block in grid.blocks) * site_bytes
        seconds *= 1 + 0.02 * max(0.0, largest / BLOCK_BYTES - 1)
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
    seconds, tasks = _seconds(grid, config, slots)
    blocks = len(grid.blocks)
    cycles = config.run.cycles
    limit = max(1, int(EPOCH_TASKS / tasks)) if tasks else 1000
    limit = max(1, min(limit, int(EPOCH_SHARE * memory / cycle_bytes)))
    epoch = max(1, min(config.run.checkpoint_every or limit, limit, max(cycles, 1)))
    epochs = ceil(cycles / epoch)
    seconds += epochs * (EPOCH_SECONDS + lattice.sites * site_bytes * CHECKPOINT_SECONDS / slots)
    total = total_bytes(best[2])
    return Plan(
        chunks=best[2],
        blocks=blocks,
        workers=workers,
        threads=threads,
        tasks=int(tasks * cycles) + epochs * blocks * 3 + blocks,
        epoch=epoch,
        bytes_per_worker=total if in_process else (total - DRIVER_BYTES) // workers,
        bytes_total=total,
        checkpoint_bytes=int(lattice.sites * site_bytes * COMPRESSED),
        books_bytes=cycles * lattice.region_count * (2 * levels // 3 + 60),
        seconds=seconds,
    )
