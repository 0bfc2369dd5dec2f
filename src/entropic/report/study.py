"""The page about a study, from its `study.json` (described in docs/scaling.md)."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from entropic.errors import StoreError
from entropic.report.facts import origin_rows
from entropic.report.parts import Listing, Page, Part, Section, Verdict
from entropic.report.study_figures import loss_figure, model_figure, scaling_figures, thermodynamic_figures
from entropic.report.tables import Cell, Table, counted, spanned

__all__ = ["study_page"]

_SCHEMA = 1
_SETTLED = "scale changes nothing"
Record = Mapping[str, Any]


def study_page(path: Path) -> Page:
    """The page of a study directory.

    Raises
    ------
    StoreError
        Its results are damaged, or of another version.
    """
    place = path / "study.json"
    try:
        study = json.loads(place.read_text("utf-8"))
        if study["schema"] != _SCHEMA:
            raise StoreError(
                f"{place} is of version {study['schema']}, expected {_SCHEMA}.",
                f"judge it again: entropic scale {path}",
            )
        part = _part(path, study)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        found = f"{place} cannot be read: {type(error).__name__} {error}."
        raise StoreError(found, f"judge it again: entropic scale {path}") from error
    return Page(part.title, part.verdict, (), (part,))


def _part(path: Path, study: Record) -> Part:
    loss, model = loss_figure(study), model_figure(study)
    scaling = (*scaling_figures(study), *((loss,) if loss else ()))
    sections = (
        Section("checks", "What was asked, and the answers", tables=tuple(_checks(study))),
        Section("thermodynamic", "Does scale change the outcome?", figures=tuple(thermodynamic_figures(study))),
        Section("scaling", "How well the machine scales", _null(study), scaling),
        _model(study, (model,) if model else ()),
        Section("cells", "Cells and outcomes", tables=tuple(_cells(study))),
        _origin(path, study),
    )
    shown = tuple(s for s in sections if s.figures or s.tables or s.listings)
    return Part("study", f"Study {study['study']['name']}", _verdict(study), shown)


def _verdict(study: Record) -> Verdict:
    said, about = study["verdict"], study["study"]
    trouble = tuple(_fault(fault) for fault in said["faults"])
    notes = list(said["notes"])
    if not about["complete"]:
        notes.insert(0, f"The study is unfinished: {about['cells']} of {counted(about['of'], 'cell')} are done.")
    tone = "broken" if not said["trusted"] else "sound" if said["word"] == _SETTLED else "open"
    return Verdict(tone, said["sentence"], trouble=trouble, notes=tuple(notes))  # type: ignore[arg-type]


def _fault(fault: Record) -> str:
    place = ", ".join(f"{key} {fault[key]}" for key in ("cycle", "region", "account") if fault.get(key) is not None)
    amounts = f": found {fault['found']}, expected {fault['expected']}" if fault.get("expected") is not None else ""
    detail = f" ({fault['detail']})" if fault.get("detail") else ""
    return f"cell {fault['cell']}, {fault['kind']}" + (f", {place}" if place else "") + amounts + detail


def _checks(study: Record) -> Iterator[Table]:
    header = ("question", "answer", "how", "kind", "tests", "least p", "level")
    rows = tuple(
        (
            check["question"],
            "not settled" if check["holds"] is None else bool(check["holds"]),
            check["detail"],
            check["kind"],
            check["tests"] or None,
            None if check["p"] is None else float(f"{check['p']:.2g}"),
            check["level"],
        )
        for check in study["verdict"]["checks"]
    )
    rate = study["verdict"]["false_alarm"]
    yield Table(f"A false alarm in any of them: {rate}", header, rows)


def _null(study: Record) -> str:
    null = study["null"]
    if null is None:
        return ""
    ratio = null["ratio"]
    equal = {
        True: ", equal as they should be",
        False: ", different although they are the same: the machine was not quiet",
        None: "; with one repeat it has no interval",
    }[null["equal"]]
    return f"The same cell twice under two names, layout {null['layout']}: the ratio of their times is {spanned(ratio)}{equal}."


def _model(study: Record, figures: tuple[Any, ...]) -> Section:
    model, planner = study["model"], study["planner"]
    tables: list[Table] = []
    if planner:
        rows = tuple((name, *(p[k] for k in ("cells", "median", "low", "high"))) for name, p in planner.items() if p)
        tables.append(Table("The planner: predicted over measured", ("what", "cells", "median", "least", "most"), rows))
    lead = ""
    if model:
        costs = tuple(
            (name.replace("_", " "), c["value"], c["low"], c["high"], c["unit"], c["source"])
            for name, c in model["costs"].items()
        )
        tables.append(Table("Costs that were measured", ("cost", "value", "low", "high", "unit", "from"), costs))
        tables.append(Table("Assumptions", ("what is assumed",), tuple((text,) for text in model["assumptions"])))
        tables.append(Table("The run that is predicted", ("what", "value"), tuple(_target(model["target"]))))
        target = model["target"]
        seconds = target["seconds"]
        lead = (
            f"A run of {target['cycles']} cycles with {target['workers']:,} workers and {target['sites']:.3g} sites would "
            f"take {spanned(seconds)} s, limited by "
            f"{target['limited_by']}."
        )
    return Section("model", "A model of larger runs", lead, figures, tuple(tables))


def _target(target: Record) -> Iterator[tuple[Cell, ...]]:
    for key in ("workers", "sites", "regions", "blocks", "cycles", "tasks"):
        yield key, target[key]
    for end in ("value", "low", "high"):
        yield f"seconds ({end})", float(target["seconds"][end])
    for name, seconds in target["parts"].items():
        yield f"of them {name}", float(seconds)
    yield "limited by", target["limited_by"]
    yield "seconds by the planner", float(target["planned_seconds"])


def _cells(study: Record) -> Iterator[Table]:
    outcomes = tuple(
        (o["physics"], ", ".join(o["kinds"]), o["cells"], bool(o["same"]), (o["digest"] or {}).get("field"))
        for o in study["outcomes"]
    )
    yield Table(
        "Outcomes, one a configuration",
        ("physics", "kinds", "cells", "all the same", "field digest"),
        outcomes,
        folded=True,
    )
    header = ("cell", "state", "layout", "sites", "seconds", "site-cycles a second", "tasks", "bytes", "field digest")
    rows = tuple(
        (
            cell["name"],
            cell["state"],
            cell["layout"]["name"],
            cell.get("sites"),
            cell.get("seconds"),
            cell.get("site_cycles_per_second"),
            cell.get("tasks"),
            cell.get("peak_bytes"),
            (cell.get("digest") or {}).get("field"),
        )
        for cell in study["cells"]
    )
    yield Table("Every cell", header, rows, folded=True)


def _origin(path: Path, study: Record) -> Section:
    environment = dict(study["environment"])
    load = environment.pop("load", None)
    rows = list(origin_rows(environment))
    for key in ("cores", "memory_bytes", "processor"):
        if environment.get(key) is not None:
            rows.append((key.replace("_", " "), environment[key]))
    if load and load["median"] is not None:
        rows.append(
            ("load when cells began", f"{load['least']:.2g} to {load['most']:.2g}, median {load['median']:.2g}")
        )
    place = shlex.quote(str(path))
    commands = [
        f"entropic scale {place}   # goes on where it was interrupted; judges it again if it is done",
        f"entropic scale {shlex.quote(str(path / 'study.toml'))}   # the whole study anew",
        f"entropic report {place} -o study.html --figures figures",
    ]
    listings = [Listing("Commands", "\n".join(commands))]
    if (path / "study.toml").is_file():
        listings.append(Listing("The study as run: study.toml", (path / "study.toml").read_text("utf-8")))
    return Section(
        "origin",
        "Provenance, and how to reproduce it",
        "Results for other programs: results.nc (xarray), cells.csv (pandas), study.json.",
        tables=(Table("Provenance", ("what", "value"), tuple(rows)),),
        listings=tuple(listings),
    )
