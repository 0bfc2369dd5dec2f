"""Runs what a study lacks, cell by cell, in its random order; stops between two bits of work, and goes on where it was."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import psutil

from entropic.durable import write_json
from entropic.engine.cluster import Executor, SerialExecutor, Where, connect
from entropic.engine.hive import hive
from entropic.errors import ClusterError
from entropic.observer import Interrupted
from entropic.provenance import provenance
from entropic.scaling.cells import TIMED, Cell, Layout, Session, cells_of, sessions_of
from entropic.scaling.measure import measure, refusal, warm_up
from entropic.scaling.store import StudyStore

__all__ = ["StudyObserver", "environment", "executor_on", "run_study"]

_AGAIN = ("failed",)  # states of cells that are worth another try


@final
@dataclass
class StudyObserver:
    """What a study tells while it goes on, and how it is told to stop.

    Attributes
    ----------
    began : callable(cell, done, of)
        Called before each cell.
    ended : callable(record, done, of)
        Called when a cell is on disk.
    stop : callable() -> bool
        Whether to end now.
    """

    began: Callable[[Cell, int, int], None] = lambda cell, done, of: None
    ended: Callable[[dict[str, Any], int, int], None] = lambda record, done, of: None
    stop: Callable[[], bool] = lambda: False


@contextmanager
def executor_on(layout: Layout) -> Iterator[Executor]:
    """Where a layout says: this thread, threads of this process, processes, or many workers in few processes."""
    if layout.workers == 0:
        yield SerialExecutor()
    elif layout.processes:
        with hive(layout.workers, layout.processes) as executor:
            yield executor
    else:
        with connect(Where(layout.workers, layout.threads, dashboard=False)) as executor:
            yield executor


def environment() -> dict[str, Any]:
    """What can make a difference to a measurement: versions, host, cores, memory, load."""
    return {
        **provenance(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": int(psutil.virtual_memory().total),
        "processor": _processor(),
        "load": list(os.getloadavg()),
    }


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    if facts.is_file():
        for line in facts.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def run_study(store: StudyStore, memory: Callable[[], int], observer: StudyObserver) -> None:
    """Run every cell that is not on disk yet.

    Parameters
    ----------
    memory : callable() -> int
        Bytes that a run may use.

    Raises
    ------
    Interrupted
        The user stopped it; what is done is on disk.
    """
    study = store.study()
    cells = cells_of(study)
    missing = {cell.name for cell in cells if _is_missing(store.record(cell.name))}
    if not missing:
        return
    store.lock()
    try:
        _note_environment(store)
        done = [len(cells) - len(missing), len(cells)]
        for session in sessions_of(cells, study.study.seed):
            mine = [cell for cell in session.cells if cell.name in missing]
            while mine:
                mine = _run_session(store, Session(session.layout, tuple(mine)), memory, observer, done)
    finally:
        shutil.rmtree(store.scratch, ignore_errors=True)
        store.scratch.mkdir(exist_ok=True)
        store.unlock()


def _is_missing(record: dict[str, Any] | None) -> bool:
    return record is None or record["state"] in _AGAIN


def _note_environment(store: StudyStore) -> None:
    path = store.path / "environment.json"
    number = 2
    while path.is_file():
        path = store.path / f"environment-{number}.json"
        number += 1
    write_json(path, environment())


def _run_session(
    store: StudyStore, session: Session, memory: Callable[[], int], observer: StudyObserver, done: list[int]
) -> list[Cell]:
    """Run cells on one cluster; returns those that are left because the cluster failed under one of them."""
    study = store.study()
    _stop_here(store, observer)
    cells = list(session.cells)

    def keep(record: dict[str, Any], outcome: Any = None) -> None:
        store.keep(record, outcome)
        done[0] += 1
        observer.ended(record, *done)

    try:
        with executor_on(session.layout) as executor:
            timed = next((cell for cell in cells if cell.kind in TIMED), None)
            for _ in range(study.study.warm_up if timed else 0):
                assert timed is not None
                warm_up(timed, executor, memory(), store.scratch)
            while cells:
                _stop_here(store, observer)
                cell = cells[0]
                observer.began(cell, *done)
                try:
                    record, outcome = measure(
                        cell, executor, memory(), store.scratch, observer.stop, study.thermodynamic.demons
                    )
                except Interrupted as error:
                    raise _interrupted(store) from error
                keep(record, outcome)
                cells.pop(0)
                if record["state"] == "failed":
                    return cells
    except ClusterError as error:  # it did not come up, or died while it warmed up
        for cell in cells:
            keep(refusal(cell, "failed", str(error)))
        return []
    return []


def _stop_here(store: StudyStore, observer: StudyObserver) -> None:
    if observer.stop():
        raise _interrupted(store)


def _interrupted(store: StudyStore) -> Interrupted:
    return Interrupted("interrupted; every finished cell is on disk.", f"go on with: entropic scale {store.path}")
