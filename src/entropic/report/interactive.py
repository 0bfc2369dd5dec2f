"""Charts as Bokeh figures: values on hover, a slider where there are moments.  Colours are the light ones; the page's
script exchanges them where dark is preferred."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np
from bokeh.layouts import column
from bokeh.models import (
    BasicTickFormatter,
    ColorBar,
    ColumnDataSource,
    FactorRange,
    FixedTicker,
    HoverTool,
    Label,
    LayoutDOM,
    LinearColorMapper,
    NumeralTickFormatter,
    Range1d,
)
from bokeh.palettes import Cividis256
from bokeh.plotting import figure

from entropic.report.charts import Bars, Chart, Line, Lines, Map, Panel, Sankey, Spans, Stacks, axis_scale, log_ticks
from entropic.report.colours import LIGHT, kind_roles
from entropic.report.mosaic import mosaic
from entropic.report.sankey import placed
from entropic.report.tables import number

__all__ = ["drawn"]

_LEFT = 78  # pixels for the labels of the y axis, the same in all panels of a figure
_TICKS = 10  # of an axis of few whole numbers: each has one
_DASH = {"solid": "solid", "dashed": "dashed", "dotted": "dotted", "points": "solid"}


@singledispatch
def drawn(chart: Chart) -> LayoutDOM:
    """A Bokeh model of a chart, as wide as its place on the page."""
    raise TypeError(f"no figure of a {type(chart).__name__}")


def _figure(height: int, **options: Any) -> Any:
    plot = figure(
        height=height,
        sizing_mode="stretch_width",
        toolbar_location=None,
        tools="",
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        min_border_left=_LEFT,
        min_border_right=16,
        **options,
    )
    for axis in plot.axis:
        axis.axis_label_text_color = axis.major_label_text_color = LIGHT["muted"]
        axis.axis_line_color = axis.major_tick_line_color = LIGHT["muted"]
        axis.minor_tick_line_color = None
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_font_size = axis.major_label_text_font_size = "13px"
    for grid in plot.grid:
        grid.grid_line_color = LIGHT["grid"]
    plot.xgrid.grid_line_color = None
    return plot


@drawn.register
def _(chart: Lines) -> LayoutDOM:
    plots: list[Any] = []
    for i, panel in enumerate(chart.panels):
        last = i == len(chart.panels) - 1
        options = {"x_range": plots[0].x_range} if plots else {}
        plots.append(_panel(panel, chart, last, options))
    return plots[0] if len(plots) == 1 else column(*plots, sizing_mode="stretch_width")


def _panel(panel: Panel, chart: Lines, last: bool, options: dict[str, Any]) -> Any:
    kinds = {
        "x_axis_type": "log" if chart.x_log else "linear",
        "y_axis_type": "log" if panel.y_log else "linear",
    }
    plot = _figure(300 if last else 260, **kinds, **options)
    factor, label = axis_scale(panel)
    plot.yaxis.axis_label = label
    plot.xaxis.axis_label = chart.x_label if last else None
    if not chart.x_log:
        places = np.unique(np.concatenate([line.x for line in panel.lines]))
        if len(places) <= _TICKS and (places == np.round(places)).all():
            plot.xaxis.ticker = FixedTicker(ticks=places.tolist())
        plot.xaxis.formatter = NumeralTickFormatter(format="0,0.[000]")
    else:
        _ticked(plot.xaxis, log_ticks(line.x for other in chart.panels for line in other.lines))
    if panel.y_log:
        _ticked(plot.yaxis, log_ticks(line.y for line in panel.lines))
        if panel.floor is not None:
            plot.y_range = Range1d(panel.floor, 2 * max(float(np.nanmax(line.y)) for line in panel.lines))
    else:
        plot.yaxis.formatter = BasicTickFormatter(use_scientific=False, precision=6)
    groups: dict[bytes, list[Line]] = {}
    for line in panel.lines:
        groups.setdefault(np.asarray(line.x, float).tobytes(), []).append(line)
    for lines in groups.values():
        _together(plot, lines, factor, chart.x_label)
    return plot


def _ticked(axis: Any, ticks: dict[float, str]) -> None:
    if ticks:
        axis.ticker = FixedTicker(ticks=list(ticks))
        axis.major_label_overrides = ticks


def _together(plot: Any, lines: list[Line], factor: float, x_label: str) -> None:
    """Lines of the same x: one source, and one hover that tells them all."""
    data: dict[str, Any] = {"x": np.asarray(lines[0].x, float)}
    tips = [(x_label, "@x{0,0.[000]}")]
    for i, line in enumerate(lines):
        data[f"y{i}"] = np.asarray(line.y, float) / factor
        data[f"t{i}"] = [number(value.item()) for value in np.asarray(line.y)]
        tips.append((line.label, f"@t{i}"))
        if line.low is not None and line.high is not None:
            data[f"low{i}"], data[f"high{i}"] = line.low / factor, line.high / factor
    source = ColumnDataSource(data)
    renderers = []
    for i, line in enumerate(lines):
        colour = LIGHT[line.role]
        if f"low{i}" in data and line.dash != "points":
            plot.varea("x", f"low{i}", f"high{i}", source=source, fill_color=colour, fill_alpha=0.22)
        if line.dash == "points":
            renderers.append(plot.scatter("x", f"y{i}", source=source, size=7, color=colour))
            if f"low{i}" in data:
                plot.segment("x", f"low{i}", "x", f"high{i}", source=source, color=colour, line_width=1.5)
        else:
            dash = _DASH[line.dash]
            renderers.append(plot.line("x", f"y{i}", source=source, color=colour, line_width=2.2, line_dash=dash))
    plot.add_tools(HoverTool(renderers=renderers[:1], tooltips=tips, mode="vline", line_policy="nearest"))


@drawn.register
def _(chart: Bars) -> LayoutDOM:
    plot = _figure(300)
    middle = chart.x + (chart.width - 1) / 2
    source = ColumnDataSource(
        {
            "x": middle,
            "first": chart.x,
            "counts": chart.counts,
            "expected": chart.expected,
            "told": [number(float(value)) for value in chart.expected],
        }
    )
    bars = plot.vbar("x", 0.86 * chart.width, "counts", source=source, color=LIGHT["counts"])
    plot.line("x", "expected", source=source, color=LIGHT["expected"], line_width=2.2)
    plot.scatter("x", "expected", source=source, color=LIGHT["expected"], size=5)
    plot.xaxis.axis_label, plot.yaxis.axis_label = chart.x_label, chart.y_label
    plot.y_range.start = 0
    plot.xaxis.formatter = NumeralTickFormatter(format="0,0")
    tips = [(chart.x_label, "@first{0,0}"), (chart.counts_label, "@counts{0,0}"), (chart.expected_label, "@told")]
    plot.add_tools(HoverTool(renderers=[bars], tooltips=tips, mode="vline"))
    return plot


@drawn.register
def _(chart: Map) -> LayoutDOM:
    """The last moment; the columns ``m0``, ``m1``, … hold all of them, for the slider."""
    tiles = mosaic(chart.shape, chart.axes)
    finite = chart.values[np.isfinite(chart.values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    colours = LinearColorMapper(palette=Cividis256, low=low, high=high if high > low else low + 1)
    data: dict[str, Any] = {"across": tiles.x, "down": tiles.y, "value": chart.values[-1].astype(np.float32)}
    data.update({name: chart.places[:, axis].astype(np.int32) for axis, name in enumerate(chart.axes)})
    data.update({f"m{i}": row.astype(np.float32) for i, row in enumerate(chart.values)})
    source = ColumnDataSource(data, name="cells")
    height = int(np.clip(60 + 700 * tiles.height / tiles.width, 140, 520))
    plot = _figure(height, x_range=Range1d(0, tiles.width), y_range=Range1d(tiles.height, 0))
    cells = plot.rect(
        "across", "down", 1, 1, source=source, line_color=None, fill_color={"field": "value", "transform": colours}
    )
    for axis, labels in ((plot.xaxis, tiles.columns), (plot.yaxis, tiles.rows)):
        axis.ticker = FixedTicker(ticks=list(labels))
        axis.major_label_overrides = labels
        axis.axis_line_color = axis.major_tick_line_color = None
    plot.ygrid.grid_line_color = None
    plot.xaxis.axis_label = tiles.within
    bar = ColorBar(
        color_mapper=colours,
        title=f"{chart.label} ({chart.units})",
        background_fill_color=None,
        title_text_color=LIGHT["muted"],
        title_text_font_style="normal",
        title_text_font_size="13px",
        major_label_text_color=LIGHT["muted"],
        major_label_text_font_size="13px",
        height=14,
        formatter=BasicTickFormatter(use_scientific=False, precision=4),
    )
    plot.add_layout(bar, "below")
    place = ", ".join(f"{name} @{name}" for name in chart.axes)
    plot.add_tools(
        HoverTool(renderers=[cells], tooltips=[("at", place), (chart.label, f"@value{{0.0000}} {chart.units}")])
    )
    return plot


@drawn.register
def _(chart: Sankey) -> LayoutDOM:
    layout = placed(chart)
    labels = {node.name: node.label for node in chart.nodes}
    plot = _figure(480, x_range=Range1d(-0.01, 1.01), y_range=Range1d(1.1, 0), min_border_bottom=8)
    plot.axis.visible = False
    plot.grid.visible = False
    plot.min_border_left = 0
    bands = ColumnDataSource(
        {
            "xs": [band[:, 0].tolist() for band in layout.bands],
            "ys": [band[:, 1].tolist() for band in layout.bands],
            "colour": [LIGHT[stream.role] for stream in chart.streams],
            "way": [f"{labels[s.source]} → {labels[s.target]}" for s in chart.streams],
            "quanta": [number(s.quanta) for s in chart.streams],
        }
    )
    areas = plot.patches(
        "xs",
        "ys",
        source=bands,
        fill_color="colour",
        line_color="colour",
        fill_alpha=0.35,
        line_width=1,
        hover_fill_alpha=0.6,
    )
    boxes = ColumnDataSource(
        {
            "left": [box.left for box in layout.boxes],
            "right": [box.right for box in layout.boxes],
            "top": [box.top for box in layout.boxes],
            "bottom": [box.bottom for box in layout.boxes],
            "name": [box.node.label for box in layout.boxes],
            "quanta": [number(box.quanta) for box in layout.boxes],
        }
    )
    blocks = plot.quad(
        "left", "right", "top", "bottom", source=boxes, fill_color=LIGHT["muted"], line_color=LIGHT["muted"]
    )
    for box in layout.boxes:
        x, y = box.anchor
        plot.add_layout(
            Label(
                x=x,
                y=y,
                text=box.label,
                text_align=box.align,
                text_baseline=box.baseline,
                text_color=LIGHT["ink"],
                text_font_size="12px",
                text_line_height=1.15,
            )
        )
    plot.add_tools(
        HoverTool(renderers=[areas], tooltips=[("", "@way"), ("quanta", "@quanta")], point_policy="follow_mouse")
    )
    plot.add_tools(HoverTool(renderers=[blocks], tooltips=[("", "@name"), ("quanta", "@quanta")]))
    return plot


@drawn.register
def _(chart: Spans) -> LayoutDOM:
    plot = _figure(80 + 34 * len(chart.lanes), y_range=FactorRange(*reversed(chart.lanes)))
    colour = {kind: LIGHT[role] for kind, role in kind_roles(chart.kind).items()}
    source = ColumnDataSource(
        {
            "lane": [chart.lanes[i] for i in chart.lane],
            "start": chart.start,
            "stop": chart.stop,
            "kind": list(chart.kind),
            "colour": [colour[kind] for kind in chart.kind],
            "seconds": chart.stop - chart.start,
        }
    )
    bars = plot.hbar(
        y="lane", height=0.7, left="start", right="stop", source=source, fill_color="colour", line_color=None
    )
    plot.xaxis.axis_label = "seconds since the first task"
    tips = [("task", "@kind"), ("worker", "@lane"), ("began", "@start{0.000} s"), ("took", "@seconds{0.0000} s")]
    plot.add_tools(HoverTool(renderers=[bars], tooltips=tips))
    return plot


@drawn.register
def _(chart: Stacks) -> LayoutDOM:
    plot = _figure(90 + 24 * len(chart.labels), y_range=FactorRange(*reversed(chart.labels)))
    start = np.zeros(len(chart.labels))
    for (name, values), role in zip(chart.parts.items(), chart.roles, strict=True):
        stop = start + values
        source = ColumnDataSource({"label": list(chart.labels), "start": start, "stop": stop, "value": values})
        bars = plot.hbar("label", 0.75, "stop", "start", source=source, fill_color=LIGHT[role], line_color=None)
        plot.add_tools(HoverTool(renderers=[bars], tooltips=[("", "@label"), (name, "@value{0.0%}")]))
        start = stop
    plot.xaxis.axis_label = chart.x_label
    plot.xaxis.formatter = NumeralTickFormatter(format="0%")
    return plot
