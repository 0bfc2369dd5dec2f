"""Command line: ``python -m benchmarks [--quick] [--only kernels|engine|checkpoints|machines|scaling] …``: see --help."""

from __future__ import annotations

import datetime
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from benchmarks.checkpoints import measure_checkpoints
from benchmarks.engine import engine_config, measure_engine, original_config
from benchmarks.kernels import measure_kernels
from benchmarks.machines import measure_decisions, measure_machines
from benchmarks.scaling import draw_scaling, measure_scaling
from entropic import Config

SECTIONS = ("kernels", "engine", "checkpoints", "machines", "scaling")
PACKAGES = ("numpy", "numba", "scipy", "dask", "distributed", "zarr", "xarray", "flox", "xhistogram")

show = Console(highlight=False, width=100)


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    names = [line.split(":", 1)[1].strip() for line in file.read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def header() -> dict[str, Any]:
    """What the figures hang on."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "processor": _processor() if Path("/proc/cpuinfo").is_file() else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load_before": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    }


def _print_kernels(tables: dict[str, list[dict[str, Any]]]) -> None:
    for title, rows in tables.items():
        unit = "ns an evaluation" if title == "entropy" else "ns a site"
        table = Table("", unit, "least", "of the first", title=f"{title}, one core")
        for column in table.columns[1:]:
            column.justify = "right"
        if not rows:
            continue
        for row in rows:
            error = f" (relative error {row['relative_error']:.0e})" if "relative_error" in row else ""
            table.add_row(row["name"] + error, f"{row['ns']:.3g}", f"{row['least_ns']:.3g}", f"{row['ratio']:.2f} ×")
        show.print(table)


def _print_engine(rows: list[dict[str, Any]], config: Config) -> None:
    title = f"engine, {config.field.sites:,} sites, {config.run.cycles} cycles, books and checkpoints"
    table = Table("", "site-cycles/s", "of bare", "under way", "processor ns", "of bare", title=title)
    for row in rows:
        clock = (f"{row['rate']:.3g}", f"{row['ratio']:.2f}", f"{row['under_way_ratio']:.2f}")
        cells = (*clock, f"{row['processor_ns']:.3f}")
        table.add_row(row["name"], *cells, f"{row['processor_ratio']:.2f}")
    show.print(table)


def _print_checkpoints(rows: list[dict[str, Any]]) -> None:
    table = Table(
        "sites", "s each", "by its own clock", "s between", "share of the time", title="checkpoints, by default"
    )
    for row in rows:
        figures = (f"{row['each']:.2f}", f"{row['told']:.2f}", f"{row['interval']:.0f}", f"{row['share']:.2%}")
        table.add_row(f"{row['sites']:,}", *figures)
    show.print(table)


def _print_machines(rows: list[dict[str, Any]], decisions: list[dict[str, Any]], regions: int, cycles: int) -> None:
    title = f"machines, {regions} regions of 1e6 sites, {cycles} cycles, books and a checkpoint, one core"
    table = Table("", "processor ns a site-cycle", "of the plain demon's", title=title)
    for row in rows:
        table.add_row(row["name"], f"{row['ns']:.3f}", f"{row['ratio']:.2f} ×")
    show.print(table)
    table = Table("", "ms a cycle", "least", title="what a cycle decides for all regions together")
    for row in decisions:
        table.add_row(row["name"], f"{row['ms']:.1f}", f"{row['least_ms']:.1f}")
    show.print(table)


def _print_scaling(lines: list[dict[str, Any]]) -> None:
    table = Table("sites", "cycles", "seconds", "processor", "processor s a site-cycle", title="scaling, whole runs")
    for column in table.columns:
        column.justify = "right"
    for line in lines:
        for point in line["points"]:
            times = (f"{point[key]:.3g}" for key in ("seconds", "processor", "each"))
            table.add_row(f"{point['sites']:,}", f"{point['cycles']:,}", *times)
        table.add_section()
    show.print(table)
    for line in lines:
        show.print(
            f"against {line['variable']}: {line['fixed']:.2g} s and {line['marginal']:.3g} s a site-cycle, from which no "
            f"point is off by more than {line['largest_deviation']:.0%}; log-log slope {line['slope']:.3f}",
            soft_wrap=True,
        )


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--quick", is_flag=True, help="Smaller fields, fewer repeats: a few minutes.")
@click.option("--only", type=click.Choice(SECTIONS), help="One section.")
@click.option("--sites", type=click.IntRange(65536), help="Sites of the kernels' and the engine's field.")
@click.option("--cycles", type=click.IntRange(20), help="Cycles of the engine's runs.")
@click.option("--original", is_flag=True, help="The engine's field is the original's: 1e9 sites in 1000 regions.")
@click.option("--repeats", type=click.IntRange(1), help="Rounds in which all rivals take turns.")
@click.option("--figure", type=click.Path(path_type=Path, dir_okay=False), help="Write the scaling as SVG.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, nothing else.")
def main(
    quick: bool,
    only: str | None,
    sites: int | None,
    cycles: int | None,
    original: bool,
    repeats: int | None,
    figure: Path | None,
    as_json: bool,
) -> None:
    """How fast the kernels and the engine are, beside their peers in the same run.

    Medians of rounds in which all rivals take turns; every ratio is the median of the rounds' ratios, so what else the
    machine does falls on all alike.
    """
    if figure is not None and only not in (None, "scaling"):
        raise click.UsageError("--figure draws the scaling: leave --only out, or say --only scaling.")
    engine_sites = sites or (8 << 20 if quick else 256 << 20)  # so many that what a run costs once does not count
    sites = sites or (8 << 20 if quick else 64 << 20)
    repeats = repeats or (3 if quick else 7)
    cycles = cycles or (40 if quick else 300)
    result: dict[str, Any] = {"header": header()}
    if not as_json:
        told = result["header"]
        show.print(f"{told['date']}, {told['processor']}, {told['cores']} cores, load {told['load_before']}")
        show.print(", ".join(f"{name} {number}" for name, number in told["versions"].items()), soft_wrap=True)
    if only in (None, "kernels"):
        result["kernels"] = measure_kernels(sites, repeats)
        if not as_json:
            _print_kernels(result["kernels"])
    if only in (None, "engine"):
        config = original_config(cycles) if original else engine_config(engine_sites, cycles)
        result["engine"] = measure_engine(config, max(1, repeats // 2))
        if not as_json:
            _print_engine(result["engine"], config)
    if only in (None, "checkpoints"):
        result["checkpoints"] = measure_checkpoints(engine_sites, 20 if quick else 60, max(1, repeats // 2))
        if not as_json:
            _print_checkpoints(result["checkpoints"])
    if only in (None, "machines"):
        regions, turns = (8, 30) if quick else (32, 100)
        machines = {"cycle": measure_machines(regions, turns, repeats), "decisions": measure_decisions(repeats)}
        result["machines"] = machines
        if not as_json:
            _print_machines(machines["cycle"], machines["decisions"], regions, turns)
    if only in (None, "scaling"):
        result["scaling"] = measure_scaling(10**8 if quick else 10**9, max(1, repeats // 2), 1000 if quick else 3000)
        if figure is not None:
            draw_scaling(result["scaling"], figure)
        if not as_json:
            _print_scaling(result["scaling"])
    if as_json:
        click.echo(json.dumps(result))


if __name__ == "__main__":
    main()
