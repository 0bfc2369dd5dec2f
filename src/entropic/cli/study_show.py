"""How a study is printed: the verdict first, then the tables that it rests on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from entropic.cli.show import out
from entropic.engine.plan import Plan, TooLargeError
from entropic.scaling.cells import Cell

__all__ = ["cell_plans", "print_plans", "print_study"]

_COLOURS = {"scale changes nothing": "green", "not settled": "yellow"}
_MOST = 16  # scales that are all printed
_LAYOUTS = {"0x1": "no Dask"}
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
        _print_grains(summary["granularity"]["points"])
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
    out.print(
        f"{summary['study']['cells']} of {summary['study']['of']} cells; study {summary['store']}", soft_wrap=True
    )


def cell_plans(cells: Sequence[Cell], planned: Callable[[Cell], Plan]) -> list[dict[str, Any]]:
    """What a study would run, by kind: cells, those that do not fit, work, and the planner's seconds and most bytes."""
    kinds: dict[str, list[Cell]] = {}
    for cell in cells:
        kinds.setdefault(cell.kind, []).append(cell)
    rows = []
    for kind, mine in kinds.items():
        plans: list[Plan] = []
        for cell in mine:
            with suppress(TooLargeError):
                plans.append(planned(cell))
        rows.append(
            {
                "kind": kind,
                "cells": len(mine),
                "refused": len(mine) - len(plans),
                "site_cycles": sum(cell.config.field.sites * cell.config.run.cycles for cell in mine),
                "seconds": sum(plan.seconds for plan in plans),
                "bytes_total": max((plan.bytes_total for plan in plans), default=0),
            }
        )
    return rows


def print_plans(rows: list[dict[str, Any]]) -> None:
    """Print `cell_plans`."""
    table = Table("kind", "cells", "do not fit", "site-cycles", "seconds", "most bytes", title="What would be run")
    for row in rows:
        refused, size = str(row["refused"] or ""), f"{row['bytes_total'] / 2**30:.1f} GiB"
        table.add_row(
            row["kind"], str(row["cells"]), refused, f"{row['site_cycles']:.2e}", f"{row['seconds']:,.0f}", size
        )
    out.print(table)
    cells, seconds = sum(row["cells"] for row in rows), sum(row["seconds"] for row in rows)
    out.print(
        f"{cells} cells, {seconds:,.0f} s of cycles by the planner; drawing the fields, checkpoints, audits and starts of "
        "clusters come on top, a second a cell or more.",
        soft_wrap=True,
    )


def _span(found: dict[str, Any] | None, form: str) -> str:
    """A value with its interval."""
    if found is None:
        return ""
    value = format(found["value"], form)
    return value if found["low"] is None else f"{value} [dim]({found['low']:{form}}…{found['high']:{form}})[/]"


def _quantiles(found: dict[str, Any]) -> str:
    return f"{found['median']:.2f} ({found['low']:.2f} … {found['high']:.2f})"


def _print_checks(verdict: dict[str, Any]) -> None:
    table = Table("question", "answer", "how", title="Verdict")
    for check in verdict["checks"]:
        table.add_row(check["question"], _ANSWERS[check["holds"]], f"{check['kind']}: {escape(check['detail'])}")
    out.print(table)
    if verdict["faults"]:
        table = Table("cell", "cycle", "region", "what", title="Faults")
        for fault in verdict["faults"]:
            place = ("" if fault[name] is None else str(fault[name]) for name in ("cycle", "region"))
            table.add_row(fault["cell"], *place, escape(fault["detail"]))
        out.print(table)


def _print_points(points: list[dict[str, Any]], title: str) -> None:
    table = Table(
        "layout", "sites a task", "seconds", "speed-up", "efficiency", "busy", "idle", "foretold", title=title
    )
    for point in points:
        table.add_row(
            _LAYOUTS.get(point["layout"]["name"], point["layout"]["name"]) + ("*" if point["oversubscribed"] else ""),
            f"{point['sites_a_task']:,.0f}",
            _span(point["seconds"], ".3g"),
            _span(point["speedup"], ".2f"),
            f"{point['efficiency']['value']:.2f}" if point["efficiency"] else "",
            f"{point['shares']['compute']:.0%}",
            f"{point['shares']['idle']:.0%}",
            f"{point['planned_seconds']:.3g}",
        )
    out.print(table)
    if any(point["oversubscribed"] for point in points):
        out.print("[dim]* more threads than cores[/]")


