"""Who looks on while a run goes on: what it tells them, and how they stop it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from entropic.errors import EntropicError
from entropic.store import RunStore

__all__ = ["Interrupted", "Observer"]


@final
class Interrupted(EntropicError):
    """The user stopped the run; a checkpoint was written."""

    exit_code = 130


@final
@dataclass
class Observer:
    """What a run tells while it goes on, and how it is told to stop.

    Attributes
    ----------
    progress : callable(cycle)
        Called as cycles are finished.
    booked : callable(store, cycle)
        Called when books and a checkpoint up to a cycle are on disk.
    stop : callable() -> bool
        Whether to end with a checkpoint now.
    patience : float
        Seconds between books that somebody who looks on can bear.
    """

    progress: Callable[[int], None] = lambda cycle: None
    booked: Callable[[RunStore, int], None] = lambda store, cycle: None
    stop: Callable[[], bool] = lambda: False
    patience: float = math.inf
