"""Draw the pictures of docs/scaling.md from a study: python docs/make_scaling_figures.py STUDY docs/images [NAME …]

NAMEs: net, violation, charged, speedup, granularity, scheduler; those that the study has, if none is given.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

Points = Sequence[dict[str, Any]]
_FOUND, _EXACT, _OTHER = "#3060b0", "black", "#b03030"


def _spans(found: Points) -> np.ndarray[Any, Any]:
    """How far each interval reaches below and above its value: [2, points]."""
    return np.array([[p["value"] - p["low"], p["high"] - p["value"]] for p in found]).T


def _measured(axes: Any, x: Sequence[float], found: Points, colour: str, label: str) -> None:
    values = [p["value"] for p in found]
    axes.errorbar(x, values, _spans(found), fmt="o", ms=3, color=colour, lw=1, capsize=2, label=label)


def net(study: dict[str, Any], axes: Any) -> None:
    """Net work a site against the sites of a region."""
    rows = study["thermodynamic"]["pooled"]
    for price, colour, label in (("landauer", _FOUND, "infinite bath"), ("own", _OTHER, "the region's own bath")):
        mine = [row for row in rows if row[price]]
        sites = [row["sites"] for row in mine]
        axes.plot(sites, [row[price]["exact"] for row in mine], color=colour, lw=0.8)
        _measured(axes, sites, [row[price]["net"] for row in mine], colour, f"{label}; line: exact")
    axes.axhline(0, color="grey", lw=0.6)
    axes.set(xscale="log", xlabel="sites of a region", ylabel="net work a site, quanta", ylim=(-4, 0.3))


def violation(study: dict[str, Any], axes: Any) -> None:
    """Probability that a demon seems to gain against its sites."""
    for price, colour in (("raw", _FOUND), ("compressed", _OTHER)):
        rows = [row for row in study["thermodynamic"]["demons"] if row["price"] == price]
        sites = [row["sites"] for row in rows]
        axes.plot(sites, [row["exact"] for row in rows], color=colour, lw=0.8)
        axes.plot(sites, [row["bound"] for row in rows], color=colour, lw=0.8, ls=":")
        seen = [row for row in rows if row["gains"]]
        _measured(axes, [r["sites"] for r in seen], [r["probability"] for r in seen], colour, f"{price} price")
        unseen = [row for row in rows if not row["gains"]]
        highest = [row["probability"]["high"] for row in unseen]
        axes.plot([r["sites"] for r in unseen], highest, "v", ms=4, mfc="none", color=colour)
    axes.set(
        xscale="log", yscale="log", xlabel="sites of a demon", ylabel="probability of an apparent gain", ylim=(1e-10, 2)
    )


def charged(study: dict[str, Any], axes: Any) -> None:
    """Work over exergy against the sites of the field."""
    points = study["charged"]["points"]
    _measured(axes, [p["sites"] for p in points], [p["share"] for p in points], _FOUND, "work of the gears")
    axes.axhline(1, color=_EXACT, lw=0.8, label="exergy")
    axes.set(xscale="log", xlabel="sites", ylabel="work over exergy", ylim=(0, 1.1))


def speedup(study: dict[str, Any], axes: Any) -> None:
    """Speed-up against threads at work, the fitted laws and the ideal line."""
    points = [p for p in study["strong"]["points"] if p["speedup"] and p["layout"]["workers"]]
    for family, colour in (("processes", _FOUND), ("threads", _OTHER)):
        other = "threads" if family == "processes" else "workers"
        mine = [p for p in points if p["layout"][other] == 1]
        _measured(axes, [p["layout"]["slots"] for p in mine], [p["speedup"] for p in mine], colour, family)
        for fit in study["strong"]["fits"]:
            if fit["family"] == family:
                rows = [row for row in fit["curve"] if row["workers"] <= 64]
                style = {"amdahl": "--", "usl": "-"}[fit["law"]]
                place = [row["workers"] for row in rows]
                axes.plot(place, [r["speedup"]["value"] for r in rows], style, color=colour, lw=0.8, label=fit["law"])
    axes.plot([1, 64], [1, 64], color="grey", lw=0.6, label="ideal")
    axes.set(xscale="log", yscale="log", xlabel="threads at work", ylabel="speed-up")


def granularity(study: dict[str, Any], axes: Any) -> None:
    """Site-cycles a second against the sites of a task."""
    points = study["granularity"]["points"]
    _measured(axes, [p["sites_a_task"] for p in points], [p["rate"] for p in points], _FOUND, "measured")
    axes.set(xscale="log", yscale="log", xlabel="sites of a task", ylabel="site-cycles a second")


def scheduler(study: dict[str, Any], axes: Any) -> None:
    """Tasks a second against workers, and what the scheduler alone could do."""
    points = study["scheduler"]["points"]
    workers = [p["layout"]["workers"] for p in points]
    _measured(axes, workers, [p["tasks_a_second"] for p in points], _FOUND, "measured")
    alone = [1 / p["scheduler_seconds_a_task"] for p in points]
    axes.plot(workers, alone, color=_OTHER, lw=0.8, label="scheduler's thread alone")
    axes.set(xscale="log", yscale="log", xlabel="workers of one thread", ylabel="tasks a second")


_DRAWN: dict[str, tuple[str, Callable[[dict[str, Any], Any], None]]] = {
    "net": ("thermodynamic", net),
    "violation": ("thermodynamic", violation),
    "charged": ("charged", charged),
    "speedup": ("strong", speedup),
    "granularity": ("granularity", granularity),
    "scheduler": ("scheduler", scheduler),
}


def main(study: str, target: str, *names: str) -> None:
    """Draw what the study has, or the pictures named."""
    summary = json.loads((Path(study) / "study.json").read_text())
    plt.rcParams["svg.hashsalt"] = "entropic"
    for name in names or _DRAWN:
        section, draw = _DRAWN[name]
        if summary[section] is None:
            continue
        figure, axes = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
        draw(summary, axes)
        axes.legend(frameon=False)
        figure.savefig(Path(target) / f"scaling-{name}.svg", metadata={"Date": None})
        plt.close(figure)


if __name__ == "__main__":
    main(*sys.argv[1:])
