"""Tables: those of a page, and the one behind every figure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import singledispatch
from typing import Any, final

import numpy as np

from entropic.report.charts import Bars, Chart, Line, Lines, Map, Sankey, Spans, Stacks

__all__ = ["Cell", "Table", "counted", "near", "number", "spanned", "table_of"]

Cell = str | int | float | bool | None


@final
@dataclass(frozen=True)
class Table:
    """Rows of words and numbers.

    Parameters
    ----------
    caption : str
    header : tuple of str
    rows : tuple of tuples
        Truth values become yes and no; None stays empty.
    folded : bool
        Whether the page shows it only when asked.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    folded: bool = False


def number(value: Cell, figures: int = 6) -> str:
    """A number as it is read: thousands apart, a true minus; integers whole, others to so many figures."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return f"{value:,}".replace("-", "\N{MINUS SIGN}")
    if np.isnan(value):
        return "–"
    value += 0.0  # no −0
    text = f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.{figures}g}"
    return text.replace("-", "\N{MINUS SIGN}").replace("inf", "∞")


def near(value: float) -> str:
    """A number in a sentence: whole from a thousand on, else four figures."""
    return number(float(value), 4)


def spanned(found: Mapping[str, float | None]) -> str:
    """A value with its interval, if it has one, in a sentence."""
    value, low, high = found["value"], found["low"], found["high"]
    assert value is not None
    return near(value) + ("" if low is None or high is None else f" ({near(low)} to {near(high)})")


def counted(count: int, thing: str) -> str:
    """So many of a thing."""
    return f"{number(count)} {thing}" + ("" if count == 1 else "s")


@singledispatch
def table_of(chart: Chart) -> Table:
    """The numbers that a chart is drawn from."""
    raise TypeError(f"no table of a {type(chart).__name__}")


def _plain(values: Any) -> list[Any]:
    return [value.item() if isinstance(value, np.generic) else value for value in values]


@table_of.register
def _(chart: Lines) -> Table:
    lines = [line for panel in chart.panels for line in panel.lines]
    often = Counter(line.label for line in lines)
    columns = [
        (f"{panel.y_label}: {name}" if often[line.label] > 1 else name, values)
        for panel in chart.panels
        for line in panel.lines
        for name, values in _columns(line)
    ]
    header = (chart.x_label, *(name for name, _ in columns))
    rows: dict[tuple[Any, int], list[Any]] = {}  # by x, and how many times the line had it before
    at = 1
    for line in lines:
        known: Counter[Any] = Counter()
        keys = []
        for x in _plain(line.x):
            keys.append((x, known[x]))
            known[x] += 1
        for _, values in _columns(line):
            for key, value in zip(keys, _plain(values), strict=True):
                rows.setdefault(key, [None] * len(columns))[at - 1] = value
            at += 1
    return Table("", header, tuple((x, *rows[x, again]) for x, again in sorted(rows)))


def _columns(line: Line) -> Iterator[tuple[str, Any]]:
    yield line.label, line.y
    if line.low is not None and line.high is not None:
        yield f"{line.label}, low", line.low
        yield f"{line.label}, high", line.high


@table_of.register
def _(chart: Bars) -> Table:
    rows = zip(_plain(chart.x), _plain(chart.counts), _plain(chart.expected), strict=True)
    label = chart.x_label if chart.width == 1 else f"{chart.x_label}, from ({number(chart.width)} wide)"
    return Table("", (label, chart.counts_label, chart.expected_label), tuple(rows))


@table_of.register
def _(chart: Map) -> Table:
    """First and last moment only."""
    kept = sorted({0, len(chart.moments) - 1})
    header = (*chart.axes, *(f"{chart.label} after cycle {chart.moments[i]} ({chart.units})" for i in kept))
    places = [_plain(place) for place in chart.places]
    columns = [_plain(chart.values[i]) for i in kept]
    return Table("", header, tuple((*place, *values) for place, *values in zip(places, *columns, strict=True)))


@table_of.register
def _(chart: Sankey) -> Table:
    labels = {node.name: node.label for node in chart.nodes}
    rows = tuple((labels[s.source], labels[s.target], s.quanta) for s in chart.streams)
    return Table("", ("from", "to", "quanta"), rows)


@table_of.register
def _(chart: Spans) -> Table:
    """By lane and kind: how many, how long."""
    totals: dict[tuple[int, str], tuple[int, float]] = {}
    for lane, kind, seconds in zip(chart.lane.tolist(), chart.kind, (chart.stop - chart.start).tolist(), strict=True):
        count, time = totals.get((lane, kind), (0, 0.0))
        totals[lane, kind] = count + 1, time + seconds
    rows = tuple((chart.lanes[lane], kind, *totals[lane, kind]) for lane, kind in sorted(totals))
    return Table("", ("worker", "task", "tasks", "seconds"), rows)


@table_of.register
def _(chart: Stacks) -> Table:
    rows = zip(chart.labels, *(_plain(values) for values in chart.parts.values()), strict=True)
    return Table("", ("layout", *chart.parts), tuple(rows))
