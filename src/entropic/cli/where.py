"""Options that say where to run; connecting, planning and running with progress and Ctrl-C."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import click
import psutil

from entropic.batch.file import ClusterFile
from entropic.cli.progress import followed
from entropic.cli.show import err
from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.engine.cluster import DaskExecutor, Where, connect
from entropic.engine.cluster_start import Session
from entropic.engine.plan import Plan, make_plan
from entropic.engine.timeline import recorded
from entropic.errors import UsageError
from entropic.report.live import LiveServer, Watch
from entropic.store import RunStore

__all__ = [
    "Follow",
    "Stop",
    "chosen_place",
    "chunks_option",
    "cluster_option",
    "connected",
    "execute",
    "follow_options",
    "following",
    "free_memory",
    "job_directory",
    "plain_tcp_option",
    "plan_for",
    "planned",
    "run_on",
    "where_options",
]

# In click's context, where `chosen_place` takes them.
_CLUSTER, _PLAIN_TCP, _NO_DASHBOARD = "entropic.cluster", "entropic.plain_tcp", "entropic.no_dashboard"


def _chunks(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    if value is None:
        return None
    try:
        return tuple(int(part) for part in value.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a list of numbers such as 2,10,10,1") from error


chunks_option = click.option(
    "--chunks", callback=_chunks, help="Block shape in regions, e.g. 2,10,10,1 (default: planned)."
)


def _read_cluster(ctx: click.Context, parameter: click.Parameter, value: Path | None) -> ClusterFile | None:
    if value is not None:
        ctx.meta[_CLUSTER] = ClusterFile.from_toml(value)
    return ctx.meta.get(_CLUSTER)


def _take_plain_tcp(ctx: click.Context, parameter: click.Parameter, value: bool) -> bool:
    ctx.meta[_PLAIN_TCP] = value
    return value


def _take_no_dashboard(ctx: click.Context, parameter: click.Parameter, value: bool) -> bool:
    ctx.meta[_NO_DASHBOARD] = value
    return value


def cluster_option(expose: bool, required: bool = False) -> Callable[..., Any]:
    return click.option(
        "--cluster",
        metavar="FILE",
        type=click.Path(path_type=Path),
        callback=_read_cluster,
        expose_value=expose,
        required=required,
        help="A cluster to start, e.g. cluster/slurm.toml.",
    )


def plain_tcp_option(expose: bool) -> Callable[..., Any]:
    return click.option(
        "--plain-tcp",
        is_flag=True,
        callback=_take_plain_tcp,
        expose_value=expose,
        help="With --cluster: no TLS.  Whoever reaches a port of the cluster can then run code as you.",
    )


def where_options(function: Callable[..., Any]) -> Callable[..., Any]:
    options = (
        click.option("--workers", type=click.IntRange(1, 4096), help="Worker processes (1: threads of this process)."),
        click.option("--threads", type=click.IntRange(1, 4096), help="Threads a worker."),
        click.option("--scheduler", help="Address or scheduler file of a Dask cluster that is up."),
        cluster_option(expose=False),
        plain_tcp_option(expose=False),
        click.option(
            "--no-dashboard",
            is_flag=True,
            callback=_take_no_dashboard,
            expose_value=False,
            help="No pages of Dask's, which all users of this machine can look at (a cluster's FILE says so itself).",
        ),
        chunks_option,
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


def job_directory(run: Path) -> Path:
    """Where scripts, logs and certificates of a run's jobs are."""
    return run.parent / f"{run.name}.job"


