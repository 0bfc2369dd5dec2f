"""What a run spends its time on: the clocks of workers, scheduler and driver, read before and after.

Workers keep their own meters (distributed's fine performance metrics) and are asked for them; nothing is sampled.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import Any, final

from entropic.engine.cluster import DaskExecutor, Executor

__all__ = ["Look", "Spending", "look", "spent"]

_COUNTED = ("execute", "gather-dep", "get-data")


@final
@dataclass(frozen=True)
class Look:
    """Clocks at one moment; only differences of two mean anything.

    Attributes
    ----------
    meters : dict
        Of all workers together, by what they were at: ``execute.cpu``, ``execute.wait``, ``execute.other``, ``receive``,
        ``send``, seconds; ``sends``, times; ``sent``, bytes.
    processes : dict
        Processor seconds of each worker process, by host and process id.
    loop : float or None
        Processor seconds of the thread in which the scheduler lives; None without one.
    began, ended : float
        When the look began and ended.
    driver : float
        Of this thread.
    mine : int
        Id of this process.
    """

    began: float
    ended: float
    driver: float
    loop: float | None = None
    meters: dict[str, float] = field(default_factory=dict)
    processes: dict[tuple[str, int], float] = field(default_factory=dict)
    mine: int = 0


@final
@dataclass(frozen=True)
class Spending:
    """What was spent between two looks; seconds of all workers together, where it says nothing else.

    Attributes
    ----------
    seconds : float
        On the clock.
    task_cpu : float
        Tasks, on a processor.
    task_wait : float
        Tasks, waiting for a processor, for the interpreter or for a disk.
    task_other : float
        Around tasks: unpacking their arguments, starting threads.
    receive, send : float
        Moving results between workers.
    sends : int
        Answers that workers sent to one another and to the driver.
    sent_bytes : int
    worker_cpu : float or None
        Processor seconds of worker processes; None where they share the driver's.
    scheduler_cpu : float or None
        Processor seconds of the scheduler's thread, in which it also serves the client (and, within one process, the worker).
    driver_cpu : float
        Processor seconds of the thread that submits and keeps the books.
    idle : float
        Of the workers' threads.
    """

    seconds: float
    task_cpu: float
    task_wait: float
    task_other: float
    receive: float
    send: float
    sends: int
    sent_bytes: int
    worker_cpu: float | None
    scheduler_cpu: float | None
    driver_cpu: float
    idle: float


def _ask_worker(dask_worker: Any) -> tuple[str, int, float, dict[str, float]]:
    meters = dict.fromkeys(("execute.cpu", "execute.wait", "execute.other", "receive", "send"), 0.0)
    meters["sends"], meters["sent"] = (
        dask_worker.transfer_outgoing_count_total,
        dask_worker.transfer_outgoing_bytes_total,
    )
    for name, value in dask_worker.digests_total.items():
        if not isinstance(name, tuple) or name[0] not in _COUNTED or name[-1] != "seconds":
            continue
        activity, label = name[0], name[-2]
        if activity == "execute":
            part = {"thread-cpu": "cpu", "thread-noncpu": "wait"}.get(label, "other")
            meters[f"execute.{part}"] += value
        else:
            meters["receive" if activity == "gather-dep" else "send"] += value
    return dask_worker.address, os.getpid(), time.process_time(), meters


def _ask_scheduler() -> float:
    return time.thread_time()  # called in the scheduler's own thread


def look(executor: Executor) -> Look:
    """Read all clocks now."""
    began, driver = time.perf_counter(), time.thread_time()
    if not isinstance(executor, DaskExecutor):
        return Look(began, began, driver)
    answers = executor.client.run(_ask_worker)
    meters: dict[str, float] = {}
    processes = {}
    for address, number, spent, mine in answers.values():
        processes[address.rsplit(":", 1)[0], number] = spent
        for name, value in mine.items():
            meters[name] = meters.get(name, 0.0) + value
    loop = executor.client.run_on_scheduler(_ask_scheduler)
    return Look(began, time.perf_counter(), driver, loop, meters, processes, os.getpid())


def spent(executor: Executor, before: Look, after: Look) -> Spending:
    """What was spent between two looks."""
    seconds = after.began - before.ended
    if not isinstance(executor, DaskExecutor):
        busy = after.driver - before.driver
        return Spending(seconds, busy, seconds - busy, 0.0, 0.0, 0.0, 0, 0, None, None, busy, 0.0)
    gone = {name: after.meters[name] - before.meters.get(name, 0.0) for name in after.meters}
    apart = [key for key in after.processes if key[1] != after.mine]
    worker_cpu = sum(after.processes[key] - before.processes.get(key, 0.0) for key in apart)
    busy = gone["execute.cpu"] + gone["execute.wait"] + gone["execute.other"]
    assert after.loop is not None and before.loop is not None
    return Spending(
        seconds=seconds,
        task_cpu=gone["execute.cpu"],
        task_wait=gone["execute.wait"],
        task_other=gone["execute.other"],
        receive=gone["receive"],
        send=gone["send"],
        sends=int(gone["sends"]),
        sent_bytes=int(gone["sent"]),
        worker_cpu=worker_cpu if apart else None,
        scheduler_cpu=after.loop - before.loop,
        driver_cpu=after.driver - before.driver,
        idle=max(0.0, executor.workers * executor.threads * seconds - busy),
    )
