"""Where tasks run: here and now, or on a Dask cluster.  With its `cluster_…` sisters the only door to distributed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import dask
import psutil
from distributed import Client, Future, LocalCluster, SchedulerPlugin, wait
from distributed.security import Security

from entropic.batch.file import ClusterFile
from entropic.durable import mending
from entropic.engine.cluster_client import client_of
from entropic.engine.cluster_common import LOOPBACK
from entropic.engine.cluster_lost import AnyWorker, Promptly
from entropic.engine.cluster_settings import QUIET_SECONDS, START_SECONDS, cluster_settings
from entropic.engine.cluster_signals import LastOrders, deaf
from entropic.engine.cluster_spans import scheduler_extensions
from entropic.engine.cluster_start import Session, start_cluster
from entropic.engine.executor import Executor, SerialExecutor
from entropic.engine.owners import share_out
from entropic.engine.silence import Silence
from entropic.errors import ClusterError, EntropicError

__all__ = ["DaskExecutor", "Executor", "SerialExecutor", "Where", "connect", "silence_logs"]

_ANSWER_SECONDS = 20.0  # of a scheduler that is up, to a question
_WAIT_SECONDS = 0.25
_LOOK_SECONDS = 1.0  # between two looks at the workers and at memory, which cost as much as a small task
_RENEW_SECONDS = 10.0  # that the guard of a silent worker has to end it and start another
_URGENT = (
    "claim",
    "contact",
    "done",
    "face",
    "quote",
)  # small tasks that other blocks wait for: before any whole block
_RESTART = "start it again, then run 'entropic resume'"


@contextmanager
def _answering() -> Iterator[None]:
    """What distributed raises when the scheduler does not answer, as a typed error."""
    try:
        yield
    except (CancelledError, OSError) as error:  # timeouts and closed connections are OSErrors
        raise ClusterError(f"the scheduler is gone ({type(error).__name__}).", _RESTART) from error


def _tell(client: Client, plugin: SchedulerPlugin) -> None:
    """Register a plugin with a scheduler that may have stopped."""

    async def register() -> None:
        await client.register_plugin(plugin)

    with _answering():
        client.sync(register, callback_timeout=_ANSWER_SECONDS)


def _await_worker(client: Client) -> None:
    """Wait for the first worker, which may still be starting; not for ever, as `wait_for_workers` where the scheduler stops."""
    assert client.scheduler is not None
    end = time.monotonic() + START_SECONDS
    with _answering():
        while time.monotonic() < end:
            if client.sync(client.scheduler.identity, n_workers=-1, callback_timeout=_ANSWER_SECONDS)["workers"]:
                return
            time.sleep(_WAIT_SECONDS)


def _alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function; typed errors leave their causes behind.

    distributed sends an error with its causes, and as mere text if one of them does not pickle.
    """
    try:
        return function(*arguments)
    except EntropicError as error:
        typed = error
    typed.__cause__ = typed.__context__ = None
    raise typed


