"""Seconds of a run against sites and against cycles: both should be straight."""

from __future__ import annotations

import math
import tempfile
import time
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


def _cost(config: Config) -> tuple[float, float]:
    """Seconds and processor seconds of a whole run, from the first state to the audit."""
    plan = make_plan(config, 1, 1, free_memory(), None, True)
    with tempfile.TemporaryDirectory(prefix="entropic-benchmark-") as scratch:
        started, spent = time.perf_counter(), time.process_time()
        EntropicComputer(config, Path(scratch) / "run", SerialExecutor(), plan.chunks, plan.epoch_limit).run()
        return time.perf_counter() - started, time.process_time() - spent


def _line(points: list[dict[str, Any]], variable: str) -> dict[str, Any]:
    """The line (a fixed cost and one a site-cycle) of least relative deviations, the largest of these, and the slope."""
    work = np.array([float(point["sites"] * point["cycles"]) for point in points])
    cost = np.array([point["processor"] for point in points])
    slope = float(np.polyfit(np.log(work), np.log(cost), 1)[0]) if len(points) > 1 else math.nan
    system = np.stack([np.ones_like(work), work], axis=1) / cost[:, None]
    (fixed, marginal), *_ = np.linalg.lstsq(system, np.ones_like(cost))
    deviation = float(np.abs((fixed + marginal * work) / cost - 1).max())
    found = {"slope": slope, "fixed": float(fixed), "marginal": float(marginal), "largest_deviation": deviation}
    return {"variable": variable, "points": points, **found}


def measure_scaling(most_sites: int, repeats: int, most_cycles: int = 3000) -> list[dict[str, Any]]:
    """Two lines, on one core without Dask: sites at 100 cycles, cycles at 1e6 sites (a checkpoint every 100).

    Each has ``variable``, ``points`` (``sites``, ``cycles``, ``seconds`` and ``processor``: medians, ``each``: processor
    seconds a site-cycle), ``fixed`` and ``marginal`` (the line, in processor seconds), ``largest_deviation`` (relative)
    from it, and the log-log ``slope``.
    """
    every = 100
    sizes = [(10**n, every) for n in range(6, 10) if 10**n <= most_sites]
    times = [(10**6, cycles) for cycles in (100, 300, 1000, 3000) if cycles <= most_cycles]
    _cost(_config(10**5, 2, 2))  # compilers
    taken: dict[tuple[int, int], list[tuple[float, float]]] = {place: [] for place in (*sizes, *times)}
    for number in range(repeats):
        for (sites, cycles), costs in taken.items():
            if number == 0 or sites * cycles <= 10**10:  # the largest once
                costs.append(_cost(_config(sites, cycles, every)))

    def points(places: list[tuple[int, int]]) -> list[dict[str, Any]]:
        made = []
        for sites, cycles in places:
            seconds, processor = np.median(taken[sites, cycles], axis=0).tolist()
            point = {"sites": sites, "cycles": cycles, "seconds": seconds, "processor": processor}
            made.append({**point, "each": processor / (sites * cycles)})
        return made

    return [_line(points(sizes), "sites"), _line(points(times), "cycles")]


def draw_scaling(lines: list[dict[str, Any]], target: Path) -> None:
    """Both lines, side by side; an SVG."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "entropic"
    figure, axes = plt.subplots(1, len(lines), figsize=(8, 3.4), layout="constrained")
    for axis, line in zip(axes, lines, strict=True):
        variable, points = line["variable"], line["points"]
        other = {"sites": "cycles", "cycles": "sites"}[variable]
        x = np.geomspace(points[0][variable], points[-1][variable], 200)
        label = f"{line['fixed']:.2g} s + {line['marginal'] * 1e9:.3g} ns a site-cycle"
        axis.loglog(x, line["fixed"] + line["marginal"] * x * points[0][other], color="grey", lw=0.8, label=label)
        measured = [point["processor"] for point in points]
        axis.loglog([point[variable] for point in points], measured, "o", color="#3060b0", label="measured")
        axis.set(xlabel=f"{variable}, at {points[0][other]:,} {other}", ylabel="processor seconds")
        axis.legend(frameon=False)
    figure.savefig(target, metadata={"Date": None})
    plt.close(figure)
