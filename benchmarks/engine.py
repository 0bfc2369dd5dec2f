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
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
import psutil
from numpy.typing import NDArray

from entropic import Config, EntropicComputer
from entropic.cli.where import free_memory
from entropic.demo import SIZES
from entropic.engine.cluster import Executor, SerialExecutor, Where, connect
from entropic.engine.plan import make_plan
from entropic.engine.rules import Rules
from entropic.initial import draw_block, lattice_of
from entropic.kernels import (
    block_histograms,
    exchange_runs,
    exchange_touching,
    face_totals,
    pay_records,
    scratch,
)
from entropic.lattice import Block, BlockGrid, regular_cuts
from entropic.machines.harvester import EntropyHarvester
from entropic.observer import Observer

__all__ = ["Piece", "engine_config", "measure_engine", "original_config", "processor_seconds"]

Sites = NDArray[np.generic]


def engine_config(sites: int, cycles: int) -> Config:
    """Two layers a cycle, lift and erasure paid from batteries, 64 regions; ``sites`` rounded to 8 · 8 · 128 · n."""
    last = max(sites // (64 * 64 * 128), 2)
    return Config.from_mapping(
        {
            "field": {"shape": [64, 64, 128, last], "regions": [8, 8, 1, 1]},
            "run": {"cycles": cycles},  # with checkpoints as often as by default
        }
    )


def original_config(cycles: int) -> Config:
    """The same on the field of the original document: 1e9 sites in 1000 regions."""
    return Config.from_mapping({"field": SIZES["seed"], "run": {"cycles": cycles}})


def processor_seconds() -> float:
    """Of this process and of those that it has started and that still run."""
    total = time.process_time()
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            spent = child.cpu_times()
            total += spent.user + spent.system
    return total


@final
@dataclass(frozen=True)
class Cost:
    """What the cycles took: seconds on the clock, and of all processors together.

    ``each``: seconds a cycle while the run is under way, from a fifth to three fifths of the cycles: without the first, in
    which memory is touched for the first time, and the last, told together, with the books and checkpoint that a run has once.
    """

    seconds: float
    processor: float
    each: float


def _run(config: Config, executor: Executor, where: Where) -> Cost:
    """A whole run, of which the cycles with their books and checkpoint count: not the first state, nor the audit."""
    plan = make_plan(config, where.workers, where.threads, free_memory(), None, where.in_process)
    began: list[float] = []
    ended: list[float] = []

    def stop() -> bool:
        if not began:  # asked for the first time as the first cycle begins
            began.append(processor_seconds())
        return False

    with tempfile.TemporaryDirectory(prefix="entropic-benchmark-") as scratch:
        marks: list[tuple[int, float]] = []
        observer = Observer(
            stop=stop,
            booked=lambda store, cycle: ended.append(processor_seconds()),
            progress=lambda cycle: marks.append((cycle, time.perf_counter())),
        )
        place = Path(scratch) / "run"
        computer = EntropicComputer(config, place, executor, plan.chunks, plan.epoch_limit, observer)
        computer.run()
        each = _each(marks, config.run.cycles, computer.seconds)
        return Cost(computer.seconds, ended[-1] - began[0], each)


def _each(marks: list[tuple[int, float]], cycles: int, seconds: float) -> float:
    """Seconds a cycle while a run is under way, from when it told of which cycle; see `Cost`."""
    fifth = cycles // 5
    told = [mark for mark in marks if fifth <= mark[0] <= 3 * fifth]
    if told:
        (first, then), (last, now) = told[0], told[-1]
        if last > first and now - then > seconds / cycles:
            return (now - then) / (last - first)
    return seconds / cycles  # a run that is short, or of one block without seams to stop at, tells of all at its end


_KEY = np.uint64(1)
_NONE = np.zeros(1, np.int64)


def _across(view: Sites, base: NDArray[np.int64], lower: NDArray[np.int64], buffers: Any, layer: int) -> None:
    exchange_runs(view, base, _NONE, view.shape[3], lower, _KEY, layer, 255, False, *buffers)


def _along(rows: Sites, base: NDArray[np.int64], lower: NDArray[np.int64], buffers: Any, layer: int) -> None:
    exchange_touching(rows, base, lower, _KEY, layer, 255, False, *buffers)


def _with_walls(
    function: Callable[[int], None],
    array: Sites,
    axis: int,
    walls: NDArray[np.int64],
    region: tuple[int, ...],
) -> Callable[[int], None]:
    """A layer, with what goes through the regions' walls counted, as the books want it."""
    tile = np.array([1 if a == axis else n for a, n in enumerate(region)], np.int64)
    upward = np.zeros([-(-n // r) for n, r in zip(array.shape, region, strict=True)], np.int64)

    def layer(number: int) -> None:
        face_totals(array, axis, walls, walls // region[axis], tile, 1, upward)
        function(number)
        face_totals(array, axis, walls, walls // region[axis], tile, -1, upward)

    return layer


def _layers(array: Sites, region: tuple[int, ...]) -> list[Callable[[int], None]]:
    """The layers of one turn of axes and parities on an array that stands alone; each takes the layer's number."""
    turn: list[Callable[[int], None]] = []
    buffers = scratch()
    for axis, extent in enumerate(array.shape):
        outer, run = math.prod(array.shape[:axis]), math.prod(array.shape[axis + 1 :])
        base = np.arange(outer, dtype=np.int64) * (extent * run)
        for parity in (0, 1):
            lower = np.arange(parity, extent - 1, 2, dtype=np.int64)
            if run == 1:
                bare = partial(_along, array.reshape(outer, extent), base, lower, buffers)
            else:
                bare = partial(_across, array.reshape(outer, extent, 1, run), base, lower, buffers)
            walls = lower[(lower + 1) % region[axis] == 0]
            turn.append(_with_walls(bare, array, axis, walls, region) if walls.size else bare)
    return turn


@final
class Piece:
    """A part of the field by itself: sites, and the kernels' arguments, made once."""

    def __init__(self, config: Config, block: Block) -> None:
        self.array = draw_block(config.field, block)
        self.shape = np.array(block.lattice.region_shape)
        self.counts = np.zeros((block.region_count, block.lattice.q_max + 1), np.int64)
        self.turn = _layers(self.array, block.lattice.region_shape)
        self.layers, self.harvester = config.relax.layers, EntropyHarvester(config.demon.threshold)
        self.raw, self.ids, regions = config.demon.record == "raw", block.region_ids, block.region_count
        self.battery = np.full(regions, Rules.of(config).charge, np.int64)
        self.seed = np.uint64(config.field.seed)
        self.tape, self.queue = np.zeros(regions), np.full((regions, config.run.cycles), -1, np.int64)

    def cycle(self, number: int) -> None:
        """Layers with their walls, histogram, lift and erasure, as the engine does them, and nothing else."""
        for layer in range((number - 1) * self.layers, number * self.layers):
            self.turn[layer % len(self.turn)](layer)
        self.counts[:] = 0
        block_histograms(self.array, self.shape, self.counts)
        ones = self.harvester.ones(self.counts)
        self.harvester.take(self.array, self.shape, ones > 0)
        self.battery += self.harvester.threshold * ones
        waiting = (self.queue >= 0).sum(axis=1)
        self.queue[np.arange(ones.size), waiting] = ones
        self._erase(number, self.harvester.shifted(self.counts))

    def _erase(self, number: int, now: NDArray[np.int64]) -> None:
        quanta, sites, regions = now @ np.arange(now.shape[1]), int(self.shape.prod()), self.ids.size
        erasure, status = np.zeros((2, regions), np.int64)
        erased, entropies = np.zeros((2, regions))
        budget = self.battery.copy()
        seed, q_max = self.seed, now.shape[1] - 1
        times = self.ids, number, seed, q_max, self.raw, sites, sites // 2
        pay_records(
            self.array,
            self.shape,
            *times,
            now,
            quanta,
            budget,
            self.tape,
            self.queue,
            erasure,
            erased,
            entropies,
            status,
        )
        assert not status.any()
        self.battery -= erasure


def _bare(config: Config, size: tuple[int, ...], threads: int) -> Cost:
    """All cycles on the field in pieces of ``size`` regions, cycle by cycle, in a pool of threads."""
    lattice = lattice_of(config.field)
    pieces = [Piece(config, block) for block in BlockGrid(lattice, regular_cuts(lattice, size)).blocks]
    with ThreadPoolExecutor(threads) as pool:
        started, spent = time.perf_counter(), time.process_time()
        for cycle in range(1, config.run.cycles + 1):
            list(pool.map(partial(Piece.cycle, number=cycle), pieces))
        seconds = time.perf_counter() - started
        return Cost(seconds, time.process_time() - spent, seconds / config.run.cycles)


def measure_engine(config: Config, repeats: int) -> list[dict[str, Any]]:
    """Runs of a configuration with the plain demon, which pays for erasure.

    Rows with ``name``, ``rate`` and ``ratio``, ``under_way_ratio``, ``processor_ns`` and ``processor_ratio``.

    ``rate``: site-cycles a second on the clock, of whole runs; ``processor_ns``: nanoseconds of processor a site-cycle.  Medians; the
    ratios say how much of the bare kernels' speed is left, medians over rounds in which all take turns.
    """
    cores = len(os.sched_getaffinity(0))
    lattice = lattice_of(config.field)
    places = [("engine, threads of this process", Where(1, cores, dashboard=False))]
    if cores > 1:
        places.append(("engine, local processes", Where(cores, 1, dashboard=False)))

    small = engine_config(0, 8)

    def engine(where: Where) -> Cost:
        with connect(where) as executor:
            _run(small, executor, where)  # kernels are loaded by each worker, as the bare ones are
            return _run(config, executor.again(), where)

    halves = (-(-lattice.boxes[0] // cores), *lattice.boxes[1:])
    rivals: dict[str, Callable[[], Cost]] = {
        "bare kernels": partial(_bare, config, halves, cores),
        **{name: partial(engine, where) for name, where in places},
        "bare kernels, one core": partial(_bare, config, lattice.boxes, 1),
        "engine, one core, no Dask": partial(_run, config, SerialExecutor(), Where(1, 1)),
    }
    costs: dict[str, list[Cost]] = {name: [] for name in rivals}
    _run(small, SerialExecutor(), Where(1, 1))  # compilers
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="distributed")  # a port is taken
        for _ in range(repeats):
            for name, function in rivals.items():
                costs[name].append(function())
    work = lattice.sites * config.run.cycles
    rows = []
    for name, taken in costs.items():
        against = costs["bare kernels" + (", one core" if "one core" in name else "")]
        pairs = list(zip(against, taken, strict=True))
        rows.append(
            {
                "name": name,
                "rate": work / statistics.median(cost.seconds for cost in taken),
                "ratio": statistics.median(bare.seconds / cost.seconds for bare, cost in pairs),
                "under_way_ratio": statistics.median(bare.each / cost.each for bare, cost in pairs),
                "processor_ns": statistics.median(cost.processor for cost in taken) / work * 1e9,
                "processor_ratio": statistics.median(bare.processor / cost.processor for bare, cost in pairs),
            }
        )
    return rows
