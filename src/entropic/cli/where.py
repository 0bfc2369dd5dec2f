"""Options that say where to run; connecting, planning and running with progress and Ctrl-C."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import click
import psutil

from entropic.cli.progress import followed
from entropic.cli.show import err
from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.engine.cluster import DaskExecutor, Where, connect
from entropic.engine.plan import Plan, make_plan
from entropic.engine.timeline import recorded
from entropic.report.live import LiveServer, Watch
from entropic.store import RunStore

__all__ = [
    "Follow",
    "Stop",
    "chosen_place",
    "connected",
    "execute",
    "follow_options",
    "following",
    "free_memory",
    "planned",
    "run_on",
    "where_options",
]


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


def follow_options(function: Callable[..., Any]) -> Callable[..., Any]:
    options = (
        click.option("--live", is_flag=True, help="Serve a page of the run on this machine while it goes on."),
        click.option("--timeline", is_flag=True, help="Note what ran where and when, for 'entropic report'."),
    )
    for option in reversed(options):
        function = option(function)
    return function


@final
@dataclass(frozen=True)
class Follow:
    """How a run is followed: by the page of ``server``, by notes of its tasks."""

    server: LiveServer | None = None
    timeline: bool = False


@contextmanager
def following(live: bool, timeline: bool) -> Iterator[Follow]:
    """What `follow_options` ask for; says where the page is."""
    with LiveServer() if live else nullcontext() as server:
        if server is not None:
            err.print(f"live: {server.address}", soft_wrap=True)
        yield Follow(server, timeline)


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
    """SIGINT and SIGTERM ask for a checkpoint (``what`` to do says so); the second one ends the process at once."""

    def __init__(self, what: str = "writing a checkpoint") -> None:
        self.asked = False
        self.what = what

    def __call__(self) -> bool:
        return self.asked

    def _handle(self, number: int, frame: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        err.print(f"[yellow]stopping: {self.what} (once more to end at once)[/]")

    @contextmanager
    def listening(self) -> Iterator[Stop]:
        old = {s: signal.signal(s, self._handle) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)


def planned(config: Config, where: Where, chunks: tuple[int, ...] | None) -> Plan:
    return make_plan(config, where.workers, where.threads, free_memory(), chunks, where.in_process)


def execute(
    config: Config,
    where: Where,
    chunks: tuple[int, ...] | None,
    start: Callable[..., EntropicComputer],
    live: bool = False,
    timeline: bool = False,
) -> tuple[EntropicComputer, dict[str, Any]]:
    """Connect, plan, run; ``start(executor, chunks, epoch, observer)`` makes the computer."""
    if where.scheduler is None:
        planned(config, where, chunks)  # refuse what cannot fit before any process starts
    with connected(where) as executor, following(live, timeline) as follow, Stop().listening() as stop:
        return run_on(executor, config, where, chunks, start, stop, follow=follow)


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
    follow: Follow = Follow(),
) -> tuple[EntropicComputer, dict[str, Any]]:
    """Plan for the cluster that there is, and run; ``start(executor, chunks, epoch, observer)`` makes the computer."""
    memory = free_memory() if where.scheduler is None else 1 << 62
    plan = make_plan(config, executor.workers, executor.threads, memory, chunks, where.in_process)
    err.print(
        f"{config.field.sites:,} sites, {config.field.region_count:,} regions, {plan.blocks} blocks on "
        f"{plan.workers} × {plan.threads} threads; about {plan.seconds:.0f} s, {plan.bytes_total / 2**30:.1f} GiB"
    )
    watch = Watch(config.run.cycles, config.field.sites, lambda: (executor.present, executor.threads))
    if follow.server is not None:
        follow.server.show(watch)
    with followed(err, watch, booked, stop, follow.server is not None) as observer:
        computer = start(executor, plan.chunks, plan.epoch, observer)
        with recorded(executor) if follow.timeline else nullcontext() as noted:
            summary = computer.run()
            if noted is not None:
                computer.store.write_json("timeline.json", noted(), indent=None)
        return computer, summary
