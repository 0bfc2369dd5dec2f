"""`entropic scale`: parse, run what is missing, judge, print."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from entropic.cli.show import err
from entropic.cli.where import Stop, free_memory
from entropic.errors import LawError, UsageError

__all__ = ["scale"]


@click.command()
@click.argument("study_file", metavar="STUDY.toml|STUDY", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="Change the study.")
@click.option("--out", "target", type=click.Path(path_type=Path), help="Study directory (default: runs/NAME).")
@click.option("--plan", "plan_only", is_flag=True, help="Say what would be run, and run nothing.")
@click.option("--judge", "judge_only", is_flag=True, help="Judge the cells that are done, and run nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def scale(
    study_file: Path, overrides: tuple[str, ...], target: Path | None, plan_only: bool, judge_only: bool, as_json: bool
) -> None:
    """Run a scaling study and judge it: speed, trust, and whether scale changes the outcome.

    Give the file, or the directory of a study that was interrupted: cells that are done are kept.  Exit code 3 if the study is not to be
    trusted, or scale does change the outcome.

    \b
    Examples:
      entropic scale studies/default.toml
      entropic scale studies/deep.toml --plan
      entropic scale studies/default.toml --set study.repeats=7 --out runs/seven
      entropic scale runs/default --judge
      entropic scale runs/default --json > study.json
    """
    # These bring scipy and xarray, which no other command needs.
    from entropic.cli.study_show import cell_plans, print_plans, print_study
    from entropic.scaling import Study, StudyStore, analyse, run_study, write_results
    from entropic.scaling.cells import cells_of
    from entropic.scaling.measure import plan_of
    from entropic.scaling.verdict import NOT_TRUSTED, SOMETHING

    if study_file.is_dir():
        if overrides or target:
            raise UsageError(
                f"{study_file} is a study that has begun.", "leave out --set and --out, or give the TOML file"
            )
        store = StudyStore.open(study_file)
        study = store.study()
    else:
        study = Study.from_toml(study_file, overrides).resolved(len(os.sched_getaffinity(0)))
    cells = cells_of(study)  # raises before anything is written
    if plan_only:
        memory = free_memory()
        rows = cell_plans(cells, lambda cell: plan_of(cell.config, cell.layout, memory, cell.chunks))
        if as_json:
            click.echo(json.dumps({"study": study.study.name, "plan": rows}))
        else:
            print_plans(rows)
        return
    if not study_file.is_dir():
        store = StudyStore.enter(target or Path("runs") / study.study.name, study)
    if not judge_only:
        with _observed() as observer:
            run_study(store, free_memory, observer)
    err.print("analysing")
    summary = analyse(store)
    write_results(store, summary)
    if as_json:
        click.echo(json.dumps(summary))
    else:
        print_study(summary)
    verdict = summary["verdict"]
    if verdict["word"] == NOT_TRUSTED:
        raise LawError(
            verdict["sentence"],
            f"find out what is wrong with that worker or machine; details in {store.path}/study.json",
        )
    if verdict["word"] == SOMETHING:
        raise LawError(verdict["sentence"], "run it again with another field.seed; if it comes back, report it")


@contextmanager
def _observed() -> Iterator[Any]:
    """An observer that shows which cell is under way and how long the study will take, and hears Ctrl-C."""
    from entropic.scaling import StudyObserver

    columns = (
        SpinnerColumn(),
        TextColumn("cell"),
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.fields[about]}"),
    )
    stop = Stop("what is done is on disk")
    began = time.monotonic()
    first: list[int] = []
    with stop.listening(), Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("study", total=None, about="")

        def left(done: int, of: int) -> str:
            if done <= first[0]:
                return ""
            pace = (time.monotonic() - began) / (done - first[0])
            return f", about {timedelta(seconds=round(pace * (of - done)))} left"

        def start(cell: Any, done: int, of: int) -> None:
            if not first:
                first.append(done)
            bar.update(task, completed=done, total=of, about=f"{cell.name}{left(done, of)}")

        def end(record: dict[str, Any], done: int, of: int) -> None:
            if not first:
                first.append(done - 1)
            took = f"{record['seconds']:.2f} s" if record["state"] == "done" else record["state"]
            if not err.is_terminal or record["state"] != "done":
                err.print(f"{done}/{of} {record['name']}: {took}{left(done, of)}", soft_wrap=True)

        yield StudyObserver(start, end, stop)
