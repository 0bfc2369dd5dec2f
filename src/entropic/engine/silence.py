"""How long workers have shown no sign of life, or of work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

__all__ = ["Silence"]

_LEAST_SECONDS = 30.0  # workers speak twice a second where they are few
_SECONDS_A_WORKER = 0.05  # ten times by how much rarer Dask has each speak where they are many
_STEP_SECONDS = 5.0  # that may pass between two looks; if it was more, this process was stopped itself, or was busy


@final
class Silence:
    """Tells from looks at when each worker was last heard of who has gone silent.

    Its clock runs from look to look only, so that a laptop's lid, or a driver busy with its books, silences nobody.

    Attributes
    ----------
    of_all : float
        Seconds since any worker was heard of.
    of_work : float
        Seconds since `works` was called: workers may be heard of, and yet not get on (one that cannot allocate what it
        needs to send a result is asked for it for ever).
    """

    def __init__(self) -> None:
        self._clock = self._any = self._work = 0.0
        self._last_look: float | None = None
        self._heard: dict[str, tuple[float, float]] = {}  # of each worker, the scheduler's time and ours
        self._reported: set[str] = set()

    @property
    def of_all(self) -> float:
        return self._clock - self._any

    @property
    def of_work(self) -> float:
        return self._clock - self._work

    def works(self) -> None:
        """Something is, or was, computed."""
        self._work = self._clock

    def look(self, seen: Mapping[str, float], now: float) -> None:
        """Take note of when the scheduler last heard of each worker, by its clock; ``now``: by ours."""
        if self._last_look is not None:
            self._clock += min(now - self._last_look, _STEP_SECONDS)
        self._last_look = now
        for worker, when in seen.items():
            if worker not in self._heard or self._heard[worker][0] != when:
                self._heard[worker] = when, self._clock
                self._any = self._clock
                self._reported.discard(worker)
        for worker in self._heard.keys() - seen.keys():
            del self._heard[worker]
            self._reported.discard(worker)

    def newly_silent(self) -> list[str]:
        """Workers that have been silent for too long, each told once."""
        patience = max(_LEAST_SECONDS, _SECONDS_A_WORKER * len(self._heard))
        silent = {worker for worker, (_, heard) in self._heard.items() if self._clock - heard > patience}
        fresh = sorted(silent - self._reported)
        self._reported |= silent
        return fresh