@final
class DaskExecutor:
    """On the workers of a Dask cluster; each block has an owner.  Workers may come and go.

    Parameters
    ----------
    quiet : float
        Seconds to bear without a sign of any worker, or without any work being done.
    tend : callable
        Called now and then while we wait; may start workers, and may raise.
    """

    def __init__(
        self,
        client: Client,
        dashboard: str | None = None,
        quiet: float = QUIET_SECONDS,
        tend: Callable[[], None] = lambda: None,
    ) -> None:
        self.client = client
        self.address = dashboard
        self._quiet, self._tend = quiet, tend
        self._owners: list[str] = []
        for plugin in (AnyWorker(), Promptly()):
            _tell(client, plugin)
        self._addresses = self._workers()
        info = self._info()
        self.workers = self.present = len(self._addresses)
        self.threads = max(1, sum(int(w["nthreads"]) for w in info.values()) // max(1, self.workers))
        self._peak = 0
        self._looked = 0.0
        self._silence = Silence()

    def again(self) -> DaskExecutor:
        """The same cluster for another run: its workers are looked up anew, and the peak starts from what is in use."""
        return DaskExecutor(self.client, self.address, self._quiet, self._tend)

    def _info(self) -> dict[str, Any]:
        """What the scheduler says of each worker, by address; asked anew, for a stopped scheduler says nothing."""
        if self.client.status != "running" or self.client.scheduler is None:
            raise ClusterError("the scheduler is gone.", _RESTART)
        with _answering():
            ask = self.client.scheduler.identity
            return dict(self.client.sync(ask, n_workers=-1, callback_timeout=_ANSWER_SECONDS)["workers"])

    def _workers(self) -> list[str]:
        addresses = sorted(self._info())
        if not addresses:
            raise ClusterError("the cluster has no workers.", "start some: 'dask worker --scheduler-file FILE'")
        return addresses

    def hold(self, blocks: int) -> None:
        """Neighbours live on one worker where they can: then few faces travel."""
        self._owners = [self._addresses[block * len(self._addresses) // blocks] for block in range(blocks)]

    def submit(self, key: str, block: int, function: Callable[..., Any], *arguments: Any) -> Future:
        return self.client.submit(
            _alone,
            function,
            *arguments,
            key=key,
            workers=[self._owner(block)],
            allow_other_workers=True,
            pure=False,
            retries=2,
            priority=int(key.split("-")[0] in _URGENT),
        )

    def _owner(self, block: int) -> str:
        while len(self._owners) <= block:
            self._owners.append(self._addresses[len(self._owners) % len(self._addresses)])
        return self._owners[block]

    def _settle(self, addresses: list[str]) -> None:
        """Go on with other workers; blocks whose worker is still there move only to keep shares even."""
        if addresses and addresses != self._addresses:
            self._addresses = addresses
            self.workers = len(addresses)
            self._owners = share_out(self._owners, addresses)

    def gather(self, handles: Sequence[Any]) -> list[Any]:
        self.finish(handles, lambda: None)

        async def arrive() -> list[Any]:
            return list(await self.client.gather(list(handles), asynchronous=True))

        # In the background: a result may wait for a worker that was stopped, and somebody has to see that.
        arriving = asyncio.run_coroutine_threadsafe(arrive(), self.client.loop.asyncio_loop)
        try:
            while not futures.wait([arriving], _WAIT_SECONDS).done:
                self._look_now_and_then()
            with _answering():
                return arriving.result()
        except EntropicError:
            raise
        except Exception:
            self._require_sound(handles)
            raise
        finally:
            arriving.cancel()

    def finish(self, handles: Sequence[Any], poll: Callable[[], None]) -> None:
        waiting = list(handles)
        while waiting:
            with _answering(), suppress(TimeoutError), self.client.as_current():  # `wait` asks for the current client
                wait(waiting, timeout=_WAIT_SECONDS)
            self._require_sound(waiting)
            left = [f for f in waiting if f.status != "finished"]
            if len(left) < len(waiting):
                self._silence.works()
            waiting = left
            poll()
            self._look_now_and_then()

    def _require_sound(self, handles: Sequence[Any]) -> None:
        """Raise what went wrong.

        Those that are "lost" went with a worker, and are being computed again; if that cannot be, they get cancelled.
        """
        failed = [f for f in handles if f.status in ("error", "cancelled")]
        if failed:
            self._fail(failed[0])

    def _look_now_and_then(self) -> None:
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            self._look()

    def _look(self) -> None:
        """See whether there are workers that show signs of life, and how much memory is in use."""
        self._watch()
        self._tend()
        self._looked = time.monotonic()
        info = self._info()
        addresses = sorted(info)
        self.present = len(addresses)
        if addresses:
            self._settle(addresses)
        self._silence.look({address: float(worker["last_seen"]) for address, worker in info.items()}, time.monotonic())
        if not info or any(worker["metrics"]["task_counts"].get("executing") for worker in info.values()):
            self._silence.works()
        if self._silence.of_all > self._quiet:
            raise ClusterError("the cluster has lost all its workers.", "start workers, then run 'entropic resume'")
        if self._silence.of_work > self._quiet:
            raise ClusterError(
                f"the workers are there, but none has computed anything for {self._silence.of_work:.0f} s.",
                "see their logs (one may be out of memory), start them anew, then run 'entropic resume'",
            )
        if silent := self._silence.newly_silent():
            self._renew(silent)

    def _renew(self, workers: list[str]) -> None:
        """Have workers ended that a stop or a cut network has silenced, and others started where a guard can.

        Their connections need not break, and then the scheduler, and who waits for a result of theirs, would wait for minutes.
        """
        assert self.client.scheduler is not None
        self.client.loop.add_callback(
            self.client.scheduler.restart_workers,
            workers=workers,
            timeout=_RENEW_SECONDS,
            wait_for_workers=False,
            on_error="return",
            stimulus_id="entropic-silent",
        )

    def release(self, handles: Sequence[Any]) -> None:
        for future in handles:
            future.release()

    def _fail(self, future: Future) -> None:
        if future.status != "error":
            raise ClusterError(f"the scheduler is gone, or forgot task {future.key} ({future.status}).", _RESTART)
        error = future.exception()
        if isinstance(error, EntropicError):
            raise error
        if isinstance(error, OSError):
            raise ClusterError(
                f"a worker could not write or read: {error}.", f"{mending(error)}, then run 'entropic resume'"
            )
        raise ClusterError(
            f"task {future.key} failed: {type(error).__name__} {' '.join(str(error).split()).rstrip('.')}.",
            "see the workers' logs, then run 'entropic resume'",
        ) from error

    def _watch(self) -> None:
        try:
            here = psutil.Process()
            total = here.memory_info().rss
            for child in here.children(recursive=True):
                total += child.memory_info().rss
        except psutil.Error:
            return
        self._peak = max(self._peak, total)

    def peak_bytes(self) -> int:
        self._watch()
        return self._peak


def silence_logs() -> None:
    """Keep the logs of distributed and of its event loop, tracebacks and all, off stderr: failures are typed errors."""
    for name in ("distributed", "distributed.client", "tornado", "tornado.application", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


@final
@dataclass(frozen=True)
class Where:
    """Where to run, as the command line says it.

    Parameters
    ----------
    workers, threads : int
        A local cluster; one worker means threads in this process.
    scheduler : str or None
        Address or scheduler file of a cluster that is up.
    cluster : ClusterFile or None
        A cluster to start, and ``session``, where to keep what it needs.
    """

    workers: int
    threads: int
    scheduler: str | None = None
    dashboard: bool = True
    cluster: ClusterFile | None = None
    session: Session | None = None

    @property
    def in_process(self) -> bool:
        return self.scheduler is None and self.cluster is None and self.workers == 1


@contextmanager
def connect(where: Where) -> Iterator[DaskExecutor]:
    """A cluster as asked for, closed in the end if we started it.

    Raises
    ------
    ClusterError
        It cannot be had.
    """
    if where.scheduler is not None:
        with client_of(where.scheduler) as client:
            _await_worker(client)
            yield DaskExecutor(client, client.dashboard_link or None)
        return
    if where.cluster is not None:
        with _described(where.cluster, where.session or Session(Path("entropic.job"))) as executor:
            yield executor
        return
    settings = {**cluster_settings(), "distributed.dashboard.link": f"http://{LOOPBACK}:{{port}}/status"}
    with dask.config.set(settings):
        try:
            with deaf():
                cluster = LocalCluster(
                    n_workers=where.workers,
                    threads_per_worker=where.threads,
                    processes=not where.in_process,
                    host=LOOPBACK if not where.in_process else None,
                    security=Security.temporary() if not where.in_process else None,
                    # None would not mean none: the HTTP servers of scheduler and worker would bind every address.
                    dashboard_address=f"{LOOPBACK}:0",
                    worker_dashboard_address=f"{LOOPBACK}:0",
                    scheduler_kwargs={"dashboard": where.dashboard, "extensions": scheduler_extensions()},
                    memory_limit=0,
                    silence_logs=50,
                )
        except Exception as error:
            raise ClusterError(f"the local cluster did not start: {error}.", "try --workers 1") from error
        try:
            with Client(cluster) as client:
                client.wait_for_workers(where.workers, timeout=START_SECONDS)
                if not where.in_process:
                    client.register_plugin(LastOrders())
                yield DaskExecutor(client, cluster.dashboard_link if where.dashboard else None)
        finally:
            cluster.close(timeout=10)


@contextmanager
def _described(cluster: ClusterFile, session: Session) -> Iterator[DaskExecutor]:
    """A cluster as a file describes it."""
    with (
        start_cluster(cluster, session) as started,
        Client(started.cluster, security=started.security, set_as_default=False) as client,
    ):
        link = started.cluster.dashboard_link if cluster.network.dashboard else None
        yield DaskExecutor(client, link, cluster.wait.quiet, started.tend)
