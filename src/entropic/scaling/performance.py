"""How well it scales: points with intervals, fitted laws, the scheduler's limit, and the planner beside what was measured."""

from __future__ import annotations

import statistics as plain
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from entropic.scaling.cells import TIMED
from entropic.scaling.fits import fit_speedup
from entropic.scaling.statistics import Interval, median, median_ratio, quantiles
from entropic.scaling.study import Study

__all__ = ["analyse_performance"]

Record = dict[str, Any]

_AHEAD = (8, 16, 64, 256, 1000)  # workers whose speed-up is foretold
_BUSY = 0.8  # share of a processor from which on it is the limit


def analyse_performance(study: Study, records: Sequence[Record], cores: int) -> dict[str, Any]:
    """Sections ``strong``, ``null``, ``weak``, ``granularity``, ``scheduler`` and ``planner``; None for what was not run.

    Parameters
    ----------
    records : sequence of dict
        Cells that are done.
    cores : int
        Of the machine: more threads than that are not expected to be faster.
    """
    timed = [r for r in records if r["kind"] in TIMED]
    by_kind = {
        kind: _grouped(r for r in timed if r["kind"] == kind) for kind in ("strong", "weak", "granularity", "scheduler")
    }
    look = _Look(study, cores)
    strong = look.points(by_kind["strong"])
    weak = look.points(by_kind["weak"])
    grains = look.points(by_kind["granularity"])
    return {
        "strong": {"points": strong, "fits": _fits(study, by_kind["strong"])} if strong else None,
        "null": _null(study, timed),
        "weak": {"points": weak} if weak else None,
        "granularity": {"points": grains} if grains else None,
        "scheduler": look.scheduler(by_kind["scheduler"]),
        "planner": _planner(study, timed),
    }


