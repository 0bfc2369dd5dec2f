"""What a figure shows, as plain data: the same for the interactive page, for SVG and PNG, and for the table behind it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Bars",
    "Chart",
    "Figure",
    "Line",
    "Lines",
    "Map",
    "Node",
    "Panel",
    "Sankey",
    "Spans",
    "Stacks",
    "Stream",
    "axis_scale",
    "log_ticks",
]

_POWERS = 500  # ratio of an axis's ends from which on powers of ten are ticks enough
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SCALES = ((1e12, "trillion "), (1e9, "billion "), (1e6, "million "), (1e3, "thousand "))


@final
@dataclass(frozen=True)
class Line:
    """One row of points.

    Parameters
    ----------
    label : str
    x, y : array [points]
    role : str
        What it is of, which decides its colour (`entropic.report.colours`).
    dash : str
        How it is told apart without colour.
    low, high : array [points] or None
        A band around it: the range, or an interval of confidence.
    """

    label: str
    x: NDArray[Any]
    y: NDArray[Any]
    role: str
    dash: Literal["solid", "dashed", "dotted", "points"] = "solid"
    low: NDArray[Any] | None = None
    high: NDArray[Any] | None = None


@final
@dataclass(frozen=True)
class Panel:
    """One pair of axes.  ``units`` is the y axis's, in which all lines are; it may be scaled for the axis.

    A logarithmic axis ends at ``floor``: what lies below is in the table only.
    """

    lines: tuple[Line, ...]
    y_label: str
    units: str = ""
    y_log: bool = False
    floor: float | None = None


@final
@dataclass(frozen=True)
class Lines:
    """Panels one below the other with one x axis."""

    panels: tuple[Panel, ...]
    x_label: str
    x_log: bool = False


@final
@dataclass(frozen=True)
class Bars:
    """Counts, and what was expected of them.

    Parameters
    ----------
    x : array [bars]
        Left edges, all bars being ``width`` wide.
    counts, expected : array [bars]
    """

    x: NDArray[Any]
    width: float
    counts: NDArray[Any]
    expected: NDArray[Any]
    x_label: str
    y_label: str
    counts_label: str
    expected_label: str


@final
@dataclass(frozen=True)
class Map:
    """A lattice of up to four axes, its slices laid side by side, at several moments.

    Parameters
    ----------
    places : int array [cells, axes]
        Coordinates of the cells.
    shape : tuple of int
        Extents of the lattice of cells.
    moments : int array [moments]
        Cycles.
    values : float array [moments, cells]
    """

    places: NDArray[np.int64]
    shape: tuple[int, ...]
    moments: NDArray[np.int64]
    values: NDArray[np.float64]
    label: str
    units: str
    axes: tuple[str, ...]


@final
@dataclass(frozen=True)
class Node:
    """Where streams meet.  ``column`` counts from the left, the order of the nodes is that within a column."""

    name: str
    label: str
    column: int


@final
@dataclass(frozen=True)
class Stream:
    """Quanta that went from one node to another."""

    source: str
    target: str
    quanta: int
    role: str


@final
@dataclass(frozen=True)
class Sankey:
    """Nodes and the streams between them."""

    nodes: tuple[Node, ...]
    streams: tuple[Stream, ...]

    def into(self, name: str) -> int:
        return sum(s.quanta for s in self.streams if s.target == name)

    def out_of(self, name: str) -> int:
        return sum(s.quanta for s in self.streams if s.source == name)


@final
@dataclass(frozen=True)
class Spans:
    """What ran where and when.

    Parameters
    ----------
    lane : int array [spans]
        Number of the lane, an index of ``lanes``.
    start, stop : float array [spans]
        Seconds.
    kind : tuple of str
        What each span was.
    """

    lanes: tuple[str, ...]
    lane: NDArray[np.int64]
    start: NDArray[np.float64]
    stop: NDArray[np.float64]
    kind: tuple[str, ...]


@final
@dataclass(frozen=True)
class Stacks:
    """Bars that are made of parts.

    Parameters
    ----------
    labels : tuple of str
        Of the bars, from above.
    parts : dict of array [bars]
        Lengths by name, laid end to end.
    roles : tuple of str
        A colour for each part.
    """

    labels: tuple[str, ...]
    parts: Mapping[str, NDArray[np.float64]]
    roles: tuple[str, ...]
    x_label: str


Chart = Lines | Bars | Map | Sankey | Spans | Stacks


@final
@dataclass(frozen=True)
class Figure:
    """A chart with its words.

    Parameters
    ----------
    name : str
        Of files and anchors: lower case, hyphens.
    title : str
    reading : str
        What is seen, with its numbers, in a sentence or two: the alternative text too.
    how : str
        How it was made: sampling, aggregation.
    """

    name: str
    title: str
    reading: str
    chart: Chart
    how: str = field(default="")


def log_ticks(values: Iterable[NDArray[Any]]) -> dict[float, str]:
    """Ticks 1, 2, 5 of every decade with their labels, where a logarithmic axis is too short for powers of ten; else none."""
    every = np.concatenate([np.asarray(some, float) for some in values])
    found = every[np.isfinite(every) & (every > 0)]
    if not found.size or found.max() > _POWERS * found.min():
        return {}
    low, high = found.min(), found.max()
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = ((digit, power) for power in decades for digit in (1, 2, 5))
    return {d * 10.0**k: _tick(d, k) for d, k in ticks if 0.9 * low <= d * 10.0**k <= 1.1 * high}


def _tick(digit: int, power: int) -> str:
    if -3 <= power <= 3:
        return f"{digit * 10.0**power:,.{max(-power, 0)}f}"
    return (f"{digit}·" if digit > 1 else "") + f"10{str(power).translate(_RAISED)}"


def axis_scale(panel: Panel) -> tuple[float, str]:
    """What to divide a panel's values by, and the label of its axis."""
    units = panel.units
    if units not in ("quanta", "nat") or panel.y_log:
        return 1.0, panel.y_label + (f" ({units})" if units else "")
    most = max((float(np.nanmax(np.abs(line.y))) for line in panel.lines if line.y.size), default=0.0)
    factor, word = next(((f, w) for f, w in _SCALES if most >= 2 * f), (1.0, ""))
    return factor, f"{panel.y_label} ({word}{units})"
