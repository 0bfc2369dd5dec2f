"""How a study is printed: the verdict first, then the tables that it rests on."""

from __future__ import annotations

from typing import Any

from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from entropic.cli.show import out

__all__ = ["print_study"]

_COLOURS = {"scale changes nothing": "green", "not settled": "yellow"}
_ANSWERS = {True: "[green]yes[/]", False: "[red]NO[/]", None: "[yellow]not settled[/]"}


def print_study(summary: dict[str, Any]) -> None:
    """Print a study as `analyse` gives it."""
    verdict = summary["verdict"]
    colour = _COLOURS.get(verdict["word"], "red")
    out.print(Panel(escape(verdict["sentence"]), title=f"[bold {colour}]{verdict['word']}[/]", border_style=colour))
    _print_checks(verdict)
    for name, title in (("strong", "Strong scaling: one field"), ("weak", "Weak scaling: as many sites a thread")):
        if summary[name]:
            _print_points(summary[name]["points"], title)
    if summary["strong"]:
        _print_fits(summary["strong"]["fits"])
    if summary["granularity"]:
        _print_points(summary["granularity"]["points"], "Granularity: sites a task")
    if summary["scheduler"]:
        _print_scheduler(summary["scheduler"])
    if summary["null"]:
        out.print(f"two equal cells, {summary['null']['layout']}: ratio {_span(summary['null']['ratio'], '.3f')}")
    if summary["planner"]:
        ratios = (f"{name} {_quantiles(found)}" for name, found in summary["planner"].items())
        out.print(f"planned over measured: {', '.join(ratios)}", soft_wrap=True)
    if summary["model"]:
        _print_model(summary["model"])
    if summary["thermodynamic"]:
        _print_scales(summary["thermodynamic"])
        _print_demons(summary["thermodynamic"])
    if summary["charged"]:
        _print_charged(summary["charged"])
    for note in verdict["notes"]:
        out.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True)
    out.print(f"{summary['study']['cells']} of {summary['study']['of']} cells; study {summary['store']}", soft_wrap=True)


def _span(found: dict[str, Any] | None, form: str) -> str:
    """A value with its interval."""
    if found is None:
        return ""
    value = format(found["value"], form)
    return value if found["low"] is None else f"{value} [dim]({found['low']:{form}} … {found['high']:{form}})[/]"


def _quantiles(found: dict[str, Any]) -> str:
    return f"{found['median']:.2f} ({found['low']:.2f} … {found['high']:.2f})"


def _print_checks(verdict: dict[str, Any]) -> None:
    table = Table("question", "kind", "answer", "detail", title="Verdict")
    for check in verdict["checks"]:
        table.add_row(check["question"], check["kind"], _ANSWERS[check["holds"]], escape(check["detail"]))
    out.print(table)
    if verdict["faults"]:
        table = Table("cell", "cycle", "region", "what", title="Faults")
        for fault in verdict["faults"]:
            place = ("" if fault[name] is None else str(fault[name]) for name in ("cycle", "region"))
            table.add_row(fault["cell"], *place, escape(fault["detail"]))
        out.print(table)


def _print_points(points: list[dict[str, Any]], title: str) -> None:
    table = Table("workers × threads", "blocks", "seconds", "speed-up", "efficiency", "compute", "idle", "planned/measured", title=title)
    for point in points:
        more = " [yellow]more than cores[/]" if point["oversubscribed"] else ""
        blocks = "×".join(map(str, point["chunks"]))
        table.add_row(
            point["layout"]["name"].replace("0x1", "no Dask") + more,
            f"{blocks} regions, {point['sites_a_task']:,.0f} sites",
            _span(point["seconds"], ".3f"),
            _span(point["speedup"], ".2f"),
            _span(point["efficiency"], ".2f"),
            f"{point['shares']['compute']:.0%}",
            f"{point['shares']['idle']:.0%}",
            f"{point['planned_over_measured']:.2f}",
        )
    out.print(table)


def _print_fits(fits: list[dict[str, Any]]) -> None:
    if not fits:
        return
    ahead = [row["workers"] for row in fits[0]["curve"] if not row["measured"]]
    table = Table("law", "of", "serial share σ", "crosstalk κ", "off by at most", *(f"× at {n}" for n in ahead), title="Laws of speed-up")
    for fit in fits:
        foretold = {row["workers"]: row["speedup"] for row in fit["curve"]}
        table.add_row(
            fit["law"],
            fit["family"],
            _span(fit["serial"], ".3f"),
            _span(fit["crosstalk"], ".4f"),
            f"{fit['largest_deviation']:.1%}",
            *(_span(foretold.get(n), ".1f") for n in ahead),
        )
    out.print(table)


def _print_scheduler(section: dict[str, Any]) -> None:
    table = Table("workers", "tasks", "tasks a second", "scheduler ms a task", "compute", "limited by", title="The scheduler's limit")
    for point in section["points"]:
        cost = point["scheduler_seconds_a_task"]
        table.add_row(
            str(point["layout"]["workers"]),
            f"{point['tasks']:,}",
            _span(point["tasks_a_second"], ",.0f"),
            "" if cost is None else f"{1e3 * cost:.2f}",
            f"{point['shares']['compute']:.1%}",
            point["limited_by"],
        )
    out.print(table)


def _print_model(model: dict[str, Any]) -> None:
    target, checked = model["target"], model["checked"]
    out.print(
        f"model: {target['workers']:,} workers, {target['sites']:,} sites, {target['cycles']:,} cycles: "
        f"{_span(target['seconds'], ',.0f')} s, limited by {target['limited_by']}; "
        f"over measured, {checked['cells']} cells: {_quantiles(checked)}",
        soft_wrap=True,
    )


def _print_scales(section: dict[str, Any]) -> None:
    title = f"Net work a site, quanta (θ = {section['threshold']}, mean {section['mean']:g}), all fields together"
    table = Table("sites a region", "regions", "infinite bath", "exact", "own bath", "exact", title=title)
    for row in section["pooled"]:
        cells = []
        for price in ("landauer", "own"):
            found = row[price]
            cells += [_span(found and found["net"], ".4f"), f"{found['exact']:.4f}" if found else ""]
        table.add_row(f"{row['sites']:,}", f"{row['regions']:,}", *cells)
    out.print(table)


def _print_demons(section: dict[str, Any]) -> None:
    largest = max(section["fields"], key=lambda field: field["sites"])
    table = Table("sites", "demons", "price", "seem to gain", "probability", "exact", title="Apparent violations, largest field")
    for row in largest["demons"]:
        table.add_row(
            str(row["sites"]),
            f"{row['demons']:,}",
            row["price"],
            f"{row['gains']:,}",
            _span(row["probability"], ".2g"),
            f"{row['exact']:.2g}",
        )
    out.print(table)


def _print_charged(section: dict[str, Any]) -> None:
    table = Table("sites", "regions", "work over exergy", "work a site", "first cycle a pair", "exact", title="The charged field")
    for point in section["points"]:
        first = point["first"]
        table.add_row(
            f"{point['sites']:,}",
            f"{point['regions']:,}",
            _span(point["share"], ".3f"),
            _span(point["work_a_site"], ".3f"),
            f"{first['found']:.4f}" if first else "",
            f"{first['exact']:.4f}" if first else "",
        )
    out.print(table)
