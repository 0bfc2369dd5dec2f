"""What a scheduler has to be told so that a run outlives the loss of all its workers."""

from __future__ import annotations

from typing import Any, final

from distributed import Scheduler, SchedulerPlugin

__all__ = ["AnyWorker"]


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
