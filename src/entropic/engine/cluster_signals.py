"""Signals to processes of a cluster: the driver answers for all of them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any, final

from distributed import WorkerPlugin

__all__ = ["LAST_SECONDS", "LastOrders", "deaf", "outlive"]

LAST_SECONDS = 60  # that a worker told to end leaves the driver for a checkpoint


def outlive(seconds: float) -> None:
    """Leave Ctrl-C to the driver, and end so many seconds after SIGTERM, unless the driver has ended us before.

    A terminal sends Ctrl-C (SIGINT), and a batch system SIGTERM, to every process; the driver needs its workers for a
    checkpoint, and they end with it anyhow.
    """

    def later(number: int, frame: object) -> None:
        timer = threading.Timer(seconds, os._exit, (128 + number,))
        timer.daemon = True
        timer.start()

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, later)


@final
class LastOrders(WorkerPlugin):  # type: ignore[misc]
    """Lets worker processes of a local cluster `outlive` what ends the driver."""

    def setup(self, worker: Any) -> None:
        outlive(LAST_SECONDS)


@contextmanager
def deaf() -> Iterator[None]:
    """Processes that are started in here do not hear Ctrl-C; this one hears it when they are up.

    Otherwise, workers that a terminal interrupts while they start would leave a cluster that can be neither used nor closed.
    """
    resource_tracker.ensure_running()  # else the first process started does so, and unblocks what is blocked here
    heard = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, heard)
