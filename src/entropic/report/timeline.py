"""What ran where and when, if the run was asked to note it (--timeline)."""

from __future__ import annotations

from typing import Any

import numpy as np

from entropic.errors import StoreError
from entropic.report.charts import Figure, Spans
from entropic.report.tables import counted, near, number
from entropic.store import RunStore

__all__ = ["timeline_figure"]

_DRAWN = 4000
_LANES = 1 << 16  # more threads than any run has
_COLUMNS = ("worker", "thread", "task", "what", "start", "stop")


def timeline_figure(store: RunStore) -> Figure | None:
    """The run's tasks; None if they were not noted.

    Raises
    ------
    StoreError
        What was noted is damaged.
    """
    if not (store.path / "timeline.json").exists():
        return None
    noted = store.read_json("timeline.json")
    try:
        columns = {name: list(noted[name]) for name in _COLUMNS}
        used = set(zip(map(int, columns["worker"]), map(int, columns["thread"]), strict=True))
        workers, threads = int(noted["workers"]), int(noted["threads"])
        if workers * threads > _LANES:
            raise ValueError(f"{workers} workers of {threads} threads")
        places = sorted(used | {(w, t) for w in range(workers) for t in range(threads)})
        start, stop = np.array(columns["start"], float), np.array(columns["stop"], float)
        kinds = [t if w == "compute" else str(w) for t, w in zip(columns["task"], columns["what"], strict=True)]
        lanes = [places.index((int(w), int(t))) for w, t in zip(columns["worker"], columns["thread"], strict=True)]
        if not len(start) == len(stop) == len(lanes) == len(kinds):
            raise ValueError("columns of different lengths")
        if not np.isfinite([start, stop]).all():
            raise ValueError("times that are none")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise StoreError(f"{store.path}/timeline.json is damaged: {error}.", "remove it, or run again") from error
    return _figure(places, np.array(lanes, np.int64), start, stop, kinds) if kinds else None


def _figure(places: list[tuple[int, int]], lanes: Any, start: Any, stop: Any, kinds: list[str]) -> Figure:
    first, whole = float(start.min()), float(stop.max() - start.min())
    chosen = np.sort(np.argsort(start - stop, kind="stable")[:_DRAWN])
    busy = sum(_covered(start[lanes == i], stop[lanes == i]) for i in range(len(places)))
    share = busy / (whole * len(places)) if whole else 1.0
    how = f"The longest {number(_DRAWN)} of {number(len(kinds))} spans." if len(kinds) > _DRAWN else ""
    chart = Spans(
        lanes=tuple(f"worker {worker}, thread {thread}" for worker, thread in places),
        lane=lanes[chosen],
        start=start[chosen] - first,
        stop=stop[chosen] - first,
        kind=tuple(kinds[i] for i in chosen),
    )
    return Figure(
        "timeline",
        "What ran where and when",
        f"{number(len(kinds))} tasks and transfers on {counted(len(places), 'thread')} within {near(whole)} s; the threads were "
        f"busy for {share:.0%} of the time.",
        chart,
        how,
    )


def _covered(start: Any, stop: Any) -> float:
    """Seconds that the union of some spans covers: transfers and tasks may overlap."""
    order = np.argsort(start)
    reached = np.concatenate([[-np.inf], np.maximum.accumulate(stop[order])[:-1]])
    return float(np.maximum(stop[order] - np.maximum(start[order], reached), 0.0).sum())