def _print_grains(points: list[dict[str, Any]]) -> None:
    title = f"Granularity, on {points[0]['layout']['name']}: how small may a task be?"
    table = Table("sites a task", "tasks", "seconds", "million site-cycles a second", "busy", "idle", title=title)
    for point in sorted(points, key=lambda p: -p["sites_a_task"]):
        rate = {name: None if value is None else value / 1e6 for name, value in point["rate"].items()}
        table.add_row(
            f"{point['sites_a_task']:,.0f}",
            f"{point['tasks']:,}",
            _span(point["seconds"], ".3g"),
            _span(rate, ",.0f"),
            f"{point['shares']['compute']:.0%}",
            f"{point['shares']['idle']:.0%}",
        )
    out.print(table)


def _print_fits(fits: list[dict[str, Any]]) -> None:
    if not fits:
        return
    table = Table(
        "law", "of", "serial share σ", "crosstalk κ", "off by", "× at 8", "× at 64", title="Laws of speed-up, foretold"
    )
    for fit in fits:
        foretold = {row["workers"]: row["speedup"] for row in fit["curve"]}
        table.add_row(
            fit["law"],
            fit["family"],
            _span(fit["serial"], ".2f"),
            _span(fit["crosstalk"], ".3f"),
            f"{fit['largest_deviation']:.0%}",
            *(_span(foretold.get(n), ".1f") for n in (8, 64)),
        )
    out.print(table)


def _print_scheduler(section: dict[str, Any]) -> None:
    table = Table(
        "workers",
        "tasks",
        "tasks a second",
        "scheduler ms a task",
        "compute",
        "limited by",
        title="The scheduler's limit",
    )
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
    table = Table("sites a region", "infinite bath", "exact", "own bath", "exact", title=title)
    rows = _thinned(section["pooled"])
    for row in rows:
        table.add_row(f"{row['sites']:,}", *(text for price in ("landauer", "own") for text in _net(row[price])))
    out.print(table)
    if len(rows) < len(section["pooled"]):
        out.print(
            f"[dim]{len(section['pooled'])} scales in all: on the page of 'entropic report', and in study.json[/]"
        )


def _thinned(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of many scales one each half decade: that which was counted on most sites."""
    if len(rows) <= _MOST:
        return rows
    best: dict[int, dict[str, Any]] = {}
    for row in rows:
        place = round(2 * math.log10(row["sites"]))
        if place not in best or row["sites"] * row["regions"] >= best[place]["sites"] * best[place]["regions"]:
            best[place] = row
    return list(best.values())


def _net(found: dict[str, Any] | None) -> tuple[str, str]:
    """A net with its symmetric interval, and its exact value."""
    if found is None:
        return "", ""
    net = found["net"]
    return f"{net['value']:.4f} [dim]± {net['high'] - net['value']:.2g}[/]", f"{found['exact']:.4f}"


def _print_demons(section: dict[str, Any]) -> None:
    table = Table(
        "sites", "demons", "raw price: gain", "exact", "compressed: gain", "exact", title="Apparent violations"
    )
    rows = section["demons"]
    for raw, compressed in zip(rows[::2], rows[1::2], strict=True):
        cells = [(_gains(row), f"{row['exact']:.1e}") for row in (raw, compressed)]
        table.add_row(str(raw["sites"]), f"{raw['demons']:,}", *(text for pair in cells for text in pair))
    out.print(table)


def _gains(row: dict[str, Any]) -> str:
    return (
        _span(row["probability"], ".1e") if row["gains"] else f"none [dim](at most {row['probability']['high']:.1e})[/]"
    )


def _print_charged(section: dict[str, Any]) -> None:
    table = Table(
        "sites", "regions", "work over exergy", "work a site", "first cycle a pair", "exact", title="The charged field"
    )
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
