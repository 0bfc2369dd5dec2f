"""A real run against the bare kernels that do the same work on the same cores without any engine."""

from __future__ import annotations

import math
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from entropic import Config, EntropicComputer
from entropic.cli.where import free_memory
from entropic.engine.cluster import Executor, SerialExecutor, Where, connect
from entropic.engine.plan import make_plan
from entropic.initial import draw_block, lattice_of
from entropic.kernels import block_histograms, drop_ones_where, exchange_runs, exchange_touching, scratch
from entropic.lattice import Block, BlockGrid, regular_cuts

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


_KEY = np.uint64(1)
_NONE = np.zeros(1, np.int64)


def _across(view: Sites, base: NDArray[np.int64], lower: NDArray[np.int64], buffers: Any, layer: int) -> None:
    exchange_runs(view, base, _NONE, view.shape[3], lower, _KEY, layer, 255, False, *buffers)


def _along(rows: Sites, base: NDArray[np.int64], lower: NDArray[np.int64], buffers: Any, layer: int) -> None:
    exchange_touching(rows, base, lower, True, _KEY, layer, 255, False, *buffers)


def _layers(array: Sites) -> list[Callable[[int], None]]:
    """The layers of one turn of axes and parities on an array that stands alone; each takes the layer's number."""
    turn: list[Callable[[int], None]] = []
    buffers = scratch()
    for axis, extent in enumerate(array.shape):
        outer, run = math.prod(array.shape[:axis]), math.prod(array.shape[axis + 1 :])
        base = np.arange(outer, dtype=np.int64) * (extent * run)
        for parity in (0, 1):
            lower = np.arange(parity, extent - 1, 2, dtype=np.int64)
            if run == 1:
                turn.append(partial(_along, array.reshape(outer, extent), base, lower, buffers))
            else:
                turn.append(partial(_across, array.reshape(outer, extent, 1, run), base, lower, buffers))
    return turn


@final
class _Piece:
    """Some regions by themselves: sites, and the kernels' arguments, made once."""

    def __init__(self, config: Config, block: Block) -> None:
        self.array = draw_block(config.field, block)
        self.shape = np.array(block.lattice.region_shape)
        self.counts = np.zeros((block.region_count, block.lattice.q_max + 1), np.int64)
        self.turn = _layers(self.array)
        self.layers, self.threshold = config.relax.layers, config.demon.threshold

    def cycle(self, number: int) -> None:
        """Layers, histogram and lift, as the engine does them, and nothing else."""
        for layer in range((number - 1) * self.layers, number * self.layers):
            self.turn[layer % len(self.turn)](layer)
        block_histograms(self.array, self.shape, self.counts)
        chosen = self.counts[:, self.threshold :].any(axis=1)
        drop_ones_where(self.array, self.shape, self.array.dtype.type(self.threshold), chosen)


def _bare(config: Config, size: tuple[int, ...], threads: int) -> float:
    """Seconds for all cycles on the field in pieces of ``size`` regions, cycle by cycle, in a pool of threads."""
    lattice = lattice_of(config.field)
    pieces = [_Piece(config, block) for block in BlockGrid(lattice, regular_cuts(lattice, size)).blocks]
    with ThreadPoolExecutor(threads) as pool:
        started = time.perf_counter()
        for cycle in range(1, config.run.cycles + 1):
            list(pool.map(partial(_Piece.cycle, number=cycle), pieces))
        return time.perf_counter() - started


def measure_engine(sites: int, cycles: int, repeats: int) -> list[dict[str, Any]]:
    """Rows with ``name``, ``rate`` (site-cycles a second, median; ``best_rate``) and ``ratio`` (to the bare kernels).

    ``ratio`` is the median over rounds in which all take turns, ``best_ratio`` that of the best rounds.

    The engine's seconds are those that a run reports: cycles, books and the checkpoint, not the start of the cluster
    nor the first state.
    """
    cores = len(os.sched_getaffinity(0))
    config = engine_config(sites, cycles)
    lattice = lattice_of(config.field)
    places = [("engine, threads of this process", Where(1, cores, dashboard=False))]
    if cores > 1:
        places.append(("engine, local processes", Where(cores, 1, dashboard=False)))

    def engine(where: Where) -> Callable[[], float]:
        def seconds() -> float:
            with connect(where) as executor:
                return _run(config, executor, where).seconds

        return seconds

    one, halves = (1, 1, 1, 1), (-(-lattice.boxes[0] // cores), *lattice.boxes[1:])
    rivals: dict[str, Callable[[], float]] = {
        "bare kernels, region by region": partial(_bare, config, one, cores),
        "bare kernels, a block a core": partial(_bare, config, halves, cores),
        **{name: engine(where) for name, where in places},
        "bare kernels, region by region, one core": partial(_bare, config, one, 1),
        "engine, one core, no Dask": lambda: _run(config, SerialExecutor(), Where(1, 1)).seconds,
    }
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    _run(engine_config(0, 2), SerialExecutor(), Where(1, 1))  # compilers
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Port .* is already in use", UserWarning)
        for _ in range(repeats):
            for name, function in rivals.items():
                seconds[name].append(function())
    work = lattice.sites * config.run.cycles
    rows = []
    for name, times in seconds.items():
        against = seconds["bare kernels, region by region" + (", one core" if "one core" in name else "")]
        rows.append(
            {
                "name": name,
                "rate": work / statistics.median(times),
                "best_rate": work / min(times),
                "ratio": statistics.median(b / t for b, t in zip(against, times, strict=True)),
                "best_ratio": min(against) / min(times),
            }
        )
    return rows
