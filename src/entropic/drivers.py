"""Who drives a run: one process at a time, by a lock; and who ever did, by a file that only grows."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, final

from entropic.batch.allocation import job_id
from entropic.errors import ResourceError, StoreError

__all__ = ["Driver", "StoreBusyError", "beside", "drivers", "is_locked", "note_driver", "take_lock"]

_LOCK_SECONDS = 1.0  # `is_locked` takes the lock, too, for an instant
_SHOWN = 20


@final
class StoreBusyError(ResourceError):
    """Another driver is writing."""


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def take_lock(run: Path) -> IO[str]:
    """Become the one writer of a run, until the file is closed or the process ends.

    Raises
    ------
    StoreBusyError
        Another process is.
    StoreError
        In place of the lock is a link.
    """
    try:
        lock = open(run / "lock", "w", opener=_no_link)  # noqa: SIM115 - a Path knows no opener
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise StoreError(f"{run / 'lock'} is a link.", "remove it") from error
    end = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except OSError as error:
            if time.monotonic() > end:
                lock.close()
                raise StoreBusyError(
                    f"{run} is being written by another driver.", "wait for it, or stop it first"
                ) from error
        time.sleep(0.05)


def is_locked(run: Path) -> bool:
    """Whether a driver is at work, on this host or on another."""
    try:
        with (run / "lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


@contextmanager
def beside(run: Path) -> Iterator[Callable[[bool], None]]:
    """Read a run that a driver may be writing: what looks like damage, or (call it) a law that fails, may be that.

    Yields
    ------
    callable(holds)
        Raises unless it holds, or there is no driver whose work could be why.

    Raises
    ------
    StoreBusyError
        In place of a `StoreError`, if a driver was at work.
    """
    before = is_locked(run)

    def require(holds: bool) -> None:
        if not holds and (before or is_locked(run)):
            found = f"{run} is being written by a driver, and changed while it was read."
            raise StoreBusyError(found, "try again, or wait until the run has ended")

    try:
        yield require
    except StoreError:
        require(False)
        raise


@final
@dataclass(frozen=True)
class Driver:
    """One process that began, or went on with, a run.

    Attributes
    ----------
    began : str
        ISO 8601, UTC.
    host : str
    pid : int
    job : str or None
        Id of the batch job that it ran in.
    restarts : int
        How often that job had been queued again.
    cycle : int
        Cycles that were done when it began.
    """

    began: str
    host: str
    pid: int
    job: str | None
    restarts: int
    cycle: int

    @property
    def where(self) -> str:
        """In words."""
        process = f"process {self.pid} on {self.host}"
        if self.job is None:
            return process
        return f"job {self.job}{f', start {self.restarts + 1}' if self.restarts else ''}, {process}"


def note_driver(run: Path, cycle: int) -> None:
    """Add this process to those that drove a run; ``cycle``: cycles that are done.

    What is there and is no file of the run's own gives way: nothing is written to where a link leads.
    """
    began, restarts = datetime.now(UTC).isoformat(timespec="seconds"), os.environ.get("SLURM_RESTART_COUNT", "0")
    driver = Driver(began, platform.node(), os.getpid(), job_id(os.environ), int(restarts), cycle)
    place = run / "drivers.jsonl"
    if place.is_symlink():
        place.unlink()
    elif place.is_dir():
        place.rmdir()
    with place.open("a") as file:
        file.write(json.dumps(asdict(driver)) + "\n")


def drivers(run: Path) -> tuple[Driver, ...]:
    """The last of those who drove a run, oldest first; a line that a crash cut short is left out."""
    try:
        lines = (run / "drivers.jsonl").read_text("utf-8", "replace").splitlines()
    except OSError:
        return ()
    return tuple(driver for line in lines[-_SHOWN:] if (driver := _driver(line)) is not None)


def _driver(line: str) -> Driver | None:
    try:
        record = json.loads(line)
        job = record["job"]
        return Driver(
            began=str(record["began"]),
            host=str(record["host"]),
            pid=int(record["pid"]),
            job=None if job is None else str(job),
            restarts=int(record["restarts"]),
            cycle=int(record["cycle"]),
        )
    except (LookupError, TypeError, ValueError, OverflowError, RecursionError):
        return None
