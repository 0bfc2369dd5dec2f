"""One worker process and its guard, as jobs and launchers start it: ``python -m entropic.engine.cluster_worker``.

It is `dask worker` with what a cluster of ours needs: nothing listens beyond the named interface, memory is neither
spilt nor a reason to pause (a worker that takes more than its share is ended), and SIGTERM, which batch systems send to
every process of a job, leaves the driver time for a checkpoint.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import platform
import signal
import sys
from collections.abc import Sequence
from typing import Any

import dask
from dask.utils import parse_bytes
from distributed import Nanny
from distributed.security import Security

from entropic.engine.cluster_settings import WORKER_SETTINGS
from entropic.engine.cluster_signals import outlive

__all__ = ["dask_setup", "main"]

_GRACE = "ENTROPIC_GRACE_SECONDS"


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m entropic.engine.cluster_worker")
    parser.add_argument("scheduler")
    parser.add_argument("--name")
    parser.add_argument("--nthreads", type=int, required=True)
    parser.add_argument("--memory-limit", type=parse_bytes, required=True)
    parser.add_argument("--interface", required=True)
    parser.add_argument("--protocol")
    parser.add_argument("--ports")
    parser.add_argument("--local-directory")
    parser.add_argument("--death-timeout", type=float, default=60.0)
    parser.add_argument("--grace", type=float, default=0.0, help="seconds to outlive SIGTERM")
    for name in ("ca-file", "cert", "key"):
        parser.add_argument(f"--tls-{name}")
    return parser.parse_args(arguments)


def _security(given: argparse.Namespace) -> Security | None:
    if given.tls_ca_file is None:
        return None
    files = {"tls_worker_cert": given.tls_cert, "tls_worker_key": given.tls_key}
    return Security(require_encryption=True, tls_ca_file=given.tls_ca_file, **files)


def _hush(level: int) -> None:
    """Keep distributed's logs below a level out of the job's: it gives most of its loggers levels of their own."""
    for name in ("distributed", *logging.root.manager.loggerDict):
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(level)


def dask_setup(worker: Any) -> None:
    """Called by Dask in the worker's own process, which gets the signals too."""
    _hush(logging.CRITICAL)  # what matters the driver is told; the guard warns
    node = os.environ.get("SLURMD_NODENAME") or platform.node()
    print(f"worker {worker.address} on {node}, {worker.state.nthreads} threads", flush=True)
    if (seconds := float(os.environ.get(_GRACE, "0"))) > 0:
        outlive(seconds)


async def _serve(given: argparse.Namespace) -> None:
    nanny = Nanny(
        given.scheduler,
        nthreads=given.nthreads,
        name=given.name,
        memory_limit=given.memory_limit,
        local_directory=given.local_directory,
        interface=given.interface,
        protocol=given.protocol,
        security=_security(given),
        death_timeout=given.death_timeout,
        port=given.ports,
        worker_port=given.ports or 0,
        dashboard=False,
        dashboard_address="127.0.0.1:0",  # None would not mean none
        preload=["entropic.engine.cluster_worker"],
        env={_GRACE: str(given.grace)},
        silence_logs=logging.WARNING,
    )
    loop = asyncio.get_running_loop()
    if given.grace > 0:
        outlive(given.grace)
    else:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, lambda: loop.create_task(nanny.close(timeout=10, reason="signal")))
    async with nanny:
        await nanny.finished()


def main(arguments: Sequence[str]) -> None:
    """Serve a scheduler until it says that all is done, or is gone."""
    given = _arguments(arguments)
    _hush(logging.WARNING)
    with dask.config.set(WORKER_SETTINGS):
        try:
            asyncio.run(_serve(given))
        except (TimeoutError, OSError) as error:
            sys.exit(f"entropic: no scheduler at {given.scheduler}: {type(error).__name__} {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