def chosen_place(workers: int | None, threads: int | None, scheduler: str | None, run: Path | None = None) -> Where:
    """Where to run, from the options; ``run``: the run directory, beside which a cluster's files go."""
    meta = click.get_current_context().meta
    cluster, plain_tcp = meta.get(_CLUSTER), bool(meta.get(_PLAIN_TCP))
    if isinstance(cluster, ClusterFile):
        return _described(cluster, plain_tcp, (workers, threads, scheduler), run or Path("entropic"))
    if plain_tcp:
        raise UsageError("--plain-tcp stands without --cluster.", "leave it out: local clusters use TLS on loopback")
    cores = len(os.sched_getaffinity(0))
    if workers is None:
        workers = max(1, cores // threads) if threads else cores
    return Where(workers, threads or max(1, cores // workers), scheduler, dashboard=not meta.get(_NO_DASHBOARD))


def _described(cluster: ClusterFile, plain_tcp: bool, others: tuple[object, ...], run: Path) -> Where:
    if others != (None, None, None):
        raise UsageError(
            "--cluster says which workers there are.", "leave out --workers, --threads and --scheduler, or --cluster"
        )
    if cluster.system == "kubernetes":
        raise UsageError(
            "the Dask operator starts the workers of kubernetes.",
            "use 'entropic submit … --dry-run | kubectl apply -f -', or --scheduler tls://…",
        )
    session = Session(job_directory(run), plain_tcp=plain_tcp)
    return Where(cluster.workers.count, cluster.workers.threads, cluster=cluster, session=session)


def free_memory() -> int:
    """Bytes that may be used: what the machine has free, and no more than the cgroup allows."""
    free = int(psutil.virtual_memory().available)
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (text := limit.read_text().strip()).isdigit():
        free = min(free, int(text))
    return int(0.9 * free)


class Stop:
    """SIGINT and SIGTERM ask for a checkpoint; the second one ends the process at once.

    Parameters
    ----------
    what : str
        What is done when one comes.
    deadline : float
        When a job's time is up, s since 1970; SIGUSR1 says that it is up now.
    """

    def __init__(self, what: str = "writing a checkpoint", deadline: float = float("inf")) -> None:
        self.asked = False
        self.what = what
        self._deadline = deadline

    def __call__(self) -> bool:
        return self.asked or self.time_is_up

    @property
    def time_is_up(self) -> bool:
        return time.time() >= self._deadline

    def _end_now(self, number: int, frame: object) -> None:
        self._deadline = 0.0

    @contextmanager
    def until_told(self) -> Iterator[None]:
        """SIGUSR1 says that the time is up.

        It is ignored ever after: Python gives its handlers up before it has ended, and a signal that comes then would
        kill a process that has done everything.
        """
        signal.signal(signal.SIGUSR1, self._end_now)
        try:
            yield
        finally:
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)

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
    """The plan for a place; refuses what cannot fit there."""
    if where.cluster is None:
        return make_plan(config, where.workers, where.threads, free_memory(), chunks, where.in_process)
    workers, here = where.cluster.workers, free_memory()
    if not (where.session and where.session.inside) and where.cluster.has_queue:  # more may come, or may not
        make_plan(config, workers.at_least, workers.threads, workers.at_least * workers.memory_bytes + here, chunks)
    return make_plan(config, workers.count, workers.threads, workers.count * workers.memory_bytes + here, chunks)


def execute(
    config: Config,
    where: Where,
    chunks: tuple[int, ...] | None,
    start: Callable[..., EntropicComputer],
    live: bool = False,
    timeline: bool = False,
    stop: Stop | None = None,
) -> tuple[EntropicComputer, dict[str, Any]]:
    """Connect, plan, run; ``start(executor, chunks, epoch, observer)`` makes the computer."""
    if where.scheduler is None:
        planned(config, where, chunks)  # refuse what cannot fit before any process starts
    with (
        connected(where) as executor,
        following(live, timeline) as follow,
        (stop or Stop()).listening() as listening,
    ):
        return run_on(executor, config, where, chunks, start, listening, follow=follow)


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
    plan = plan_for(config, where, executor, chunks)
    err.print(
        f"{config.field.sites:,} sites, {config.field.region_count:,} regions, {plan.blocks} blocks on "
        f"{plan.workers} × {plan.threads} threads; about {plan.seconds:.0f} s, {plan.bytes_total / 2**30:.1f} GiB"
    )
    watch = Watch(config.run.cycles, config.field.sites, lambda: (executor.present, executor.threads))
    if follow.server is not None:
        follow.server.show(watch)
    with followed(err, watch, booked, stop, follow.server is not None) as observer:
        computer = start(executor, plan.chunks, plan.epoch_limit, observer)
        with recorded(executor) if follow.timeline else nullcontext() as noted:
            summary = computer.run()
            if noted is not None:
                computer.store.write_json("timeline.json", noted(), indent=None)
        return computer, summary


def plan_for(config: Config, where: Where, executor: DaskExecutor, chunks: tuple[int, ...] | None) -> Plan:
    """The plan for the workers that are there, or, of a cluster that a file describes, will be there."""
    if where.cluster is not None:
        return planned(config, where, chunks)
    memory = free_memory() if where.scheduler is None else 1 << 62
    return make_plan(config, executor.workers, executor.threads, memory, chunks, where.in_process)
