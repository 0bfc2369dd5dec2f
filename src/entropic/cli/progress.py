"""How far a run is, how fast it goes and how long it will take: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

__all__ = ["progress"]

_LINE_SECONDS = 30.0  # between two lines: a log of a day is then 3,000 of them


@contextmanager
def progress(
    console: Console, total: int, sites: int, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[int], None]]:
    """What to call as cycles are done; the first call says where the run begins, which after a resume is not at 0."""
    if not console.is_terminal:
        yield _lines(console, total, sites, clock)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, get_time=clock) as bar:
        task = bar.add_task("cycle", total=total, rate="")
        begun = False

        def show(cycle: int) -> None:
            nonlocal begun
            if not begun:
                bar.reset(task, completed=cycle)
                begun = True
            speed = bar.tasks[0].speed
            rate = f"{speed * sites:.2e} site-cycles/s" if speed else ""
            bar.update(task, completed=cycle, rate=rate, description="cycle" if cycle < total else "audit after cycle")

        yield show


def _lines(console: Console, total: int, sites: int, clock: Callable[[], float]) -> Callable[[int], None]:
    first: int | None = None
    began = said = clock()

    def show(cycle: int) -> None:
        nonlocal first, began, said
        now = clock()
        if first is None:
            first, began, said = cycle, now, now
        if cycle > first and now - said >= _LINE_SECONDS:
            said = now
            pace = (now - began) / (cycle - first)
            left = timedelta(seconds=round(pace * (total - cycle)))
            console.print(f"cycle {cycle} of {total}, {sites / pace:.2e} site-cycles/s, {left} left", soft_wrap=True)

    return show
