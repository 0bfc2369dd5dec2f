"""The commands: parse and wire."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from entropic.audit import audit as audit_run
from entropic.cli.play import Stage, play
from entropic.cli.show import err, finish, out, print_checks, print_laws, require_lawful
from entropic.cli.where import chosen_place, execute, follow_options, plan_for, planned, where_options
from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.demo import ACTS, SIZES
from entropic.drivers import beside
from entropic.engine.cluster import connect
from entropic.engine.rules import energy_grid_of
from entropic.errors import LawError
from entropic.observer import Observer
from entropic.report import report as write_report
from entropic.reversal import reverse as reverse_run
from entropic.soundness import require_sound
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
@click.option("--size", type=click.Choice(list(SIZES)), default="small", show_default=True)
@click.option("--act", "number", type=click.IntRange(1, len(ACTS)), help="Play this act only (default: all three).")
@click.option(
    "--out", "target", type=click.Path(path_type=Path), help="Directory of the acts (default: a new one here)."
)
@click.option(
    "--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="Change every act's configuration."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@follow_options
@where_options
def demo(
    size: str,
    number: int | None,
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
    """The original document's demonstration, with the bill, in three acts.

    The demon with the tape kept; the demon that pays for erasure; the charged field with market, gears and grid.
    Then every claim of the document, judged by what was measured.

    'small' is 25 × 25 × 25 × 64 sites; 'seed' is 100 × 100 × 100 × 1000: 1.3e12 site-cycles, about 20 minutes at 1e9 a second.
    With --out, what is finished there is kept and what was interrupted goes on.

    \b
    Examples:
      entropic demo
      entropic demo --act 3 --out charged
      entropic demo --set field.seed=2 --set run.cycles=300 --out demo-2
      entropic demo --size seed --out seed --json > seed.json
    """
    place = target or next(p for n in count(1) if not (p := Path(f"entropic-demo-{size}-{n}")).exists())
    where = chosen_place(workers, threads, scheduler, place)
    stage = Stage(size, overrides, place, where, chunks, err if as_json else out, live, timeline)
    outcome = play(stage, [act.number for act in ACTS if number in (None, act.number)])
    if as_json:
        click.echo(json.dumps(outcome))
    require_lawful(*outcome["acts"])


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
      entropic run demon.toml --cluster cluster/slurm.toml
    """
    config = Config.from_toml(config_file, overrides)
    place = target or Path("runs") / config_file.stem
    where = chosen_place(workers, threads, scheduler, place)

    def start(executor: Any, blocks: Any, epoch: int, observer: Observer) -> EntropicComputer:
        return EntropicComputer(config, place, executor, blocks, epoch, observer)

    energy_grid_of(config)  # raises before a cluster is started, as does the next
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        RunStore.create(place, config)
    _, summary = execute(config, where, chunks, start, live, timeline)
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

    _, summary = execute(
        config, chosen_place(workers, threads, scheduler, run_directory), chunks, start, live, timeline
    )
    finish(summary, as_json)


@cli.command()
@click.argument("run_directory", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def audit(run_directory: Path, as_json: bool) -> None:
    """Recompute every law from the stored books and field; exit code 3 if one does not hold, 5 if a file is damaged.

    \b
    Examples:
      entropic audit runs/demon
      entropic audit runs/demon --json
    """
    store = RunStore.open(run_directory)
    with beside(run_directory) as require:
        laws = [law.to_dict() for law in audit_run(run_directory)]
        require(all(law["holds"] for law in laws))
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
    with beside(run_directory):
        require_sound(store)


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
    where = chosen_place(workers, threads, scheduler, run_directory)
    with connect(where) as executor, beside(run_directory) as require:
        made = plan_for(config, where, executor, chunks)
        outcome = reverse_run(run_directory, executor, made.chunks, epoch=made.epoch_limit)
        require(outcome.restored or not outcome.tape_kept)
    if as_json:
        click.echo(json.dumps(outcome.to_dict()))
    else:
        out.print(f"{outcome.cycles} cycles back: {outcome.reason}")
        out.print(f"start {outcome.digest_start}, reached {outcome.digest_reached}")
    if not outcome.restored:
        raise LawError(f"{run_directory} is not restored: {outcome.reason}.", "keep the tape: [demon] erase = false")


@cli.command()
@click.option("--quick", is_flag=True, help="Small samples: within a minute.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def verify(quick: bool, as_json: bool) -> None:
    """The physics against its exact values: a named check a line, p-values, one false-alarm rate for all.

    Exit code 3 if a check fails.

    \b
    Examples:
      entropic verify --quick
      entropic verify --json > checks.json
    """
    from entropic.verification import verify as run_checks  # brings scipy, which no other command needs

    def finished(check: Any, finding: Any, seconds: float) -> None:
        result = f"{finding.misfits} misfits" if finding.p is None else f"p = {finding.p:.3g}"
        err.print(
            f"{check.name:<45} {finding.samples:>13,} {finding.unit:<22} {result:<14} {seconds:6.1f} s", soft_wrap=True
        )

    report = run_checks(quick, finished)
    if as_json:
        click.echo(json.dumps(report.to_dict()))
    else:
        print_checks(report)
    if report.broken:
        names = "; ".join(f"{o.check.name} ({o.finding.first or f'p = {o.finding.p:.3g}'})" for o in report.broken)
        raise LawError(
            f"{len(report.broken)} of {len(report.outcomes)} checks fail: {names}.",
            "do not use this installation: its code or its compiler computes wrongly; report it with 'entropic verify --json'",
        )


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
    with beside(source):
        for config in (*source.glob("config.toml"), *source.glob("*/config.toml")):
            RunStore.open(config.parent).require_files(tape=False)
        write_report(source, target, figures)
    out.print(f"{target} ({target.stat().st_size / 1e6:.1f} MB)", soft_wrap=True, markup=False)
