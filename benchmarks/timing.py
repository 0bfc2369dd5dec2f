"""Measuring on a machine that is never quite quiet: rivals take turns, and medians of their ratios are compared.

Time is the process's own, on all cores: what others do meanwhile does not count, and no rival wins by using more cores.
"""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

__all__ = ["Timing", "rows_of", "take_turns"]

_SHORTEST = 0.01  # seconds; what takes less is called several times a round


@final
@dataclass(frozen=True)
class Timing:
    """Seconds of some repeats, and how they compare with a rival that ran in the same rounds.

    Attributes
    ----------
    median, least : float
        Processor seconds.
    ratio : float
        Median over the rounds of this one's seconds by the rival's.
    """

    median: float
    least: float
    ratio: float


def take_turns(rivals: Mapping[str, Callable[[], object]], repeats: int, budget: float = 60.0) -> dict[str, Timing]:
    """Time functions in rounds, each of which runs every one of them (often enough to be measured).

    Before the first round each is called twice, for compilers and caches and to see how long it takes.

    Parameters
    ----------
    rivals : dict of callables
        By name; the first is what the others are compared with.
    repeats : int
        Rounds; at least three are made, and no more begun after ``budget`` seconds.
    """
    calls = {}
    for name, function in rivals.items():
        function()
        start = time.perf_counter()
        function()
        calls[name] = math.ceil(_SHORTEST / (time.perf_counter() - start))
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    began = time.perf_counter()
    for number in range(repeats):
        if number >= 3 and time.perf_counter() - began > budget:
            break
        for name, function in rivals.items():
            gc.collect()
            start = time.process_time()
            for _ in range(calls[name]):
                function()
            seconds[name].append((time.process_time() - start) / calls[name])
    ours = next(iter(seconds.values()))
    return {
        name: Timing(
            statistics.median(times),
            min(times),
            statistics.median(theirs / mine for theirs, mine in zip(times, ours, strict=True)),
        )
        for name, times in seconds.items()
    }


def rows_of(timings: Mapping[str, Timing], units: int) -> list[dict[str, Any]]:
    """Timings as rows of a table: nanoseconds a unit (a site, say), and the ratio to the first."""
    return [
        {"name": name, "ns": timing.median / units * 1e9, "least_ns": timing.least / units * 1e9, "ratio": timing.ratio}
        for name, timing in timings.items()
    ]
