"""Seconds of a run against sites and against cycles: both should be straight lines."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from entropic import Config, EntropicComputer
from entropic.cli.where import free_memory
from entropic.engine.cluster import SerialExecutor
from entropic.engine.plan import make_plan

__all__ = ["draw_scaling", "measure_scaling"]

_REGION = (10, 10, 10)  # times 100 along the last axis: 1e5 sites a region at every size


def _config(sites: int, cycles: int, every: int) -> Config:
    """A field of regions of 1e5 sites in a row along axis 0, so that nothing but their number changes."""
    field = {"shape": [_REGION[0] * (sites // 100_000), *_REGION[1:], 100], "regions": [sites // 100_000, 1, 1, 1]}
    return Config.from_mapping({"field": field, "run": {"cycles": cycles, "checkpoint_every": every}})


def _seconds(config: Config) -> float:
    plan = make_plan(config, 1, 1, free_memory(), None, True)
    with tempfile.TemporaryDirectory(prefix="entropic-benchmark-") as scratch:
        computer = EntropicComputer(config, Path(scratch) / "run", SerialExecutor(), plan.chunks, plan.epoch)
        computer.run()
        return computer.seconds


def _line(points: list[dict[str, Any]], variable: str) -> dict[str, Any]:
    """Slope of the logarithms, and the largest deviation of a point from proportionality."""
    x, y = (np.log([point[key] for point in points]) for key in (variable, "seconds"))
    slope = float(np.polyfit(x, y, 1)[0])
    each = y - x
    deviation = float(np.exp(np.abs(each - np.median(each)).max()) - 1)
    return {"variable": variable, "points": points, "slope": slope, "largest_deviation": deviation}


def measure_scaling(most_sites: int, repeats: int, most_cycles: int = 1000) -> list[dict[str, Any]]:
    """Two lines, on one core without Dask: sites at 20 cycles, cycles at 1e6 sites (a checkpoint every 20).

    Each has ``variable``, ``points`` (``sites``, ``cycles``, ``seconds``: median, ``seconds_per_site_cycle``),
    ``slope`` (log-log) and ``largest_deviation`` (relative, from proportionality).
    """
    every = 20
    sizes = [(10**n, every) for n in range(6, 10) if 10**n <= most_sites]
    times = [(10**6, cycles) for cycles in (20, 100, 300, 1000) if cycles <= most_cycles]
    _seconds(_config(10**5, 2, 2))  # compilers
    taken: dict[tuple[int, int], list[float]] = {place: [] for place in (*sizes, *times)}
    for number in range(repeats):
        for (sites, cycles), seconds in taken.items():
            if number == 0 or sites * cycles <= 10**10:  # the largest once
                seconds.append(_seconds(_config(sites, cycles, every)))

    def points(places: list[tuple[int, int]]) -> list[dict[str, Any]]:
        made = []
        for sites, cycles in places:
            seconds = float(np.median(taken[sites, cycles]))
            each = seconds / (sites * cycles)
            made.append({"sites": sites, "cycles": cycles, "seconds": seconds, "seconds_per_site_cycle": each})
        return made

    return [_line(points(sizes), "sites"), _line(points(times), "cycles")]


def draw_scaling(lines: list[dict[str, Any]], target: Path) -> None:
    """Both lines, side by side, with the straight line through their median; an SVG."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "entropic"
    figure, axes = plt.subplots(1, len(lines), figsize=(8, 3.4), layout="constrained")
    for axis, line in zip(axes, lines, strict=True):
        variable = line["variable"]
        x = np.array([point[variable] for point in line["points"]], float)
        y = np.array([point["seconds"] for point in line["points"]])
        axis.loglog(x, x * math.exp(float(np.median(np.log(y / x)))), color="grey", lw=0.8, label="proportional")
        axis.loglog(x, y, "o", color="#3060b0", label=f"measured, slope {line['slope']:.3f}")
        other = {"sites": "cycles", "cycles": "sites"}[variable]
        axis.set(xlabel=f"{variable} ({line['points'][0][other]:,} {other})", ylabel="seconds")
        axis.legend(frameon=False)
    figure.savefig(target, metadata={"Date": None})
    plt.close(figure)