def _grouped(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Repeats of one another, by what they have in common; least slots first."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record["varied"], []).append(record)

    def order(group: list[Record]) -> tuple[int, int, int, str]:
        layout = group[0]["layout"]
        return layout["workers"] > 0, layout["slots"], layout["workers"], group[0]["varied"]

    return {group[0]["varied"]: group for group in sorted(groups.values(), key=order)}


def _median(values: Iterable[float]) -> float:
    return float(plain.median(values))


def _seconds(group: Iterable[Record]) -> list[float]:
    return [record["seconds"] for record in group]


def _alike(a: Record, b: Record) -> bool:
    """Whether two cells differ in layout alone."""
    return bool(a["chunks"] == b["chunks"])


class _Look:
    """Turns groups of repeats into points."""

    def __init__(self, study: Study, cores: int) -> None:
        self.study, self.cores = study.study, cores

    def _median(self, values: Sequence[float]) -> Interval:
        return median(values, self.study.confidence, self.study.seed)

    def points(self, groups: dict[str, list[Record]]) -> list[dict[str, Any]]:
        return [self._point(group, _base(list(groups.values()), group)) for group in groups.values()]

    def _point(self, group: list[Record], base: list[Record] | None) -> dict[str, Any]:
        first, layout = group[0], group[0]["layout"]
        slots = layout["slots"]
        work = first["sites"] * first["cycles"]
        point: dict[str, Any] = {
            "varied": first["varied"],
            "layout": layout,
            "chunks": first["chunks"] or first["plan"]["chunks"],
            "oversubscribed": slots > self.cores,
            "runs": len(group),
            "seconds": self._median(_seconds(group)),
            "rate": self._median([work / r["seconds"] for r in group]),
            "speedup": None,
            "efficiency": None,
            "shares": _shares(group),
            "scheduler_seconds_a_task": _a_task(group),
            "driver_share": _median(r["spending"]["driver_cpu"] / r["seconds"] for r in group),
            "sites_a_task": first["sites"] / first["blocks"],
            "tasks": first["tasks"],
            "tasks_a_second": self._median([r["tasks"] / r["seconds"] for r in group]),
            "peak_bytes": max(r["peak_bytes"] for r in group),
            "planned_bytes": first["plan"]["bytes_total"],
            "planned_seconds": first["plan"]["seconds"],
            "planned_over_measured": first["plan"]["seconds"] / _median(_seconds(group)),
        }
        if base is not None:
            grown = work / (base[0]["sites"] * base[0]["cycles"])
            ratio = median_ratio(_seconds(base), _seconds(group), self.study.confidence, self.study.seed)
            speedup = {name: None if value is None else grown * value for name, value in ratio.items()}
            relative = slots / base[0]["layout"]["slots"]
            point["speedup"] = speedup
            point["efficiency"] = {name: None if v is None else v / relative for name, v in speedup.items()}
        return point

    def scheduler(self, groups: dict[str, list[Record]]) -> dict[str, Any] | None:
        """Tasks a second that the scheduler can take, and what stops it from taking more."""
        points = []
        for group, point in zip(groups.values(), self.points(groups), strict=True):
            points.append({**point, "limited_by": self._limit(group)})
        if not points:
            return None
        workers = np.array([r["layout"]["workers"] for group in groups.values() for r in group], float)
        cost = np.array([r["spending"]["scheduler_cpu"] / r["tasks"] for group in groups.values() for r in group])
        slope, start = (0.0, float(np.median(cost))) if len(points) < 2 else np.polyfit(workers, cost, 1)
        best = max(points, key=lambda p: p["tasks_a_second"]["value"])
        last = points[-1]
        limit = {
            "tasks_a_second": best["tasks_a_second"],
            "seconds_a_task": float(start),
            "seconds_a_task_and_worker": float(slope),
            "limited_by": last["limited_by"],
        }
        return {"points": points, "limit": limit}

    def _limit(self, group: list[Record]) -> str:
        """Which processor was busy nearly all the time; if none was, tasks waited for messages, one after the other."""

        def share(of: str, by: float) -> float:
            return _median(float(r["spending"][of] or 0.0) / (by * r["spending"]["seconds"]) for r in group)

        whole = share("scheduler_cpu", self.cores) + share("worker_cpu", self.cores) + share("driver_cpu", self.cores)
        if (
            share("scheduler_cpu", 1) + share("driver_cpu", 1) >= _BUSY
        ):  # one process, whose interpreter runs one at a time
            return "scheduler"
        if share("worker_cpu", max(group[0]["layout"]["processes"], 1)) >= _BUSY:
            return "workers"
        return "cores" if whole >= _BUSY else "latency"


def _base(groups: list[list[Record]], group: list[Record]) -> list[Record] | None:
    """What a group's speed-up is against: the same with one thread under Dask; else with the fewest."""
    same = [other for other in groups if _alike(other[0], group[0])]
    if group[0]["kind"] == "granularity":
        same = groups
        return same[0]
    under_dask = [other for other in same if other[0]["layout"]["workers"] > 0]
    return (under_dask or same)[0]


def _shares(group: list[Record]) -> dict[str, float]:
    """Of the threads' time: what they spent on tasks, waiting in tasks, around tasks, and idle; medians."""

    def share(name: str) -> float:
        return _median(float(r["spending"][name]) / (r["layout"]["slots"] * r["spending"]["seconds"]) for r in group)

    names = {"compute": "task_cpu", "wait": "task_wait", "overhead": "task_other", "idle": "idle"}
    return {name: share(of) for name, of in names.items()}


def _a_task(group: list[Record]) -> float | None:
    costs = [r["spending"]["scheduler_cpu"] / r["tasks"] for r in group if r["spending"]["scheduler_cpu"] is not None]
    return _median(costs) if costs else None


def _fits(study: Study, groups: dict[str, list[Record]]) -> list[dict[str, Any]]:
    """Both laws, for workers of one thread and for threads of one worker, on the planner's own blocks."""
    found = []
    for family, other in (("processes", "threads"), ("threads", "workers")):
        seconds = {
            g[0]["layout"]["slots"]: _seconds(g)
            for g in groups.values()
            if g[0]["chunks"] is None and g[0]["layout"][other] == 1 and g[0]["layout"]["workers"] > 0
        }
        for law in ("amdahl", "usl"):
            fit = fit_speedup(seconds, law, _AHEAD, study.study.confidence, study.study.seed)
            if fit and len(seconds) > 1:
                found.append({"family": family, **fit})
    return found


def _null(study: Study, records: Sequence[Record]) -> dict[str, Any] | None:
    """The same cell under two names: how far apart two equal things seem on this machine."""
    mine = [r for r in records if r["kind"] == "null"]
    if not mine:
        return None
    layout = mine[0]["layout"]["name"]
    twins = [r for r in records if r["varied"] == f"strong-{layout}"]
    if not twins:
        return None
    ratio = median_ratio(_seconds(mine), _seconds(twins), study.study.confidence, study.study.seed)
    equal = None if ratio["low"] is None or ratio["high"] is None else bool(ratio["low"] <= 1.0 <= ratio["high"])
    return {"layout": layout, "ratio": ratio, "equal": equal}


def _planner(study: Study, records: Sequence[Record]) -> dict[str, Any] | None:
    if not records:
        return None
    ratios = {
        "seconds": [r["plan"]["seconds"] / r["seconds"] for r in records],
        "bytes": [r["plan"]["bytes_total"] / r["peak_bytes"] for r in records],
        "tasks": [r["plan"]["tasks"] / r["tasks"] for r in records if r["tasks"]],
    }
    return {name: quantiles(values, study.study.confidence) for name, values in ratios.items()}
