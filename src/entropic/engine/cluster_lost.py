"""What a scheduler has to be told so that a run outlives the loss of all its workers, and blocks wait less for faces."""

from __future__ import annotations

from typing import Any, final

from distributed import Scheduler, SchedulerPlugin

__all__ = ["AnyWorker", "Promptly"]

_SEND_SECONDS = 0.0005


@final
class AnyWorker(SchedulerPlugin):  # type: ignore[misc]
    """Lets tasks that no worker is there for go to whichever comes.

    ``allow_other_workers`` holds while there are others.  A task that becomes ready when there are none waits for the very
    worker that it was sent to, which never comes back under the same address (distributed 2026.8,
    ``bulk_schedule_unrunnable_after_adding_worker``).
    """

    name = "entropic-any-worker"
    idempotent = True

    def __init__(self) -> None:
        self._scheduler: Scheduler | None = None

    async def start(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        for task in scheduler.unrunnable:
            self._free(task)

    def transition(self, key: Any, start: str, finish: str, *arguments: Any, **named: Any) -> None:
        if finish == "no-worker" and self._scheduler is not None:
            self._free(self._scheduler.tasks[key])

    @staticmethod
    def _free(task: Any) -> None:
        if task.loose_restrictions:
            task.worker_restrictions = set()


@final
class Promptly(SchedulerPlugin):  # type: ignore[misc]
    """Sends workers what there is to do as it arises.

    By default a scheduler waits 5 ms between two messages to a worker, to send many small ones together; a block that
    waits for a face waits for two messages in turn.
    """

    name = "entropic-promptly"
    idempotent = True

    async def start(self, scheduler: Scheduler) -> None:
        for worker in scheduler.workers:
            self.add_worker(scheduler, worker)

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        scheduler.stream_comms[worker].interval = _SEND_SECONDS
