"""What is printed: consoles and tables."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from entropic.claims import Claim
from entropic.errors import LawError

if TYPE_CHECKING:  # it brings scipy, which only one command needs
    from entropic.verification import Report

__all__ = [
    "err",
    "finish",
    "out",
    "print_checks",
    "print_claims",
    "print_laws",
    "print_summary",
    "require_lawful",
]

err = Console(stderr=True, highlight=False)
out = Console(highlight=False)
_WIDE = 180  # columns of a table in a file, so that names and formulas stay whole


def finish(summary: dict[str, Any], as_json: bool) -> None:
    """Show the outcome of a run; a `LawError` if a law is broken."""
    if as_json:
        click.echo(json.dumps(summary))
    else:
        print_summary(summary)
    require_lawful(summary)


def require_lawful(*summaries: dict[str, Any]) -> None:
    """Raise a `LawError` if a law is broken in any of the runs."""
    for summary in summaries:
        broken = [law["name"] for law in summary["laws"] if not law["holds"]]
        if broken:
            raise LawError(f"broken: {', '.join(broken)}.", f"see 'entropic audit {summary['store']}'")


def print_summary(summary: dict[str, Any]) -> None:
    totals, entropy = summary["totals"], summary["entropy"]
    table = Table(title="Books", show_header=False)
    for name in ("cycles", "sites", "regions", "gross", "erasure", "net", "battery", "first_law_residual"):
        table.add_row(name.replace("_", " "), f"{totals[name]:,}")
    for name in ("lift", "gears", "losses", "delivered", "imported", "exported"):
        if totals[name] and totals[name] != totals["gross"]:
            table.add_row(name, f"{totals[name]:,}")
    table.add_row("record", f"{totals['record_nats']:,.1f} nat")
    for name, what in (("information", "efficiency, W/(T I)"), ("thermal", "efficiency, W/Q_h")):
        if (value := summary["efficiency"][name]) is not None:
            table.add_row(what, f"{value:.1%}")
    if summary["demon"]["gradient"] is not None:
        table.add_row("gradient of the last sort", f"{summary['demon']['gradient']:,}")
    stop = summary["demon"]
    if stop["first_stop_cycle"] is not None:
        table.add_row(
            "demon stopped", f"cycle {stop['first_stop_cycle']}: tape full in {stop['regions_stopped']} regions"
        )
    out.print(table)
    table = Table("entropy, nat", "initial", "final", title="Entropy")
    for name in ("hist", "region", "equilibrium", "tape"):
        table.add_row(name, f"{entropy['initial'][name]:,.1f}", f"{entropy['final'][name]:,.1f}")
    out.print(table)
    print_laws(summary["laws"])
    speed = summary["performance"]
    out.print(f"field digest {summary['digest']['field']}, series digest {summary['digest']['series']}", soft_wrap=True)
    out.print(
        f"{speed['seconds']:.1f} s, {speed['site_cycles_per_second']:.3g} site-cycles a second, "
        f"peak {speed['peak_bytes'] / 2**30:.2f} GiB; {speed['checkpoints']} checkpoints, "
        f"{speed['checkpoint_seconds']:.1f} s; store {summary['store']}",
        soft_wrap=True,
    )


def print_laws(laws: list[dict[str, Any]], show: Console = out) -> None:
    table = Table("law", "holds", "margin", "detail", title="Laws")
    for law in laws:
        table.add_row(
            law["name"],
            "[green]yes[/]" if law["holds"] else "[red]NO[/]",
            f"{law['margin']:.4g}",
            law.get("detail", ""),
        )
    show.print(table)


def print_claims(claims: Iterable[Claim], show: Console = out) -> None:
    """The claims table: figures of the act that speaks best for each claim."""
    table = Table("claim", "act", "gross", "cost", "net", "verdict", title="Claims of the original document")
    for claim in claims:
        colour = {True: "green", False: "red", None: "yellow"}[claim.holds]
        act = "all" if claim.act is None and claim.holds is not None else str(claim.act or "")
        figures = (_number(value) for value in (claim.gross, claim.cost, claim.net))
        table.add_row(f"{claim.claim} [dim]({claim.unit})[/]", act, *figures, f"[{colour}]{claim.verdict}[/]")
    wide = show if show.is_terminal else Console(file=show.file, highlight=False, width=_WIDE)
    wide.print(table)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"


def print_checks(report: Report) -> None:
    table = Table("check", "exact value", "exact", "found", "samples", "p", "verdict", title="Checks")
    for outcome in report.outcomes:
        finding = outcome.finding
        first = finding.values[0] if finding.values else None
        exact, found = (f"{first.exact:.6g}", f"{first.found:.6g}") if first else ("", "")
        p = f"{finding.misfits} misfits" if finding.p is None else f"{finding.p:.3g}"
        verdict = "[green]holds[/]" if outcome.holds else "[red]FAILS[/]"
        samples = f"{finding.samples:,} {finding.unit}"
        table.add_row(outcome.check.name, escape(outcome.check.exact), exact, found, samples, p, verdict)
    (out if out.is_terminal else Console(highlight=False, width=_WIDE)).print(table)
    out.print(
        f"{len(report.outcomes) - len(report.broken)} of {len(report.outcomes)} checks hold, by Holm's procedure at "
        f"{report.false_alarm:g} for all together; {report.seconds:.0f} s",
        soft_wrap=True,
    )
