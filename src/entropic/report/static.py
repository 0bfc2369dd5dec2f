"""Charts as SVG and PNG, with matplotlib: for print, for readers without scripts, for papers."""

from __future__ import annotations

import io
from functools import singledispatch
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Polygon, Rectangle
from matplotlib.ticker import FuncFormatter, NullFormatter, PercentFormatter

from entropic.report.charts import Bars, Chart, Lines, Map, Sankey, Spans, Stacks, axis_scale, log_ticks
from entropic.report.colours import LIGHT, dark_of, kind_roles
from entropic.report.mosaic import mosaic
from entropic.report.sankey import placed
from entropic.report.tables import number

__all__ = ["adaptive", "png", "svg"]

_WIDTH = 7.5  # inches
_DASH = {"solid": "-", "dashed": "--", "dotted": ":", "points": "none"}
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",  # text stays text
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": LIGHT["ink"],
    "axes.facecolor": LIGHT["ground"],
    "axes.edgecolor": LIGHT["muted"],
    "axes.labelcolor": LIGHT["muted"],
    "xtick.color": LIGHT["muted"],
    "ytick.color": LIGHT["muted"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": LIGHT["grid"],
    "legend.frameon": False,
}


def svg(chart: Chart, name: str) -> str:
    """A chart as SVG, the same text for the same chart; ``name`` makes the ids in it its own."""
    target = io.StringIO()
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        _drawn(chart).savefig(target, format="svg", facecolor=LIGHT["ground"], metadata={"Date": None, "Creator": None})
    return target.getvalue()


def png(chart: Chart) -> bytes:
    """A chart as PNG on white, 200 dots an inch."""
    target = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        _drawn(chart).savefig(target, format="png", dpi=200, facecolor=LIGHT["ground"], metadata={"Software": None})
    return target.getvalue()


def adaptive(text: str) -> str:
    """An SVG that takes the dark colours where these are preferred, on a screen."""
    pairs = {light: (f"--c{i}", light, dark) for i, (light, dark) in enumerate(dark_of().items())}
    for light, (variable, _, _) in pairs.items():
        text = text.replace(light, f"var({variable})")
    plain = "".join(f"{variable}:{light};" for variable, light, _ in pairs.values())
    dark = "".join(f"{variable}:{dark};" for variable, _, dark in pairs.values())
    style = f"<style>:root{{{plain}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}</style>"
    head, body = text.split("<defs>", 1)
    return f"{head}{style}<defs>{body}"


@singledispatch
def _drawn(chart: Chart) -> Canvas:
    raise TypeError(f"no drawing of a {type(chart).__name__}")


def _thousands(axis: Any) -> None:
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(int(value) if value == int(value) else value)))


def _ticked(axis: Any, ticks: dict[float, str]) -> None:
    if ticks:
        axis.set_ticks(list(ticks), list(ticks.values()))
        axis.set_minor_formatter(NullFormatter())


@_drawn.register
def _(chart: Lines) -> Canvas:
    canvas = Canvas(figsize=(_WIDTH, 1.0 + 2.5 * len(chart.panels)), layout="constrained")
    axes = canvas.subplots(len(chart.panels), 1, sharex=True, squeeze=False)[:, 0]
    for place, panel in zip(axes, chart.panels, strict=True):
        factor, label = axis_scale(panel)
        for line in panel.lines:
            colour, y = LIGHT[line.role], np.asarray(line.y, float) / factor
            if line.dash == "points":
                spread = None
                if line.low is not None and line.high is not None:
                    spread = np.stack([y - line.low / factor, line.high / factor - y])
                place.errorbar(line.x, y, spread, fmt="o", color=colour, ms=4, lw=1, label=line.label)
                continue
            place.plot(line.x, y, _DASH[line.dash], color=colour, lw=1.6, label=line.label)
            if line.low is not None and line.high is not None:
                place.fill_between(line.x, line.low / factor, line.high / factor, color=colour, alpha=0.22, lw=0)
        place.set_ylabel(label)
        place.grid(axis="y", lw=0.6)
        place.set_xscale("log" if chart.x_log else "linear")
        place.set_yscale("log" if panel.y_log else "linear")
        if chart.x_log:
            _ticked(place.xaxis, log_ticks(line.x for other in chart.panels for line in other.lines))
        else:
            _thousands(place.xaxis)
        if panel.y_log:
            _ticked(place.yaxis, log_ticks(line.y for line in panel.lines))
            place.set_ylim(bottom=panel.floor)
        else:
            _thousands(place.yaxis)
        place.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    axes[-1].set_xlabel(chart.x_label)
    return canvas


