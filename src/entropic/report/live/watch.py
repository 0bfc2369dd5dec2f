"""What is known of a run that goes on: fed by its observer, read by the terminal and by the page."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, final

from entropic.errors import EntropicError
from entropic.report.live.tally import Tally, opened, tallied
from entropic.store import RunStore

__all__ = ["Reading", "Watch"]

_LOOK_BACK = 30.0  # seconds over which the rate is taken


@final
@dataclass(frozen=True)
class Reading:
    """A run at a moment.

    Attributes
    ----------
    cycle, cycles : int
        Done, and wanted.
    rate : float
        Cycles a second of late; 0: not known yet.
    workers, threads : int
        Workers that are there, and threads of each.
    tally : Tally or None
        What the books say, to the cycle up to which they are on disk.
    store : str
    """

    cycle: int
    cycles: int
    sites: int
    rate: float = 0.0
    workers: int = 1
    threads: int = 1
    tally: Tally | None = None
    store: str = ""

    @property
    def left(self) -> float | None:
        """Seconds to go; None: not known yet."""
        return (self.cycles - self.cycle) / self.rate if self.rate else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        books = None
        if self.tally is not None:
            t = self.tally
            books = {
                **{name: getattr(t, name) for name in ("cycle", "gross", "cost", "net", "residual", "battery")},
                "entropy": dict(t.entropy),
            }
        plain = {name: value for name, value in asdict(replace(self, tally=None)).items() if name != "tally"}
        return {**plain, "left": self.left, "site_cycles_per_second": self.rate * self.sites, "books": books}


@final
class Watch:
    """Takes in what the observer is told; ``reading`` is whole at any moment, for any thread.

    Parameters
    ----------
    cycles, sites : int
        Of the run.
    workers : callable() -> (int, int)
        Workers that are there, and threads of each.
    clock : callable() -> float
        Seconds.
    """

    def __init__(
        self,
        cycles: int,
        sites: int,
        workers: Callable[[], tuple[int, int]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.reading = Reading(0, cycles, sites)
        self.clock = clock
        self._workers = workers
        self._seen: deque[tuple[float, int]] = deque()

    def progress(self, cycle: int) -> None:
        """So many cycles are done; the first call says where the run begins, which after a resume is not at 0."""
        now = self.clock()
        self._seen.append((now, cycle))
        while len(self._seen) > 2 and now - self._seen[0][0] > _LOOK_BACK:
            self._seen.popleft()
        began, first = self._seen[0]
        rate = (cycle - first) / (now - began) if now > began else 0.0
        workers, threads = self._workers()
        self.reading = replace(self.reading, cycle=cycle, rate=rate, workers=workers, threads=threads)

    def booked(self, store: RunStore, cycle: int) -> None:
        """Books up to a cycle are on disk.  A view that cannot read them is no reason to stop the run."""
        try:
            tally = tallied(store, self.reading.tally or opened(store), cycle)
        except (EntropicError, OSError):
            return
        self.reading = replace(self.reading, tally=tally, store=str(store.path))
