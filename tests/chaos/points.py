"""Signals at chosen points of a run: a preload of Dask's workers, and ``python points.py …`` in place of ``entropic …``.

``ENTROPIC_CHAOS`` names a directory with ``plan.json``: a list of points, each with a cycle from which it counts and the
signal that whoever comes there first sends itself, once in all.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

VARIABLE = "ENTROPIC_CHAOS"
NOTES = "ENTROPIC_CHAOS_NOTES"  # a directory in which workers note each task that they begin
_CYCLE = re.compile(r"(?:\.tmp|cycle)-(\d{9})")


@final
@dataclass(frozen=True)
class Point:
    """Where, from which cycle on, and what signal."""

    name: str
    signal: int = signal.SIGKILL
    cycle: int = 0


@final
class Points:
    """Those of a directory, shared by all processes of a run."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def arm(self, points: Sequence[Point]) -> dict[str, str]:
        """Write them down; returns the environment in which they hold for workers."""
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "plan.json").write_text(json.dumps([asdict(point) for point in points]))
        return {VARIABLE: str(self.directory), "DASK_DISTRIBUTED__WORKER__PRELOAD": str(Path(__file__).resolve())}

    def reached(self) -> dict[int, int]:
        """Process by number of the point that it came to."""
        found = {}
        for path in self.directory.glob("reached-*"):
            if text := path.read_text():
                found[int(path.name.split("-")[1])] = int(text)
        return found

    def come(self, name: str, cycle: int) -> None:
        """This process is there."""
        for number, point in enumerate(json.loads((self.directory / "plan.json").read_text())):
            if point["name"] != name or cycle < point["cycle"]:
                continue
            try:
                with (self.directory / f"reached-{number}").open("x") as file:
                    file.write(str(os.getpid()))
            except FileExistsError:
                continue
            os.kill(os.getpid(), point["signal"])
            return


def _told(path: object) -> int:
    """The cycle of a checkpoint, by its name."""
    found = _CYCLE.search(str(path))
    return int(found.group(1)) if found else 0


def _before(points: Points, module: Any, function: str, name: str, cycle: Callable[..., int]) -> None:
    """Come to a point whenever a function is called."""
    plain = getattr(module, function)

    def called(*arguments: Any, **named: Any) -> Any:
        points.come(name, cycle(*arguments, **named))
        return plain(*arguments, **named)

    setattr(module, function, called)


def _after(points: Points, module: Any, function: str, name: str, cycle: Callable[..., int]) -> None:
    plain = getattr(module, function)

    def called(*arguments: Any, **named: Any) -> Any:
        found = plain(*arguments, **named)
        points.come(name, cycle(*arguments, **named))
        return found

    setattr(module, function, called)


def _amid_files(points: Points) -> None:
    """While a file of a checkpoint has content, but not its name yet."""
    from zarr.storage import _local

    plain = _local._atomic_write

    @contextmanager
    def torn(path: Path, *arguments: Any, **named: Any) -> Iterator[Any]:
        with plain(path, *arguments, **named) as file:
            yield file
            if "/quanta/c/" in str(path) and (cycle := _told(path)):
                file.flush()
                points.come("amid a file", cycle)

    _local._atomic_write = torn  # type: ignore[assignment]


def _in_workers(points: Points) -> None:
    from entropic import computer
    from entropic.engine import checkpoint, drive, state

    _before(points, state, "first_state", "drawing", lambda *_: 0)
    _before(points, computer, "_opening", "opening", lambda *_: 0)
    _before(points, drive, "_step", "step", lambda state, block, segment, *_: max(segment.closed, default=0))
    _before(points, drive, "_face", "face", lambda state, *_: max((row.cycle for row in state.rows), default=0))
    _before(points, computer, "_books", "books", lambda state: max(row.cycle for row in state.rows))
    _before(points, computer, "_write_tape", "tape", lambda state, block, path, first, last: last)
    _after(points, computer, "_write_tape", "tape written", lambda state, block, path, first, last: last)
    _before(points, checkpoint, "write_block", "write", lambda state, block, path: _told(path))
    _after(points, checkpoint, "write_block", "written", lambda state, block, path: _told(path))
    _before(points, checkpoint, "reload_block", "load", lambda block, path: _told(path))
    _amid_files(points)


def _in_driver(points: Points) -> None:
    from entropic import computer
    from entropic.store import RunStore

    _before(points, RunStore, "write_opening", "opening to write", lambda *_: 0)
    _before(points, computer, "begin", "checkpoint begins", lambda directory, cycle, grid: cycle)
    _before(points, computer, "commit", "blocks written", lambda path, cycle, *_: cycle)
    _after(points, computer, "commit", "committed", lambda path, cycle, *_: cycle)
    _after(points, computer, "prune", "pruned", lambda directory: max(map(_told, directory.glob("cycle-*"))))
    _before(points, RunStore, "append_books", "books to append", lambda store, ledger: ledger.first)
    _after(points, RunStore, "append_books", "books appended", lambda store, ledger: ledger.first)
    _after(points, RunStore, "append_series", "series appended", lambda store, *_: _newest(store))
    _after(points, RunStore, "truncate", "truncated", lambda store, cycle: cycle)
    _before(points, RunStore, "write_json", "summary", lambda store, name, *_, **__: name == "summary.json")


def _newest(store: Any) -> int:
    return max(map(_told, store.checkpoints.glob("cycle-*")), default=0)


@final
class _Noting:
    """A plugin of a worker."""

    def __init__(self, place: Path) -> None:
        self._file = (place / f"notes-{os.getpid()}").open("w", buffering=1)

    def transition(self, key: Any, start: str, finish: str, **named: Any) -> None:
        if finish == "executing":
            self._file.write(json.dumps(key) + "\n")


def dask_setup(worker: Any) -> None:
    """Called by Dask in a worker that starts."""
    if place := os.environ.get(NOTES):
        worker.plugins["notes"] = _Noting(Path(place))
    points = Points(Path(os.environ[VARIABLE]))
    points.come("start", 0)
    _in_workers(points)


if __name__ == "__main__":
    from entropic.cli import main

    here = Points(Path(os.environ[VARIABLE]))
    here.come("driver starts", 0)
    _in_driver(here)
    sys.argv[0] = "entropic"
    main()
