"""The command line: parse and wire."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import psutil
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from entropic.audit import audit as audit_run
from entropic.claims import Claim
from entropic.computer import EntropicComputer, Interrupted, Observer
from entropic.computer import reverse as reverse_run
from entropic.config import Config
from entropic.demo import demo_claims, demo_config, demo_line
from entropic.engine.cluster import Where, connect, silence_logs
from entropic.engine.plan import Plan, make_plan
from entropic.errors import ClusterError, EntropicError, LawError, ResourceError
from entropic.store import RunStore

__all__ = ["main"]

err = Console(stderr=True, highlight=False)
out = Console(highlight=False)


def _chunks(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    if value is None:
        return None
    try:
        return tuple(int(part) for part in value.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a list of numbers such as 2,10,10,1") from error


def _where_options(function: Callable[..., Any]) -> Callable[..., Any]:
    options = (
        click.option("--workers", type=click.IntRange(1, 4096), help="Worker processes (1: threads of this process)."),
        click.option("--threads", type=click.IntRange(1, 4096), help="Threads a worker."),
        click.option("--scheduler", help="Address or scheduler file of a Dask cluster that is up."),
        click.option("--chunks", callback=_chunks, help="Block shape in regions, e.g. 2,10,10,1 (default: planned)."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def _where(workers: int | None, threads: int | None, scheduler: str | None) -> Where:
    cores = len(os.sched_getaffinity(0))
    if workers is None:
        workers = max(1, cores // threads) if threads else cores
    return Where(workers, threads or max(1, cores // workers), scheduler)


def _memory() -> int:
    """Bytes that may be used: what the machine has free, and no more than the cgroup allows."""
    free = int(psutil.virtual_memory().available)
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (text := limit.read_text().strip()).isdigit():
        free = min(free, int(text))
    return int(0.9 * free)


class _Stop:
    """SIGINT and SIGTERM ask for a checkpoint; the second one ends the process at once."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        return self.asked

    def _handle(self, number: int, frame: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        err.print("[yellow]stopping: writing a checkpoint (once more to end at once)[/]")

    @contextmanager
    def listening(self) -> Iterator[None]:
        old = {s: signal.signal(s, self._handle) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)


@contextmanager
def _observed(total: int, start: int, sites: int, booked: Callable[[RunStore, int], None] | None) -> Iterator[Observer]:
    stop = _Stop()
    columns = (
        SpinnerColumn(),
        TextColumn("cycle"),
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with stop.listening(), Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("run", total=total, completed=start, rate="")

        def progress(cycle: int) -> None:
            speed = bar.tasks[0].speed
            bar.update(task, completed=cycle, rate=f"{speed * sites:.2e} site-cycles/s" if speed else "")

        yield Observer(progress=progress, booked=booked or (lambda store, cycle: None), stop=stop)


def _planned(config: Config, where: Where, chunks: tuple[int, ...] | None) -> Plan:
    return make_plan(config, where.workers, where.threads, _memory(), chunks, where.in_process)


def _execute(
    config: Config,
    where: Where,
    chunks: tuple[int, ...] | None,
    start: Callable[..., EntropicComputer],
    booked: Callable[[RunStore, int], None] | None = None,
) -> tuple[EntropicComputer, dict[str, Any]]:
    """Connect, plan, run; ``start(executor, chunks, epoch, observer)`` makes the computer."""
    if where.scheduler is None:
        _planned(config, where, chunks)  # refuse what cannot fit before any process starts
    with connect(where) as executor:
        here = Where(executor.workers, executor.threads, where.scheduler)
        memory = _memory() if where.scheduler is None else 1 << 62
        plan = make_plan(config, here.workers, here.threads, memory, chunks, where.in_process)
        if executor.address:
            err.print(f"dashboard: {executor.address}")
        err.print(
            f"{config.field.sites:,} sites, {config.field.region_count:,} regions, {plan.blocks} blocks on "
            f"{plan.workers} × {plan.threads} threads; about {plan.seconds:.0f} s, {plan.bytes_total / 2**30:.1f} GiB"
        )
        with _observed(config.run.cycles, 0, config.field.sites, booked) as observer:
            computer = start(executor, plan.chunks, plan.epoch, observer)
            return computer, computer.run()


def _finish(summary: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(summary))
    else:
        _print_summary(summary)
    broken = [law["name"] for law in summary["laws"] if not law["holds"]]
    if broken:
        raise LawError(f"broken: {', '.join(broken)}.", f"see 'entropic audit {summary['store']}'")


def _print_summary(summary: dict[str, Any]) -> None:
    totals, entropy = summary["totals"], summary["entropy"]
    table = Table(title="Books", show_header=False)
    for name in ("cycles", "sites", "regions", "gross", "erasure", "net", "battery", "first_law_residual"):
        table.add_row(name.replace("_", " "), f"{totals[name]:,}")
    table.add_row("record", f"{totals['record_nats']:,.1f} nat")
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
    _print_laws(summary["laws"])
    speed = summary["performance"]
    out.print(f"field digest {summary['digest']['field']}, series digest {summary['digest']['series']}", soft_wrap=True)
    out.print(
        f"{speed['seconds']:.1f} s, {speed['site_cycles_per_second']:.3g} site-cycles a second, "
        f"peak {speed['peak_bytes'] / 2**30:.2f} GiB; store {summary['store']}",
        soft_wrap=True,
    )


def _print_laws(laws: list[dict[str, Any]]) -> None:
    table = Table("law", "holds", "margin", "detail", title="Laws")
    for law in laws:
        table.add_row(
            law["name"],
            "[green]yes[/]" if law["holds"] else "[red]NO[/]",
            f"{law['margin']:.4g}",
            law.get("detail", ""),
        )
    out.print(table)


def _print_claims(claims: list[Claim]) -> None:
    table = Table("claim", "unit", "gross", "cost", "net", "verdict", title="Claims of the original document")
    for claim in claims:
        verdict = f"[green]{claim.verdict}[/]" if claim.holds else f"[red]refuted[/]: {claim.verdict}"
        table.add_row(claim.claim, claim.unit, *(f"{v:,.4g}" for v in (claim.gross, claim.cost, claim.net)), verdict)
    out.print(table)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="entropic")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Tests, with exact physics, whether parallel scale can change a thermodynamic outcome.

    \b
    Examples:
      entropic demo
      entropic run CONFIG.toml --set run.cycles=50 --out runs/a
      entropic audit runs/a
      entropic reverse runs/a
    """
    ctx.obj = debug


@cli.command()
@click.option("--size", type=click.Choice(["small", "seed"]), default="small", show_default=True)
@click.option("--out", "target", type=click.Path(path_type=Path), help="Run directory (default: a new one here).")
@click.option("--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="Change the configuration.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@_where_options
def demo(
    size: str,
    target: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
    workers: int | None,
    threads: int | None,
    scheduler: str | None,
    chunks: tuple[int, ...] | None,
) -> None:
    """The original document's demonstration, with the bill.

    'small' is 25 × 25 × 25 × 64 sites; 'seed' is 100 × 100 × 100 × 1000 (about 15 minutes on two cores).
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

    where = _where(workers, threads, scheduler)
    place = target

    def start(executor: Any, blocks: Any, epoch: int, observer: Observer) -> EntropicComputer:
        return EntropicComputer(config, place, executor, blocks, min(epoch, 100), observer)

    computer, summary = _execute(config, where, chunks, start, booked)
    claims = demo_claims(computer.store, summary)
    summary["claims"] = [claim.to_dict() for claim in claims]
    computer.store.write_json("summary.json", summary)
    if not as_json:
        _print_claims(claims)
    _finish(summary, as_json)


@cli.command()
@click.argument("config_file", metavar="CONFIG.toml", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="Change the configuration.")
@click.option("--out", "target", type=click.Path(path_type=Path), help="Run directory (default: runs/NAME).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@_where_options
def run(
    config_file: Path,
    overrides: tuple[str, ...],
    target: Path | None,
    as_json: bool,
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
    where = _where(workers, threads, scheduler)

    def start(executor: Any, blocks: Any, epoch: int, observer: Observer) -> EntropicComputer:
        return EntropicComputer(config, place, executor, blocks, epoch, observer)

    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        RunStore.create(place, config)  # raises before a cluster is started
    _, summary = _execute(config, where, chunks, start)
    _finish(summary, as_json)


@cli.command()
@click.argument("config_file", metavar="CONFIG.toml", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="Change the configuration.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@_where_options
def plan(
    config_file: Path,
    overrides: tuple[str, ...],
    as_json: bool,
    workers: int | None,
    threads: int | None,
    scheduler: str | None,
    chunks: tuple[int, ...] | None,
) -> None:
    """What a run would need: blocks, tasks, bytes, seconds.  Refuses what cannot fit."""
    config = Config.from_toml(config_file, overrides)
    made = _planned(config, _where(workers, threads, scheduler), chunks)
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
@_where_options
def resume(
    run_directory: Path,
    as_json: bool,
    workers: int | None,
    threads: int | None,
    scheduler: str | None,
    chunks: tuple[int, ...] | None,
) -> None:
    """Go on from the newest checkpoint that verifies, on any layout."""
    config = RunStore.open(run_directory).config()

    def start(executor: Any, blocks: Any, epoch: int, observer: Observer) -> EntropicComputer:
        return EntropicComputer.resume(run_directory, executor, blocks, epoch, observer)

    _, summary = _execute(config, _where(workers, threads, scheduler), chunks, start)
    _finish(summary, as_json)


@cli.command()
@click.argument("run_directory", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def audit(run_directory: Path, as_json: bool) -> None:
    """Recompute every law from the stored books and field."""
    laws = [law.to_dict() for law in audit_run(run_directory)]
    if as_json:
        click.echo(json.dumps({"store": str(run_directory), "laws": laws}))
    else:
        _print_laws(laws)
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
@_where_options
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
    """
    config = RunStore.open(run_directory).config()
    where = _where(workers, threads, scheduler)
    with connect(where) as executor:
        memory = _memory() if scheduler is None else 1 << 62
        made = make_plan(config, executor.workers, executor.threads, memory, chunks, where.in_process)
        outcome = reverse_run(run_directory, executor, made.chunks, epoch=made.epoch)
    if as_json:
        click.echo(json.dumps(outcome.to_dict()))
    else:
        out.print(f"{outcome.cycles} cycles back: {outcome.reason}")
        out.print(f"start {outcome.digest_start}, reached {outcome.digest_reached}")
    if not outcome.restored:
        raise LawError(f"{run_directory} is not restored: {outcome.reason}.", "keep the tape: [demon] erase = false")


def main() -> None:
    """Entry point: every failure is one sentence and an exit code."""
    debug = "--debug" in sys.argv
    if not debug:
        silence_logs()
    try:
        cli.main(standalone_mode=False)
        code = 0
    except click.exceptions.Abort:
        code = 130
    except click.ClickException as error:
        error.show()
        code = 2
    except KeyboardInterrupt:
        err.print("interrupted at once; the last checkpoint stands")
        code = 130
    except EntropicError as error:
        if debug:
            traceback.print_exc()
        style = "yellow" if isinstance(error, Interrupted) else "red"
        err.print(f"[{style}]entropic:[/] ", end="")
        err.print(str(error), markup=False, soft_wrap=True)
        code = error.exit_code
    except (OSError, MemoryError) as error:
        if debug:
            traceback.print_exc()
        wrapped = ResourceError(f"{type(error).__name__}: {error}.", "make room, then try again or 'entropic resume'")
        err.print(f"entropic: {wrapped}", markup=False, soft_wrap=True)
        code = wrapped.exit_code
    except Exception as error:  # the last net: no traceback without --debug
        if debug:
            traceback.print_exc()
        wrapped_cluster = ClusterError(f"unexpected {type(error).__name__}: {error}.", "run with --debug and report it")
        err.print(f"entropic: {wrapped_cluster}", markup=False, soft_wrap=True)
        code = wrapped_cluster.exit_code
    sys.exit(code)


if __name__ == "__main__":
    main()