@_drawn.register
def _(chart: Bars) -> Canvas:
    canvas = Canvas(figsize=(_WIDTH, 3.2), layout="constrained")
    place = canvas.subplots()
    middle = chart.x + (chart.width - 1) / 2
    place.bar(middle, chart.counts, 0.86 * chart.width, color=LIGHT["counts"], label=chart.counts_label)
    place.plot(middle, chart.expected, "o-", color=LIGHT["expected"], ms=3, lw=1.6, label=chart.expected_label)
    place.set(xlabel=chart.x_label, ylabel=chart.y_label)
    place.grid(axis="y", lw=0.6)
    place.set_axisbelow(True)
    place.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    return canvas


@_drawn.register
def _(chart: Map) -> Canvas:
    """The last moment."""
    tiles = mosaic(chart.shape, chart.axes)
    height = float(np.clip(1.1 + _WIDTH * tiles.height / tiles.width, 1.6, 7.0))
    canvas = Canvas(figsize=(_WIDTH, height), layout="constrained")
    place = canvas.subplots()
    finite = chart.values[np.isfinite(chart.values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    corners = np.stack([tiles.x - 0.5, tiles.y - 0.5], axis=1)[:, None]
    squares = corners + np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    from matplotlib.collections import PolyCollection

    cells = PolyCollection(squares, array=chart.values[-1], cmap="cividis", edgecolors="face", linewidths=0.1)
    cells.set_clim(low, high if high > low else low + 1)
    place.add_collection(cells)
    place.set(xlim=(0, tiles.width), ylim=(tiles.height, 0), xlabel=tiles.within)
    place.set_xticks(list(tiles.columns), list(tiles.columns.values()))
    place.set_yticks(list(tiles.rows), list(tiles.rows.values()))
    place.tick_params(length=0)
    for side in place.spines.values():
        side.set_visible(False)
    title = f"{chart.label} after cycle {number(int(chart.moments[-1]))} ({chart.units})"
    canvas.colorbar(cells, ax=place, label=title, location="top", aspect=50, pad=0.02)
    return canvas


@_drawn.register
def _(chart: Sankey) -> Canvas:
    layout = placed(chart)
    canvas = Canvas(figsize=(_WIDTH, 4.8), layout="constrained")
    place = canvas.subplots()
    for stream, band in zip(chart.streams, layout.bands, strict=True):
        colour = LIGHT[stream.role]
        place.add_patch(Polygon(band, facecolor=colour, edgecolor=colour, alpha=0.38, lw=0.6))
    for box in layout.boxes:
        place.add_patch(
            Rectangle((box.left, box.top), box.right - box.left, box.bottom - box.top, color=LIGHT["muted"])
        )
        x, y = box.anchor
        upright = {"middle": "center", "bottom": "bottom", "top": "top"}[box.baseline]
        place.text(x, y, box.label, ha=box.align, va=upright, fontsize=8, linespacing=1.1)
    place.set(xlim=(-0.01, 1.01), ylim=(1.1, 0))
    place.set_axis_off()
    return canvas


@_drawn.register
def _(chart: Spans) -> Canvas:
    canvas = Canvas(figsize=(_WIDTH, 0.9 + 0.4 * len(chart.lanes)), layout="constrained")
    place = canvas.subplots()
    for kind, role in kind_roles(chart.kind).items():
        at = np.array([k == kind for k in chart.kind])
        bars = zip(chart.lane[at], chart.start[at], chart.stop[at], strict=True)
        for lane, start, stop in bars:
            place.barh(lane, stop - start, 0.7, start, color=LIGHT[role], label=kind)
    handles, labels = place.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    place.legend(unique.values(), unique.keys(), loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0.2)
    place.set_yticks(range(len(chart.lanes)), chart.lanes)
    place.invert_yaxis()
    place.set_xlabel("seconds since the first task")
    return canvas


@_drawn.register
def _(chart: Stacks) -> Canvas:
    canvas = Canvas(figsize=(_WIDTH, 0.9 + 0.22 * len(chart.labels)), layout="constrained")
    place = canvas.subplots()
    start = np.zeros(len(chart.labels))
    at = np.arange(len(chart.labels))
    for (name, values), role in zip(chart.parts.items(), chart.roles, strict=True):
        place.barh(at, values, 0.75, start, color=LIGHT[role], label=name)
        start = start + values
    place.set_yticks(at, chart.labels)
    place.invert_yaxis()
    place.set_xlabel(chart.x_label)
    place.xaxis.set_major_formatter(PercentFormatter(1.0, 0))
    place.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    return canvas
