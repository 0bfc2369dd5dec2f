"""Whether the answers can be trusted: one outcome for each physics, every law in every cell, and where not, which cell is to blame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from entropic.scaling.outcome import Outcome, first_difference

__all__ = ["faults_of", "outcomes_of"]

Record = dict[str, Any]


def outcomes_of(records: Sequence[Record]) -> list[dict[str, Any]]:
    """One entry for each physics: its cells, and the outcome that most of them have."""
    found = []
    for physics, cells in _by_physics(records).items():
        most = _consensus(cells)
        digest = next(r["digest"] for r in cells if r["outcome"] == most)
        found.append(
            {
                "physics": physics,
                "kinds": sorted({r["kind"] for r in cells}),
                "cells": len(cells),
                "same": all(r["outcome"] == most and r["digest"] == digest for r in cells),
                "digest": digest,
            }
        )
    return found


def _by_physics(records: Sequence[Record]) -> dict[str, list[Record]]:
    groups: dict[str, list[Record]] = {}
    for record in records:
        if record["state"] == "done":
            groups.setdefault(record["physics"], []).append(record)
    return groups


def _lawful(record: Record) -> bool:
    return all(law["holds"] for law in record["laws"])


def _consensus(cells: Sequence[Record]) -> str:
    """The outcome of most cells, lawful ones first; of a tie, that of the earliest name."""
    counts = Counter(str(r["outcome"]) for r in cells if _lawful(r)) or Counter(str(r["outcome"]) for r in cells)
    return max(sorted(counts), key=lambda outcome: counts[outcome])


def faults_of(records: Sequence[Record], outcome: Callable[[str], Outcome]) -> list[dict[str, Any]]:
    """Every reason not to trust the study, with cell, cycle, region and account where they are known.

    Parameters
    ----------
    outcome : callable(name) -> Outcome
        Reads an outcome.
    """
    faults = [_error(record) for record in records if record["state"] == "fault"]
    for record in records:
        if record["state"] == "done":
            broken = [law for law in record["laws"] if not law["holds"]]
            faults += [_fault(record, "law", f"{law['name']}: {law['detail']}") for law in broken]
    for cells in _by_physics(records).values():
        most = _consensus(cells)
        like = next(r for r in cells if r["outcome"] == most)
        tie = sum(r["outcome"] == most for r in cells) * 2 <= len(cells)
        for record in cells:
            if record["outcome"] != most:
                faults.append(_differs(record, like, outcome, tie))
            elif record["digest"] != like["digest"]:
                faults.append(
                    _fault(record, "differs", f"books and field agree with {like['name']}, the series does not")
                )
            elif record.get("tally") != like.get("tally"):
                faults.append(
                    _fault(record, "differs", f"{_scale(record, like)} counted otherwise than in {like['name']}")
                )
    return faults


def _fault(record: Record, kind: str, detail: str, **more: Any) -> dict[str, Any]:
    empty = dict.fromkeys(("cycle", "region", "account", "found", "expected"))
    return {"cell": record["name"], "kind": kind, **empty, "detail": detail, **more}


def _error(record: Record) -> dict[str, Any]:
    fault = record["fault"]
    return _fault(record, "error", fault["detail"], cycle=fault.get("cycle"), region=fault.get("region"))


def _differs(record: Record, like: Record, outcome: Callable[[str], Outcome], tie: bool) -> dict[str, Any]:
    """Where a cell's books part from those of most others."""
    found = first_difference(outcome(like["outcome"]), outcome(record["outcome"]))
    others = f"{like['name']}, and no third cell can tell which is right" if tie else f"{like['name']} and most others"
    if found is None:
        return _fault(record, "differs", f"its series alone differs from {others}")
    where = f"cycle {found.cycle}, region {found.region}" + (
        f" (and {found.regions - 1} more)" if found.regions > 1 else ""
    )
    return _fault(
        record,
        "differs",
        f"{where}: {found.account} is {found.found}, but {found.expected} in {others}",
        cycle=found.cycle,
        region=found.region,
        account=found.account,
        found=found.found,
        expected=found.expected,
    )


def _scale(record: Record, like: Record) -> str:
    """The first scale at which two counts of one field part."""
    for mine, theirs in zip(record["tally"].get("scales", []), like["tally"].get("scales", []), strict=False):
        if mine != theirs:
            return f"regions of {mine['sites']} sites"
    return "the field"
