"""A real run against the bare kernels that do the same work on the same cores without any engine."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from entropic import Config, EntropicComputer
from entropic.cli.where import free_memory
from entropic.engine.cluster import Executor, SerialExecutor, Where, connect
from entropic.engine.layers import exchange_block
from entropic.engine.plan import make_plan
from entropic.initial import draw_block, lattice_of
from entropic.kernels import block_histograms, drop_ones_where
from entropic.lattice import Block, BlockGrid, Lattice, regular_cuts

__all__ = ["engine_config", "measure_engine"]

Sites = NDArray[np.generic]


def engine_config(sites: int, cycles: int) -> Config:
    """Two layers a cycle, lift and erasure paid from batteries, 64 regions; ``sites`` rounded to 8 · 8 · 128 · n."""
    last = max(sites // (64 * 64 * 128), 2)
    return Config.from_mapping(
        {
            "field": {"shape": [64, 64, 128, last], "regions": [8, 8, 1, 1]},
            "run": {"cycles": cycles, "checkpoint_every": cycles},
        }
    )


def _run(config: Config, executor: Executor, where: Where) -> EntropicComputer:
    plan = make_plan(config, where.workers, where.threads, free_memory(), None, where.in_process)
    with tempfile.TemporaryDirectory(prefix="entropic-benchmark-") as scratch:
        computer = EntropicComputer(config, Path(scratch) / "run", executor, plan.chunks, plan.epoch)
        computer.run()
        return computer


def _pieces(config: Config, size: tuple[int, ...]) -> list[tuple[Block, Sites]]:
    """The field cut into pieces of ``size`` regions, each a small lattice of its own."""
    lattice = lattice_of(config.field)
    grid = BlockGrid(lattice, regular_cuts(lattice, size))
    pieces = []
    for block in grid.blocks:
        alone = Lattice(block.sites.shape, block.box.shape)
        pieces.append((BlockGrid(alone, regular_cuts(alone, alone.boxes)).blocks[0], draw_block(config.field, block)))
    return pieces


def _cycle(config: Config, cycle: int, piece: tuple[Block, Sites]) -> None:
    block, array = piece
    lattice, layers = block.lattice, config.relax.layers
    for layer in range((cycle - 1) * layers, cycle * layers):
        exchange_block(array, block, layer, config.field.seed, False, None, None)
    counts = np.zeros((block.region_count, lattice.q_max + 1), np.int64)
    shape = np.array(lattice.region_shape)
    block_histograms(array, shape, counts)
    ones = counts[:, config.demon.threshold :].sum(axis=1)
    drop_ones_where(array, shape, array.dtype.type(config.demon.threshold), ones > 0)


def _bare(config: Config, pieces: list[tuple[Block, Sites]], threads: int) -> float:
    """Seconds for all cycles on all pieces, cycle by cycle, in a pool of threads."""
    with ThreadPoolExecutor(threads) as pool:
        started = time.perf_counter()
        for cycle in range(1, config.run.cycles + 1):
            list(pool.map(partial(_cycle, config, cycle), pieces))
        return time.perf_counter() - started


def measure_engine(sites: int, cycles: int, repeats: int) -> list[dict[str, Any]]:
    """Rows with ``name``, ``rate`` (site-cycles a second, median) and ``ratio`` (to the bare kernels, of the same round).

    The engine's seconds are those that a run reports: cycles, books and the checkpoint, not the start of the cluster
    nor the first state.
    """
    cores = len(os.sched_getaffinity(0))
    config = engine_config(sites, cycles)
    lattice = lattice_of(config.field)
    places = [("engine, threads of this process", Where(1, cores, dashboard=False))]
    if cores > 1:
        places.append(("engine, local processes", Where(cores, 1, dashboard=False)))

    def bare(size: tuple[int, ...], threads: int) -> Callable[[], float]:
        return lambda: _bare(config, _pieces(config, size), threads)

    def engine(where: Where) -> Callable[[], float]:
        def seconds() -> float:
            with connect(where) as executor:
                return _run(config, executor, where).seconds

        return seconds

    one, halves = (1, 1, 1, 1), (-(-lattice.boxes[0] // cores), *lattice.boxes[1:])
    rivals = {
        "bare kernels, region by region": bare(one, cores),
        "bare kernels, a block a core": bare(halves, cores),
        **{name: engine(where) for name, where in places},
        "bare kernels, region by region, one core": bare(one, 1),
        "engine, one core, no Dask": lambda: _run(config, SerialExecutor(), Where(1, 1)).seconds,
    }
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    _run(engine_config(0, 2), SerialExecutor(), Where(1, 1))  # compilers
    for _ in range(repeats):
        for name, function in rivals.items():
            seconds[name].append(function())
    work = lattice.sites * config.run.cycles
    rows = []
    for name, times in seconds.items():
        against = "bare kernels, region by region" + (", one core" if "one core" in name else "")
        ratio = np.median([b / t for b, t in zip(seconds[against], times, strict=True)])
        rows.append({"name": name, "rate": work / float(np.median(times)), "ratio": float(ratio)})
    return rows
