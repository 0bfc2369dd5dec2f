"""All that a study's cells come to: performance, model, thermodynamics, trust, verdict; and how it is kept."""

from __future__ import annotations

import json
import statistics as plain
from collections.abc import Sequence
from typing import Any

from entropic.errors import StoreError
from entropic.scaling.cells import cells_of
from entropic.scaling.charged import analyse_charged
from entropic.scaling.model import analyse_model
from entropic.scaling.performance import analyse_performance
from entropic.scaling.runner import environment
from entropic.scaling.store import StudyStore
from entropic.scaling.study import Study
from entropic.scaling.thermodynamic import analyse_fields
from entropic.scaling.trust import faults_of, outcomes_of
from entropic.scaling.verdict import verdict_of

__all__ = ["SCHEMA", "analyse"]

SCHEMA = 1
_ENOUGH = 5  # repeats that an interval should rest on
_DROPPED = ("outcome", "tally", "trades")  # of a cell: they are in sections of their own


def analyse(store: StudyStore) -> dict[str, Any]:
    """Everything that `study.json` holds, from the cells on disk; see docs/scaling.md.

    Raises
    ------
    StoreError
        The study is damaged.
    """
    study = store.study()
    cells = cells_of(study)
    records = [record for cell in cells if (record := store.record(cell.name)) is not None]
    done = [record for record in records if record["state"] == "done"]
    facts, elsewhere = _environment(store)
    cores = int(facts["cores"])
    outcomes, faults = outcomes_of(records), faults_of(records, store.outcome)
    performance = analyse_performance(study, done, cores)
    fields, charged = analyse_fields(study, records), analyse_charged(study, records)
    complete = len(records) == len(cells) and all(r["state"] in ("done", "fault") for r in records)
    notes = [*elsewhere, *_notes(study, records, performance, facts)]
    facts["load"] = _load(records)
    return {
        "schema": SCHEMA,
        "study": {
            "name": study.study.name,
            "complete": complete,
            "cells": len(records),
            "of": len(cells),
            **{name: getattr(study.study, name) for name in ("repeats", "seed", "confidence", "false_alarm", "bound")},
            "config": study.to_dict(),
        },
        "environment": facts,
        "verdict": verdict_of(study, complete, records, outcomes, faults, fields, charged, notes),
        "outcomes": outcomes,
        "cells": [{name: value for name, value in r.items() if name not in _DROPPED} for r in records],
        **performance,
        "model": analyse_model(study, done, cores),
        "thermodynamic": fields.section,
        "charged": charged.section,
        "store": str(store.path),
    }


def _environment(store: StudyStore) -> tuple[dict[str, Any], list[str]]:
    """Where the study was begun, and a note if it went on elsewhere."""
    found = []
    for path in sorted(store.path.glob("environment*.json"), key=lambda path: path.stat().st_mtime):
        try:
            found.append(dict(json.loads(path.read_text())))
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise StoreError(f"{path} cannot be read: {error}.", "remove it") from error
    if not found:  # nothing was run yet
        return environment(), []
    machines = {(facts["host"], facts["processor"], facts["cores"]) for facts in found}
    note = f"The study was run on {len(machines)} machines: its timings do not compare."
    return found[0], [note] if len(machines) > 1 else []


def _load(records: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """One-minute load averages at the start of the cells."""
    loads = [record["load"] for record in records]
    if not loads:
        return {"least": None, "median": None, "most": None}
    return {"least": min(loads), "median": plain.median(loads), "most": max(loads)}


def _notes(
    study: Study, records: Sequence[dict[str, Any]], performance: dict[str, Any], facts: dict[str, Any]
) -> list[str]:
    """What a reader should know beside the verdict."""
    notes = []
    if facts["load"][0] > 0.5 * facts["cores"]:
        notes.append(
            f"The machine was not quiet when the study began (load {facts['load'][0]:.1f}): mistrust its timings."
        )
    null = performance["null"]
    if null and null["equal"] is False:
        low, high = null["ratio"]["low"], null["ratio"]["high"]
        notes.append(
            f"Two equal cells differ (ratio {low:.3f} to {high:.3f}): so much of any other difference is noise."
        )
    if study.study.repeats < _ENOUGH and any(performance[name] for name in ("strong", "weak", "granularity")):
        notes.append(f"Only {study.study.repeats} repeats: intervals of timings rest on {_ENOUGH} at least.")
    for state, words in (("refused", "refused (it does not fit)"), ("failed", "failed")):
        mine = [record for record in records if record["state"] == state]
        if mine:
            first = mine[0]
            notes.append(f"{len(mine)} cells {words}, {first['name']} first: {first['fault']['detail']}")
    return notes
