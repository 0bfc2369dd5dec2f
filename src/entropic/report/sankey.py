"""Where each quantum of a run went: the streams between its accounts, and how they are laid out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

from entropic.report.books import Books
from entropic.report.charts import Node, Sankey, Stream
from entropic.report.tables import number

__all__ = ["Box", "Placement", "placed", "streams"]

_RETURNED = (  # what batteries give back to the field as heat: node, accounts, label, role
    ("erasure", ("erasure",), "heat of erasure", "cost"),
    ("storage", ("stored_loss",), "losses of storage", "loss"),
    ("lines", ("line_loss",), "losses of lines", "loss"),
    ("compute", ("compute",), "heat of computation", "delivered"),
    ("pumped", ("gear_back",), "work put into gears", "gross"),
)
_SLOT = 0.085  # of the height, beside each node's own, for its label
_THICK = 0.016  # of a node, of the width
_MARGIN = 0.2  # on either side, for labels
_APART = 0.008  # a label from its node
_FIRST, _LOW, _LAST = 0, 2, 3  # columns; what goes past the low one goes above it
_STEPS = 24


def streams(books: Books) -> Sankey:
    """Streams of quanta through the field and the batteries, in whole quanta; both balance exactly.

    What batteries pay for erasure, lose, or turn into heat returns to the field: it leaves the batteries on the right, and
    comes into the field on the left.
    """
    found = [
        Stream("field-start", "field", int(books.field[0]), "field"),
        Stream("bath-in", "field", books.total("left_in", "right_in"), "field"),
        *(Stream(f"{name}-in", "field", books.total(*parts), role) for name, parts, _, role in _RETURNED),
        Stream("battery-start", "battery", int(books.battery[0]), "battery"),
        Stream("field", "field-end", int(books.field[-1]), "field"),
        Stream("field", "bath-out", books.total("left_out", "right_out"), "field"),
        Stream("field", "battery", books.total("lift", "gear_out"), "gross"),
        Stream("battery", "battery-end", int(books.battery[-1]), "battery"),
        Stream("battery", "delivered", books.total("delivered_out"), "delivered"),
        *(Stream("battery", f"{name}-out", books.total(*parts), role) for name, parts, _, role in _RETURNED),
    ]
    present = tuple(stream for stream in found if stream.quanta)
    used = {end for stream in present for end in (stream.source, stream.target)}
    return Sankey(tuple(node for node in _nodes() if node.name in used), present)


def _nodes() -> Iterator[Node]:
    yield Node("field-start", "field at the start", 0)
    yield Node("bath-in", "in from the baths", 0)
    for name, _, label, _ in _RETURNED:
        yield Node(f"{name}-in", f"↺ {label}", 0)
    yield Node("battery-start", "batteries at the start", 0)
    yield Node("field", "through the field", 1)
    yield Node("battery", "through the batteries", 2)
    yield Node("field-end", "field at the end", 3)
    yield Node("bath-out", "out to the baths", 3)
    yield Node("battery-end", "batteries at the end", 3)
    yield Node("delivered", "delivered outside", 3)
    for name, _, label, _ in _RETURNED:
        yield Node(f"{name}-out", f"↺ {label}", 3)


@final
@dataclass(frozen=True)
class Box:
    """A node, placed; y runs downwards from 0 to 1, as x does to the right."""

    node: Node
    quanta: int
    left: float
    right: float
    top: float
    bottom: float

    @property
    def align(self) -> Literal["left", "center", "right"]:
        """Labels of the outer columns stand outside, where no stream runs; those of the inner ones above and below."""
        return "right" if self.node.column == _FIRST else "left" if self.node.column == _LAST else "center"

    @property
    def baseline(self) -> Literal["top", "middle", "bottom"]:
        """Which part of the label is at the anchor."""
        return "middle" if self.align != "center" else "top" if self.node.column == _LOW else "bottom"

    @property
    def anchor(self) -> tuple[float, float]:
        """Where the label is set."""
        middle = (self.top + self.bottom) / 2
        if self.align == "right":
            return self.left - _APART, middle
        if self.align == "left":
            return self.right + _APART, middle
        return (self.left + self.right) / 2, self.bottom + _APART if self.baseline == "top" else self.top - _APART

    @property
    def label(self) -> str:
        return f"{self.node.label}\n{number(self.quanta)}"


@final
@dataclass(frozen=True)
class Placement:
    """Boxes of the nodes, and the outline of every stream: float[points, 2]."""

    boxes: tuple[Box, ...]
    bands: tuple[NDArray[np.float64], ...]


def placed(chart: Sankey) -> Placement:
    """Lay a Sankey out: heights are quanta on one scale, nodes of a column one below the other in their order."""
    columns = sorted({node.column for node in chart.nodes})
    if not columns:
        return Placement((), ())
    weights = {node.name: max(chart.into(node.name), chart.out_of(node.name)) for node in chart.nodes}
    members = [[node for node in chart.nodes if node.column == column] for column in columns]
    scale = min((1 - _SLOT * len(nodes)) / max(sum(weights[n.name] for n in nodes), 1) for nodes in members)
    boxes: dict[str, Box] = {}
    for nodes in members:
        left = _MARGIN + nodes[0].column / _LAST * (1 - 2 * _MARGIN - _THICK)
        y = _SLOT
        if nodes[0].column == _LOW:
            y += 1 - sum(weights[n.name] * scale + _SLOT for n in nodes)
        for node in nodes:
            height = weights[node.name] * scale
            boxes[node.name] = Box(node, weights[node.name], left, left + _THICK, y, y + height)
            y += height + _SLOT
    return Placement(tuple(boxes.values()), tuple(_bands(chart, boxes, scale)))


def _bands(chart: Sankey, boxes: dict[str, Box], scale: float) -> Iterator[NDArray[np.float64]]:
    leaving = {name: box.top for name, box in boxes.items()}
    coming = dict(leaving)
    order = {node.name: i for i, node in enumerate(chart.nodes)}
    begins: dict[Stream, float] = {}
    for stream in sorted(chart.streams, key=lambda s: _height(boxes, order, s.target)):
        begins[stream] = leaving[stream.source]
        leaving[stream.source] += stream.quanta * scale
    ends: dict[Stream, float] = {}
    for stream in sorted(chart.streams, key=lambda s: _height(boxes, order, s.source)):
        ends[stream] = coming[stream.target]
        coming[stream.target] += stream.quanta * scale
    for stream in chart.streams:
        thick = stream.quanta * scale
        a, b = boxes[stream.source].right, boxes[stream.target].left
        yield _band(a, begins[stream], b, ends[stream], thick)


def _height(boxes: dict[str, Box], order: dict[str, int], name: str) -> tuple[float, int]:
    return boxes[name].top, order[name]


def _band(x0: float, y0: float, x1: float, y1: float, thick: float) -> NDArray[np.float64]:
    """A ribbon of one vertical thickness along a smooth step."""
    t = np.linspace(0.0, 1.0, _STEPS)
    x, y = x0 + (x1 - x0) * t, y0 + (y1 - y0) * t * t * (3 - 2 * t)
    upper, lower = np.stack([x, y], axis=1), np.stack([x, y + thick], axis=1)[::-1]
    return np.concatenate([upper, lower])
