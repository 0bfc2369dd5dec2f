"""Which task ran where and when, as the scheduler noted it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from entropic.engine.cluster import DaskExecutor, Executor

__all__ = ["recorded"]

Notes = dict[str, Any]


@contextmanager
def recorded(executor: Executor) -> Iterator[Callable[[], Notes]]:
    """Have tasks noted from now on; what is given returns those of them that the scheduler still knows (100,000).

    Returns ``workers`` and ``threads`` of each, and columns: ``worker`` and ``thread`` (numbers), ``task`` (its name, without
    the block), ``what`` (``compute``, ``transfer``, ``disk-read``, …), ``start`` and ``stop`` (seconds since the beginning).
    An executor without a scheduler notes nothing.
    """
    if not isinstance(executor, DaskExecutor):
        yield lambda: {"workers": executor.workers, "threads": executor.threads, **_columns([], 0.0)}
        return
    ask = executor.client.get_task_stream
    began = time.time()
    ask(start=began)  # from the first question on, the scheduler takes notes
    yield lambda: {
        "workers": executor.workers,
        "threads": executor.threads,
        **_columns(list(ask(start=began)), began),
    }


def _columns(notes: list[dict[str, Any]], began: float) -> dict[str, list[Any]]:
    workers = {address: number for number, address in enumerate(sorted({note["worker"] for note in notes}))}
    threads: dict[tuple[str, int], int] = {}
    found: dict[str, list[Any]] = {name: [] for name in ("worker", "thread", "task", "what", "start", "stop")}
    for note in notes:
        place = (note["worker"], note["thread"])
        number = threads.setdefault(place, sum(address == note["worker"] for address, _ in threads))
        for part in note["startstops"]:
            row = (
                workers[note["worker"]],
                number,
                str(note["key"]).split("-")[0],
                part["action"],
                round(part["start"] - began, 6),
                round(part["stop"] - began, 6),
            )
            for column, value in zip(found.values(), row, strict=True):
                column.append(value)
    return found
