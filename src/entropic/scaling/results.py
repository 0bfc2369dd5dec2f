"""A study's results in files that need no program of ours: JSON, netCDF (xarray, pandas), CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from entropic.durable import whole, write_json, write_text
from entropic.scaling.store import StudyStore

__all__ = ["cell_rows", "dataset", "write_results"]

_WORDS = ("name", "kind", "varied", "state", "physics", "started")
_NUMBERS = {
    "repeat": ("1", "number of the repeat; 0: not repeated"),
    "sites": ("1", "sites of the field"),
    "regions": ("1", "regions of the field"),
    "cycles": ("1", "cycles of the run"),
    "blocks": ("1", "blocks of the field"),
    "tasks": ("1", "tasks of the cycles"),
    "seconds": ("s", "time of the cycles, on the clock"),
    "site_cycles_per_second": ("1/s", "sites times cycles over seconds"),
    "closing_seconds": ("s", "part of seconds that books and checkpoints took"),
    "peak_bytes": ("byte", "largest resident memory of all processes"),
    "load": ("1", "load average of the last minute when the cell began"),
}
_SPENT = {
    "task_cpu": ("s", "tasks on a processor"),
    "task_wait": ("s", "tasks waiting for a processor, the interpreter or a disk"),
    "task_other": ("s", "around tasks"),
    "idle": ("s", "workers' threads idle"),
    "receive": ("s", "receiving results of other workers"),
    "send": ("s", "sending results"),
    "sent_bytes": ("byte", "results sent"),
    "worker_cpu": ("s", "processor time of worker processes"),
    "scheduler_cpu": ("s", "processor time of the scheduler's thread"),
    "driver_cpu": ("s", "processor time of the driver's thread"),
}
_PLANNED = {
    "seconds": ("s", "forecast of the planner"),
    "bytes_total": ("byte", "forecast of the planner"),
    "tasks": ("1", "forecast of the planner, whole run"),
}
_PRICES = {"landauer": "an infinite bath", "raw": "an infinite bath, raw record", "own": "the region's own bath"}


def write_results(store: StudyStore, summary: dict[str, Any]) -> None:
    """Write ``study.json``, ``results.nc`` and ``cells.csv``, each whole or not at all."""
    write_json(store.path / "study.json", summary)
    found = dataset(summary)
    with whole(store.path / "results.nc") as temporary:
        found.to_netcdf(temporary, engine="scipy")
    rows = cell_rows(summary)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["name"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: "" if value is None else value for name, value in row.items()} for row in rows)
    write_text(store.path / "cells.csv", text.getvalue())


def cell_rows(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """One flat row a cell."""
    rows = []
    for cell in summary["cells"]:
        layout = cell["layout"]
        row: dict[str, Any] = {name: cell[name] for name in _WORDS}
        row |= {"layout": layout["name"], "workers": layout["workers"], "threads": layout["threads"]}
        row |= {name: cell.get(name) for name in _NUMBERS}
        row |= {name: cell.get("spending", {}).get(name) for name in _SPENT}
        row |= {f"planned_{name}": cell.get("plan", {}).get(name) for name in _PLANNED}
        row |= {f"digest_{name}": cell.get("digest", {}).get(name, "") for name in ("field", "series", "books")}
        rows.append(row)
    return rows


def dataset(summary: dict[str, Any]) -> xr.Dataset:
    """The cells (dimension ``cell``), the net at every scale (``scale``), apparent gains (``demon``), the charged fields (``charge``)."""
    variables: dict[str, Any] = {}
    rows = cell_rows(summary)
    described = {
        **_NUMBERS,
        **_SPENT,
        **{f"planned_{name}": about for name, about in _PLANNED.items()},
        "workers": ("1", "workers; 0: without Dask"),
        "threads": ("1", "threads a worker"),
    }
    for name in rows[0] if rows else ():
        units, about = described.get(name, ("", name.replace("_", " ")))
        variables[name] = _column("cell", [row[name] for row in rows], units, about)
    thermodynamic, charged = summary["thermodynamic"], summary["charged"]
    if thermodynamic:
        variables |= _scales(thermodynamic["fields"]) | _demons(thermodynamic["fields"])
    if charged:
        variables |= _charges(charged["points"])
    verdict = summary["verdict"]
    about_all = {"title": summary["study"]["name"], "verdict": verdict["word"], "sentence": verdict["sentence"]}
    return xr.Dataset(variables, attrs={**about_all, "schema": summary["schema"]})


def _column(dim: str, values: Sequence[Any], units: str, about: str) -> tuple[str, Any, dict[str, str]]:
    """Text as text, numbers as float64 (exact up to 2^53, which netCDF 3 has no integers for); nothing as NaN."""
    if any(isinstance(value, str) for value in values):
        return dim, np.array([value or "" for value in values], "U"), {"long_name": about}
    numbers = np.array([math.nan if value is None else float(value) for value in values])
    return dim, numbers, {"units": units, "long_name": about}


def _scales(fields: Sequence[dict[str, Any]]) -> dict[str, Any]:
    rows = [(field, scale) for field in fields for scale in field["scales"]]
    found = {
        "scale_field_sites": _column("scale", [field["sites"] for field, _ in rows], "1", "sites of the field"),
        "scale_sites": _column("scale", [scale["sites"] for _, scale in rows], "1", "sites of a region"),
        "scale_regions": _column("scale", [scale["regions"] for _, scale in rows], "1", "regions of that size"),
    }
    for price, bath in _PRICES.items():
        prices = [scale[price] for _, scale in rows]
        about = f"net work a site, erased into {bath}"
        for part in ("value", "low", "high"):
            values = [entry and entry["net"][part] for entry in prices]
            name = f"net_{price}" if part == "value" else f"net_{price}_{part}"
            found[name] = _column("scale", values, "quanta", about)
        found[f"net_{price}_exact"] = _column("scale", [e and e["exact"] for e in prices], "quanta", f"{about}, exact")
    return found


def _demons(fields: Sequence[dict[str, Any]]) -> dict[str, Any]:
    rows = [(field, demon) for field in fields for demon in field["demons"]]
    found = {
        "demon_field_sites": _column("demon", [field["sites"] for field, _ in rows], "1", "sites of the field"),
        "demon_price": _column("demon", [demon["price"] for _, demon in rows], "", "price of a record"),
    }
    for name, about in (
        ("sites", "sites of a demon"),
        ("demons", "demons of that size"),
        ("gains", "demons that seem to gain"),
        ("exact", "exact probability of an apparent gain"),
        ("bound", "its exponential bound"),
        ("p", "p-value"),
    ):
        found[f"demon_{name}"] = _column("demon", [demon[name] for _, demon in rows], "1", about)
    for part in ("value", "low", "high"):
        name = "demon_probability" if part == "value" else f"demon_probability_{part}"
        values = [demon["probability"][part] for _, demon in rows]
        found[name] = _column("demon", values, "1", "share of demons that seem to gain")
    return found


def _charges(points: Sequence[dict[str, Any]]) -> dict[str, Any]:
    found = {
        "charge_sites": _column("charge", [point["sites"] for point in points], "1", "sites of the field"),
        "charge_regions": _column("charge", [point["regions"] for point in points], "1", "regions of the field"),
    }
    for part in ("value", "low", "high"):
        name = "charge_share" if part == "value" else f"charge_share_{part}"
        values = [point["share"][part] for point in points]
        found[name] = _column("charge", values, "1", "work over exergy, mean of the runs")
    return found
