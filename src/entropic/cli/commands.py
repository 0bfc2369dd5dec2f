"""The commands: parse and wire."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from entropic.audit import audit as audit_run
from entropic.cli.show import err, finish, out, print_claims, print_laws
from entropic.cli.where import chosen_place, execute, follow_options, free_memory, planned, where_options
from entropic.computer import EntropicComputer, Observer
from entropic.config import Config
from entropic.demo import demo_claims, demo_config, demo_line
from entropic.engine.cluster import connect
from entropic.engine.plan import make_plan
from entropic.engine.rules import energy_grid_of
from entropic.errors import LawError
from entropic.report import report as write_report
from entropic.reversal import reverse as reverse_run
from entropic.store import RunStore

__all__ = ["cli"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="entropic")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def cli(debug: bool) -> None:  # `main` has taken it from the arguments
    """Tests, with exact physics, whether parallel scale can change a thermodynamic outcome.

    \b
    Examples:
      entropic demo
      entropic run CONFIG.toml --set run.cycles=50 --out runs/a
      entropic audit runs/a
      entropic reverse runs/a
    """


@cli.command()
@click.option("--size", type=click.Choice(["small", "seed"]), default="small", show_default=True)
@click.option("--out", "target", type=click.Path(path_type=Path), help="Run directory (default: a new one here).")
@click.option("--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="Change the configuration.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@follow_options
@where_options
def demo(
    size: str,
    target: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
    live: bool,
    timeline: bool,
    workers: int | None,
    threads: int | None,
    scheduler: str | None,
    chunks: tuple[int, ...] | None,
) -> None:
    """The original document's demonstration, with the bill.

    'small' is 25 × 25 × 25 × 64 sites; 'seed' is 100 × 100 × 100 × 1000 (about 15 minutes on two cores).

    \b
    Examples:
      entropic demo
      entropic demo --set field.seed=2 --set run.cycles=300 --out demo-2
      entropic demo --size seed --json > seed.json
    """
    config = demo_config(size).with_overrides(overrides)
    if target is None:
        number = 1
        while (target := Path(f"entropic-demo-{size}-{number}")).exists():
            number += 1
    show = err if as_json else out

    def booked(store: RunStore, cycle: int) -> None:
        if cycle % 100 == 0 or cycle == config.run.cycles:
            show.print(demo_line(store, cycle), soft_wrap=True)

    where = chosen_place(workers, threads, scheduler)
    place = target

    def start(executor: Any, blocks: Any, epoch: int, observer: Observer) -> EntropicComputer:
        return EntropicComputer(config, place, executor, blocks, min(epoch, 100), observer)

    computer, summary = execute(config, where, chunks, start, booked, live, timeline)
    claims = demo_claims(computer.store, summary)
    summary["claims"] = [claim.to_dict() for claim in claims]
    computer.store.write_json("summary.json", summary)
    if not as_json:
        print_claims(claims)
    finish(summary, as_json)


@cli.command()
@click.argument("config_file", metavar="CONFIG.toml", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="Change the configuration.")
@click.option("--out", "target", type=click.Path(path_type=Path), help="Run directory (default: runs/NAME).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@follow_options
@where_options
def run(
    config_file: Path,
    overrides: tuple[str, ...],
    target: Path | None,
    as_json: bool,
    live: bool,
    timeline: bool,
    workers: int | None,
    threads: int | None,
    scheduler: str | None,
    chunks: tuple[int, ...] | None,
) -> None:
    """Run a configuration, close the books each cycle, write a store.

    \b
    Examples:
      entropic run demon.toml --out runs/demon
      entropic run demon.toml --set field.seed=7 --set run.cycles=20 --json
      entropic run demon.toml --scheduler scheduler.json --chunks 1,10,10,1
    """
    config = Config.from_toml(config_file, overrides)
    place = target or Path("runs") / config_file.stem
    where = chosen_place(workers, threads, scheduler)

    def start(executor: Any, blocks: Any, epoch: int, observer: Observer) -> EntropicComputer:
        return EntropicComputer(config, place, executor, blocks, epoch, observer)

    energy_grid_of(config)  # raises before a cluster is started, as does the next
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        RunStore.create(place, config)
    _, summary = execute(config, where, chunks, start, live=live, timeline=timeline)
    finish(summary, as_json)


@cli.command()
@click.argument("config_file", metavar="CONFIG.toml", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="Change the configuration.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@where_options
def plan(
    config_file: Path,
    overrides: tuple[str, ...],
    as_json: bool,
    workers: int | None,
    threads: int | None,
    scheduler: str | None,
    chunks: tuple[int, ...] | None,
) -> None:
    """What a run would need: blocks, tasks, bytes, seconds.  Refuses what cannot fit.

    \b
    Examples:
      entropic plan demon.toml
      entropic plan demon.toml --workers 8 --threads 4 --json
      entropic plan demon.toml --chunks 1,10,10,1 --set field.mean=3.0
    """
    config = Config.from_toml(config_file, overrides)
    energy_grid_of(config)  # raises where the network is broken
    made = planned(config, chosen_place(workers, threads, scheduler), chunks)
    if as_json:
        click.echo(json.dumps(made.to_dict()))
        return
    table = Table(title="Plan", show_header=False)
    for name, value in made.to_dict().items():
        text = (
            f"{value / 2**20:,.1f} MiB"
            if "bytes" in name
            else f"{value:,.1f}"
            if isinstance(value, float)
            else f"{value}"
        )
        table.add_row(name.replace("_", " "), text)
    out.print(table)


@cli.command()
@click.argument("run_directory", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@follow_options
@where_options
def resume(
    run_directory: Path,
    as_json: bool,
    live: bool,
    timeline: bool,
    workers: int | None,
    threads: int | None,
    scheduler: str | None,
    chunks: tuple[int, ...] | None,
) -> None:
    """Go on from the newest checkpoint that verifies, on any layout.

    \b
    Examples:
      entropic resume runs/demon
      entropic resume runs/demon --workers 1 --chunks 2,10,10,1
      entropic resume runs/demon --scheduler scheduler.json --json
    """
    config = RunStore.open(run_directory).config()

    def start(executor: Any, blocks: Any, epoch: int, observer: Observer) -> EntropicComputer:
        return EntropicComputer.resume(run_directory, executor, blocks, epoch, observer)

    _, summary = execute(config, chosen_place(workers, threads, scheduler), chunks, start, live=live, timeline=timeline)
    finish(summary, as_json)


@cli.command()
@click.argument("run_directory", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def audit(run_directory: Path, as_json: bool) -> None:
    """Recompute every law from the stored books and field; exit code 3 if one does not hold.

    \b
    Examples:
      entropic audit runs/demon
      entropic audit runs/demon --json
    """
    laws = [law.to_dict() for law in audit_run(run_directory)]
    if as_json:
        click.echo(json.dumps({"store": str(run_directory), "laws": laws}))
    else:
        print_laws(laws)
    broken = [law for law in laws if not law["holds"]]
    if broken:
        raise LawError(
            "; ".join(f"{law['name']}: {law['detail']}" for law in broken) + ".",
            "if the run was cut short, 'entropic resume' it first; else do not use it: it was damaged, changed or "
            "computed wrongly",
        )


@cli.command()
@click.argument("run_directory", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@where_options
def reverse(
    run_directory: Path,
    as_json: bool,
    workers: int | None,
    threads: int | None,
    scheduler: str | None,
    chunks: tuple[int, ...] | None,
) -> None:
    """Play a run backwards and compare with its start.

    Exit code 3 if the start is not restored: the tape was erased, or a move was lost.

    \b
    Examples:
      entropic run demon.toml --set demon.erase=false --out runs/kept
      entropic reverse runs/kept
      entropic reverse runs/kept --chunks 5,5,10,1 --json
    """
    config = RunStore.open(run_directory).config()
    where = chosen_place(workers, threads, scheduler)
    with connect(where) as executor:
        memory = free_memory() if scheduler is None else 1 << 62
        made = make_plan(config, executor.workers, executor.threads, memory, chunks, where.in_process)
        outcome = reverse_run(run_directory, executor, made.chunks, epoch=made.epoch)
    if as_json:
        click.echo(json.dumps(outcome.to_dict()))
    else:
        out.print(f"{outcome.cycles} cycles back: {outcome.reason}")
        out.print(f"start {outcome.digest_start}, reached {outcome.digest_reached}")
    if not outcome.restored:
        raise LawError(f"{run_directory} is not restored: {outcome.reason}.", "keep the tape: [demon] erase = false")


@cli.command()
@click.argument("source", metavar="RUN_OR_STUDY", type=click.Path(path_type=Path))
@click.option("-o", "--output", "target", metavar="FILE.html", required=True, type=click.Path(path_type=Path))
@click.option("--figures", metavar="DIR", type=click.Path(path_type=Path), help="Each figure as SVG and PNG, too.")
def report(source: Path, target: Path, figures: Path | None) -> None:
    """One page about a run, a demonstration or a study: verdict, figures, books, how to reproduce it.

    The page is one file that needs no network; a file that is there already is replaced.

    \b
    Examples:
      entropic report runs/demon -o demon.html
      entropic report entropic-demo-small-1 -o demo.html --figures figures
    """
    write_report(source, target, figures)
    out.print(f"{target} ({target.stat().st_size / 1e6:.1f} MB)", soft_wrap=True)
