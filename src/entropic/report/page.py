"""The page: parts, sections and figures as one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from bokeh.document import Document
from bokeh.embed.util import standalone_docs_json_and_render_items
from bokeh.resources import Resources
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from entropic.report.charts import Bars, Chart, Figure, Lines, Map, Spans, Stacks
from entropic.report.colours import DARK, LIGHT, dark_of, kind_roles
from entropic.report.interactive import drawn
from entropic.report.parts import Page, Part, Section
from entropic.report.static import adaptive, svg
from entropic.report.tables import Cell, Table, number, table_of

__all__ = ["rendered"]


def rendered(page: Page) -> str:
    """The page's HTML."""
    document, places = Document(), {}
    for name, figure in page.figures():
        root = drawn(figure.chart)
        document.add_root(root)
        places[root.id] = f"{name}-plot"
    documents, items = standalone_docs_json_and_render_items(document.roots)  # no item, if there is no figure
    environment = Environment(
        loader=PackageLoader("entropic.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters.update(
        number=number, numeric=_numeric, behind=_behind, legend=_legend, moments=_moments, still=_still, kind=_kind
    )
    return environment.get_template("page.html").render(
        page=page,
        several=len(page.parts) > 1,
        contents=[(item.name, item.title) for item in _contents(page)],
        version=version("entropic"),
        light=LIGHT,
        dark=DARK,
        dark_of=dark_of(),
        css=Markup(_template("page.css")),
        script=Markup(_template("page.js")),
        bokeh=Markup("\n".join(Resources(mode="inline", components=["bokeh"]).js_raw)),
        documents=Markup(_for_script(documents)),
        places=[{**item.to_json(), "roots": places} for item in items],
    )


def _contents(page: Page) -> Iterator[Section | Part]:
    """What the page's list of contents names: sections, and parts where there are several."""
    yield from page.sections
    if len(page.parts) > 1:
        yield from page.parts
    else:
        for part in page.parts:
            yield from part.sections


def _template(name: str) -> str:
    return (files("entropic.report") / "templates" / name).read_text("utf-8")


def _for_script(data: Any) -> str:
    """JSON that cannot end the script element that it stands in."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _numeric(table: Table) -> frozenset[int]:
    """Columns that are mostly numbers."""
    columns = (tuple(cell for cell in column if cell is not None) for column in zip(*table.rows, strict=True))
    return frozenset(i for i, column in enumerate(columns) if 2 * sum(map(_is_number, column)) > len(column))


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def _behind(figure: Figure) -> Table:
    table = table_of(figure.chart)
    return Table(figure.title, table.header, table.rows)


def _legend(chart: Chart) -> list[tuple[str, str, str]]:
    """Label, colour and dash of what a chart tells apart."""
    if isinstance(chart, Lines):
        return list(dict.fromkeys((line.label, line.role, line.dash) for panel in chart.panels for line in panel.lines))
    if isinstance(chart, Bars):
        return [(chart.counts_label, "counts", "block"), (chart.expected_label, "expected", "solid")]
    if isinstance(chart, Spans):
        return [(kind, role, "block") for kind, role in kind_roles(chart.kind).items()]
    if isinstance(chart, Stacks):
        return [(name, role, "block") for name, role in zip(chart.parts, chart.roles, strict=True)]
    return []


def _kind(chart: Chart) -> str:
    return type(chart).__name__.lower()


def _moments(chart: Chart) -> list[int]:
    return chart.moments.tolist() if isinstance(chart, Map) and len(chart.moments) > 1 else []


def _still(figure: Figure, name: str) -> str:
    text = adaptive(svg(figure.chart, name))
    return "data:image/svg+xml;base64," + base64.b64encode(text.encode()).decode()
