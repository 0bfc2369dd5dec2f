"""Many small workers that share processes: each is a worker to the scheduler, and cheap to have.

They show what a scheduler can do with more workers than a machine has cores; for work proper, use `cluster.connect`.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import Any

import dask
from distributed import Client, LocalCluster, Worker
from distributed.security import Security

from entropic.engine.cluster import DaskExecutor, silence_logs
from entropic.engine.cluster_common import LOOPBACK
from entropic.engine.cluster_settings import cluster_settings
from entropic.engine.cluster_spans import scheduler_extensions
from entropic.errors import ClusterError

__all__ = ["hive"]

_START_SECONDS = 120.0
_END_SECONDS = 10.0


async def _work(address: str, security: Security, count: int) -> None:
    async with AsyncExitStack() as stack:
        workers = [
            await stack.enter_async_context(
                Worker(
                    address,
                    nthreads=1,
                    security=security,
                    host=LOOPBACK,
                    dashboard_address=f"{LOOPBACK}:0",  # None would bind every address
                    memory_limit=0,
                    silence_logs=50,
                )
            )
            for _ in range(count)
        ]
        await asyncio.gather(*(worker.finished() for worker in workers))


def _serve(address: str, security: Security, count: int, settings: dict[str, Any]) -> None:
    """A process of the hive; ends when the scheduler does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver answers for all
    silence_logs()
    with dask.config.set(settings), suppress(Exception):
        asyncio.run(_work(address, security, count))


@contextmanager
def hive(workers: int, processes: int) -> Iterator[DaskExecutor]:
    """A scheduler in this process and ``workers`` of one thread each in ``processes`` others, over TLS on loopback.

    Raises
    ------
    ClusterError
        It cannot be had.
    """
    start = multiprocessing.get_context("spawn").Process
    security, settings = Security.temporary(), cluster_settings()
    with dask.config.set(settings):
        try:
            cluster = LocalCluster(
                n_workers=0,
                processes=True,
                host=LOOPBACK,
                security=security,
                dashboard_address=f"{LOOPBACK}:0",
                scheduler_kwargs={"dashboard": False, "extensions": scheduler_extensions()},
                silence_logs=50,
            )
        except Exception as error:
            raise ClusterError(f"the scheduler did not start: {error}.", "leave [scheduler] out") from error
        shares = [workers // processes + (k < workers % processes) for k in range(processes)]
        children = [
            start(target=_serve, args=(cluster.scheduler_address, security, share, settings), daemon=True)
            for share in shares
            if share
        ]
        try:
            for child in children:
                child.start()
            with Client(cluster) as client:
                with suppress(TimeoutError):
                    client.wait_for_workers(workers, timeout=_START_SECONDS)
                executor = DaskExecutor(client)
                if executor.workers != workers:
                    found = f"{executor.workers} of {workers} small workers came up"
                    raise ClusterError(f"{found} within {_START_SECONDS:.0f} s.", "take fewer in [scheduler] workers")
                yield executor
        finally:
            cluster.close(timeout=_END_SECONDS)
            for child in children:
                child.join(_END_SECONDS)
                if child.is_alive():
                    child.kill()
