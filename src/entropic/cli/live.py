"""A run while it goes on: the view on the terminal, and the page on loopback that --live asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from entropic.cli.show import err
from entropic.computer import Observer
from entropic.report.live import LiveServer, Reading, Watch
from entropic.store import RunStore

__all__ = ["followed", "view"]


def view(reading: Reading) -> RenderableType:
    """What the terminal shows of a run at a moment."""
    bar = Table.grid(padding=(0, 2))
    left = str(timedelta(seconds=round(reading.left))) if reading.left is not None else "not known yet"
    pace = f"{reading.rate * reading.sites:.2e} site-cycles/s" if reading.rate else "no cycle yet"
    bar.add_row(
        Text(f"cycle {reading.cycle:,}/{reading.cycles:,}"),
        ProgressBar(total=max(reading.cycles, 1), completed=reading.cycle, width=24),
        Text(pace),
        Text(f"left {left}"),
    )
    books = Table.grid(padding=(0, 2))
    books.add_column(style="dim")
    for name, text in _lines(reading):
        books.add_row(name, text)
    return Group(bar, books)


def _lines(reading: Reading) -> Iterator[tuple[str, Text]]:
    tally = reading.tally
    if tally is None:
        yield "books", Text("not closed yet: they are at the first checkpoint")
    else:
        yield f"to cycle {tally.cycle:,}", Text(f"gross {tally.gross:,}  cost {tally.cost:,}  net {tally.net:,} quanta")
        broken = "bold red" if tally.residual else ""
        state = Text(f"batteries {tally.battery:,} quanta  ") + Text(f"first-law residual {tally.residual}", broken)
        yield "", state
        entropy = tally.entropy
        tape = f"  tape {entropy['tape']:,.0f}" if entropy["tape"] else ""
        yield "entropy", Text(f"{entropy['region']:,.0f} of {entropy['equilibrium']:,.0f} in equilibrium{tape} nat")
    yield "workers", Text(f"{reading.workers} × {reading.threads} threads")


@contextmanager
def followed(
    watch: Watch, booked: Callable[[RunStore, int], None] | None, stop: Callable[[], bool], page: bool
) -> Iterator[Observer]:
    """An observer of a run: a view on stderr if that is a terminal, the page if asked for, neither otherwise."""
    with LiveServer(lambda: watch.reading) if page else nullcontext() as server:
        if server is not None:
            err.print(f"live: {server.address}", soft_wrap=True)
        if not err.is_terminal and server is None:
            yield Observer(progress=lambda cycle: None, booked=booked or _nothing, stop=stop)
            return

        def closed(store: RunStore, cycle: int) -> None:
            watch.booked(store, cycle)
            if booked is not None:
                booked(store, cycle)

        live = Live(get_renderable=lambda: view(watch.reading), console=err, refresh_per_second=4, transient=True)
        with live if err.is_terminal else nullcontext():
            yield Observer(progress=watch.progress, booked=closed, stop=stop)


def _nothing(store: RunStore, cycle: int) -> None:
    pass
