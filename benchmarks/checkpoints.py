"""What checkpoints cost a run: whole runs with and without them, and what is left of that at the interval by default."""

from __future__ import annotations

import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.engine import engine_config
from entropic import Config, EntropicComputer
from entropic.cli.where import free_memory
from entropic.engine.cluster import Executor, Where, connect
from entropic.engine.interval import seconds_between
from entropic.engine.plan import make_plan

__all__ = ["measure_checkpoints"]


def _run(config: Config, executor: Executor, where: Where) -> dict[str, Any]:
    plan = make_plan(config, where.workers, where.threads, free_memory(), None, where.in_process)
    with tempfile.TemporaryDirectory(prefix="entropic-benchmark-") as scratch:
        computer = EntropicComputer(config, Path(scratch) / "run", executor, plan.chunks, plan.epoch_limit)
        computer.run()
        return computer.performance()


def measure_checkpoints(sites: int, cycles: int, repeats: int) -> list[dict[str, Any]]:
    """A row for each of three sizes up to ``sites``, in local processes, ``cycles`` cycles with ten checkpoints and with one.

    ``each``: seconds that one checkpoint adds to a run (its books in a piece of their own, the workers' idling and all), by
    difference; ``told``: what the run itself takes a checkpoint to cost; ``interval``: seconds between two by default; ``share``
    of the time that checkpoints take then, ``each`` over ``interval``.  Medians over rounds in which both take turns.
    """
    cores = len(os.sched_getaffinity(0))
    where = Where(cores, 1, dashboard=False)
    rows = []
    for size in (sites // 16, sites // 4, sites):
        plain = engine_config(size, cycles)
        many = plain.with_overrides([f"run.checkpoint_every={max(1, cycles // 10)}"])
        one = plain.with_overrides(["run.checkpoint_every=0"])
        each, told = [], []
        with connect(where) as executor:
            _run(one.with_overrides(["run.cycles=2"]), executor, where)  # compilers
            for _ in range(repeats):
                without, having = _run(one, executor, where), _run(many, executor, where)
                each.append((having["seconds"] - without["seconds"]) / (having["checkpoints"] - without["checkpoints"]))
                told.append(having["checkpoint_seconds"] / having["checkpoints"])
        cost, known = statistics.median(each), statistics.median(told)
        interval = seconds_between(plain.run, cores, known)
        row = {"sites": plain.field.sites, "each": cost, "told": known, "interval": interval}
        rows.append({**row, "share": cost / interval})
    return rows
