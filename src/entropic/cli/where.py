"""Options that say where to run; connecting, planning and running with progress and Ctrl-C."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import psutil

from entropic.cli.progress import progress
from entropic.cli.show import err
from entropic.computer import EntropicComputer, Observer
from entropic.config import Config
from entropic.engine.cluster import DaskExecutor, Where, connect
from entropic.engine.plan import Plan, make_plan
from entropic.store import RunStore

__all__ = ["Stop", "chosen_place", "connected", "execute", "free_memory", "planned", "run_on", "where_options"]


def _chunks(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    if value is None:
        return None
    try:
        return tuple(int(part) for part in value.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a list of numbers such as 2,10,10,1") from error


def where_options(function: Callable[..., Any]) -> Callable[..., Any]:
    options = (
        click.option("--workers", type=click.IntRange(1, 4096), help="Worker processes (1: threads of this process)."),
        click.option("--threads", type=click.IntRange(1, 4096), help="Threads a worker."),
        click.option("--scheduler", help="Address or scheduler file of a Dask cluster that is up."),
        click.option("--chunks", callback=_chunks, help="Block shape in regions, e.g. 2,10,10,1 (default: planned)."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def chosen_place(workers: int | None, threads: int | None, scheduler: str | None) -> Where:
    cores = len(os.sched_getaffinity(0))
    if workers is None:
        workers = max(1, cores // threads) if threads else cores
    return Where(workers, threads or max(1, cores // workers), scheduler)


def free_memory() -> int:
    """Bytes that may be used: what the machine has free, and no more than the cgroup allows."""
    free = int(psutil.virtual_memory().available)
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (text := limit.read_text().strip()).isdigit():
        free = min(free, int(text))
    return int(0.9 * free)


class Stop:
    """SIGINT and SIGTERM ask for a checkpoint; the second one ends the process at once."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        return self.asked

    def _handle(self, number: int, frame: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        err.print("[yellow]stopping: writing a checkpoint (once more to end at once)[/]")

    @contextmanager
    def listening(self) -> Iterator[Stop]:
        old = {s: signal.signal(s, self._handle) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)


@contextmanager
def _observed(config: Config, booked: Callable[[RunStore, int], None] | None, stop: Stop) -> Iterator[Observer]:
    with progress(err, config.run.cycles, config.field.sites) as show:
        yield Observer(progress=show, booked=booked or (lambda store, cycle: None), stop=stop)


def planned(config: Config, where: Where, chunks: tuple[int, ...] | None) -> Plan:
    return make_plan(config, where.workers, where.threads, free_memory(), chunks, where.in_process)


def execute(
    config: Config,
    where: Where,
    chunks: tuple[int, ...] | None,
    start: Callable[..., EntropicComputer],
) -> tuple[EntropicComputer, dict[str, Any]]:
    """Connect, plan, run; ``start(executor, chunks, epoch, observer)`` makes the computer."""
    if where.scheduler is None:
        planned(config, where, chunks)  # refuse what cannot fit before any process starts
    with connected(where) as executor, Stop().listening() as stop:
        return run_on(executor, config, where, chunks, start, stop)


@contextmanager
def connected(where: Where) -> Iterator[DaskExecutor]:
    """A cluster as asked for; says where its dashboard is."""
    with connect(where) as executor:
        if executor.address:
            err.print(f"dashboard: {executor.address}")
        yield executor


def run_on(
    executor: DaskExecutor,
    config: Config,
    where: Where,
    chunks: tuple[int, ...] | None,
    start: Callable[..., EntropicComputer],
    stop: Stop,
    booked: Callable[[RunStore, int], None] | None = None,
) -> tuple[EntropicComputer, dict[str, Any]]:
    """Plan for the cluster that there is, and run; ``start(executor, chunks, epoch, observer)`` makes the computer."""
    memory = free_memory() if where.scheduler is None else 1 << 62
    plan = make_plan(config, executor.workers, executor.threads, memory, chunks, where.in_process)
    err.print(
        f"{config.field.sites:,} sites, {config.field.region_count:,} regions, {plan.blocks} blocks on "
        f"{plan.workers} × {plan.threads} threads; about {plan.seconds:.0f} s, {plan.bytes_total / 2**30:.1f} GiB"
    )
    with _observed(config, booked, stop) as observer:
        computer = start(executor, plan.chunks, plan.epoch, observer)
        return computer, computer.run()
