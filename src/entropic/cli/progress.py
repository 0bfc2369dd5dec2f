"""A run while it goes on: a view on a terminal, elsewhere a line now and then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from math import inf

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from entropic.observer import Observer
from entropic.report.live import Reading, Watch
from entropic.store import RunStore

__all__ = ["followed", "view"]

_BOOKS_SECONDS = 10.0  # between books that somebody looks at
_LINE_SECONDS = 30.0  # between two lines: a log of a day is then 3,000 of them

Booked = Callable[[RunStore, int], None]


def view(reading: Reading) -> RenderableType:
    """What a terminal shows of a run at a moment."""
    bar = Table.grid(padding=(0, 2))
    done = reading.cycle >= reading.cycles
    bar.add_row(
        Text(f"cycle {reading.cycle:,}/{reading.cycles:,}"),
        ProgressBar(total=max(reading.cycles, 1), completed=reading.cycle, width=20),
        Text("the laws are audited" if done else _pace(reading)),
    )
    books = Table.grid(padding=(0, 2))
    books.add_column(style="dim")
    for name, text in _lines(reading):
        books.add_row(name, text)
    return Group(bar, books)


def _pace(reading: Reading) -> str:
    if reading.left is None:
        return "no cycle yet"
    return f"{reading.rate * reading.sites:.2e} site-cycles/s, {timedelta(seconds=round(reading.left))} left"


def _lines(reading: Reading) -> Iterator[tuple[str, Text]]:
    tally = reading.tally
    if tally is None:
        yield "books", Text("not closed yet: they are at the next checkpoint")
    else:
        yield f"to cycle {tally.cycle:,}", Text(f"gross {tally.gross:,}  cost {tally.cost:,}  net {tally.net:,} quanta")
        residual = Text(f"first-law residual {tally.residual}", "bold red" if tally.residual else "")
        yield "", Text(f"batteries {tally.battery:,} quanta  ") + residual
        entropy = tally.entropy
        tape = f"  tape {entropy['tape']:,.0f}" if entropy["tape"] else ""
        yield "entropy", Text(f"{entropy['region']:,.0f} of {entropy['equilibrium']:,.0f} in equilibrium{tape} nat")
    yield "workers", Text(f"{reading.workers} × {reading.threads} threads")


@contextmanager
def followed(
    console: Console, watch: Watch, booked: Booked | None, stop: Callable[[], bool], page: bool = False
) -> Iterator[Observer]:
    """An observer of a run, shown on a console; ``page``: the watch is read elsewhere, too, and must know the books."""
    if console.is_terminal:
        with Live(get_renderable=lambda: view(watch.reading), console=console, transient=True):
            yield Observer(watch.progress, _both(watch.booked, booked), stop, _BOOKS_SECONDS)
        return
    line = _line(console, watch)

    def progress(cycle: int) -> None:
        watch.progress(cycle)
        line()

    patience = _BOOKS_SECONDS if page else inf
    yield Observer(progress, _both(watch.booked if page else None, booked), stop, patience)


def _both(*calls: Booked | None) -> Booked:
    def booked(store: RunStore, cycle: int) -> None:
        for call in calls:
            if call is not None:
                call(store, cycle)

    return booked


def _line(console: Console, watch: Watch) -> Callable[[], None]:
    said: float | None = None

    def show() -> None:
        nonlocal said
        now, reading = watch.clock(), watch.reading
        if said is None:
            said = now
        if reading.rate and now - said >= _LINE_SECONDS:
            said = now
            console.print(f"cycle {reading.cycle} of {reading.cycles}, {_pace(reading)}", soft_wrap=True)

    return show
