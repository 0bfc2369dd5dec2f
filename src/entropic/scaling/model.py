"""A run that nobody here can make, foretold from what its parts cost here.

A run's seconds are taken to be  max(W·b/p, C, (W + C)/cores) + B:  W the work of all threads, b the imbalance of the last round of
blocks, p the threads that a core each can serve, C the control (scheduler and driver, one after the other), B what is done when
the cycles of an epoch are over.  Each is a sum of measured costs times counts:

W = a site-cycle · sites · cycles + a task · tasks;   C = (a task + a task and worker · workers) · tasks;
B = epochs · (fixed + a site · sites/p) + an entry · regions · cycles.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from entropic.config import Config
from entropic.engine.plan import Plan, make_plan
from entropic.scaling.cells import TIMED
from entropic.scaling.statistics import interval, quantiles
from entropic.scaling.study import Study

__all__ = ["Costs", "analyse_model", "calibrate"]

Record = dict[str, Any]

_RESAMPLES = 199
_UNITS = {
    "site_cycle": ("s", "processor time of tasks against sites and tasks, all timed cells"),
    "task": ("s", "likewise, with what workers spend around a task"),
    "control_task": ("s", "processor time of scheduler and driver a task, cells with small workers (else all)"),
    "control_task_worker": ("s", "how that grows with the number of workers"),
    "close": ("s", "time after the last task of the cycles, all cells"),
    "entry": ("s", "likewise, a region and cycle of books"),
    "store": ("s", "likewise, a site of a checkpoint"),
}
_ASSUMPTIONS = (
    "every worker has a core of its own as fast as one here, and enough memory",
    "scheduler and driver share one core, as here, and cost a task what they cost here with few workers, plus what each further "
    "worker added here",
    "messages between machines take no longer than over loopback with TLS here, and are hidden behind other work where a "
    "worker has more than one block",
    "books are kept by one driver, as here; every worker writes its share of a checkpoint as fast as one core here",
    "no worker dies, and blocks are as even as the planner makes them",
)


@final
@dataclass(frozen=True)
class Costs:
    """What the parts of a run cost, seconds each; see the module."""

    site_cycle: float
    task: float
    control_task: float
    control_task_worker: float
    close: float
    entry: float
    store: float

    def parts(
        self, sites: int, cycles: int, regions: int, plan: Mapping[str, Any], layout: Mapping[str, Any], cores: int
    ) -> dict[str, float]:
        """Seconds of compute, control, books and checkpoint; and ``seconds``, what they come to."""
        tasks, epochs = plan["tasks"], math.ceil(cycles / plan["epoch"])
        slots, workers = int(layout["slots"]), max(int(layout["workers"]), 1)
        even = plan["blocks"] / slots
        unevenness = math.ceil(even) / even
        work = self.site_cycle * sites * cycles + self.task * tasks
        control = (self.control_task + self.control_task_worker * workers) * tasks
        compute = max(work * unevenness / min(slots, cores), (work + control) / cores)
        books = self.close * epochs + self.entry * regions * cycles
        checkpoint = self.store * epochs * sites / min(slots, cores)
        return {
            "compute": compute,
            "scheduler": control,
            "books": books,
            "checkpoint": checkpoint,
            "seconds": max(compute, control) + books + checkpoint,
        }

    def of(self, record: Record, cores: int) -> float:
        """Predicted seconds of a cell, from the planner's tasks and blocks."""
        alone = record["layout"]["workers"] == 0
        costs = Costs(self.site_cycle, self.task, 0.0, 0.0, self.close, self.entry, self.store) if alone else self
        return costs.parts(
            record["sites"], record["cycles"], record["regions"], record["plan"], record["layout"], cores
        )["seconds"]


def calibrate(every: Sequence[Record], cores: int) -> Costs:
    """Costs from cells that are done: non-negative least squares of relative deviations.

    Tasks are those of the timed cells, which differ in nothing but layout and size; books are those of all cells.
    """
    records = _timed(every)
    under_dask = [r for r in records if r["spending"]["scheduler_cpu"] is not None]
    work = _column(records, lambda r: r["sites"] * r["cycles"])
    tasks = _column(records, lambda r: r["tasks"])
    spent = _column(records, lambda r: r["spending"]["task_cpu"])
    site_cycle, step = _fit(np.stack([work, tasks], axis=1), spent)
    apart = [r for r in under_dask if r["spending"]["worker_cpu"] is not None]
    around = [max(0.0, r["spending"]["worker_cpu"] - r["spending"]["task_cpu"]) / r["tasks"] for r in apart]
    small = [r for r in under_dask if r["kind"] == "scheduler"] or under_dask
    start, slope = _control(small)
    closing = _column(every, lambda r: r["closing_seconds"])
    epochs = _column(every, lambda r: math.ceil(r["cycles"] / r["plan"]["epoch"]))
    entries = _column(every, lambda r: r["regions"] * r["cycles"])
    sites = epochs * _column(every, lambda r: r["sites"] / min(r["layout"]["slots"], cores))
    close, entry, store = _fit(np.stack([epochs, entries, sites], axis=1), closing)
    return Costs(site_cycle, step + (float(np.median(around)) if around else 0.0), start, slope, close, entry, store)


def _timed(records: Sequence[Record]) -> list[Record]:
    return [r for r in records if r["kind"] in TIMED and r["tasks"]]


def _control(records: Sequence[Record]) -> tuple[float, float]:
    """Scheduler's and driver's seconds a task, and how they grow with the workers, where their number was varied."""
    cost = _column(records, lambda r: (r["spending"]["scheduler_cpu"] + r["spending"]["driver_cpu"]) / r["tasks"])
    workers = _column(records, lambda r: r["layout"]["workers"])
    if cost.size == 0:
        return 0.0, 0.0
    if records[0]["kind"] != "scheduler" or np.ptp(workers) == 0:
        return float(np.median(cost)), 0.0
    start, slope = _fit(np.stack([np.ones_like(workers), workers], axis=1), cost)
    return start, slope


def _column(records: Sequence[Record], value: Any) -> NDArray[np.float64]:
    return np.array([float(value(record)) for record in records])


def _fit(terms: NDArray[np.float64], seen: NDArray[np.float64]) -> list[float]:
    scale = np.maximum(terms.max(axis=0), 1e-300)
    found, _ = optimize.nnls(terms / scale / seen[:, None], np.ones_like(seen))
    return [float(value) for value in found / scale]


def analyse_model(study: Study, records: Sequence[Record], cores: int) -> dict[str, Any] | None:
    """The model's costs with intervals, what it foretells, and how it does on every timed cell; None without any."""
    timed = _timed(records)
    if len({r["varied"] for r in timed if r["spending"]["scheduler_cpu"] is not None}) < 2:
        return None
    confidence = study.study.confidence
    best = calibrate(records, cores)
    each = [{"cell": r["name"], "predicted": best.of(r, cores), "measured": r["seconds"]} for r in timed]
    ratios = [row["predicted"] / row["measured"] for row in each]
    target, plan, config = _target(study)
    random = np.random.default_rng(study.study.seed)
    drawn: list[dict[str, float]] = []
    costs: list[Costs] = []
    for _ in range(_RESAMPLES):
        costs.append(calibrate(_resampled(records, random), cores))
        drawn.append(_foretold(costs[-1], config, plan, target))
    edges = [(1 - confidence) / 2, (1 + confidence) / 2]
    parts = _foretold(best, config, plan, target)
    # What the model missed here it may miss there: each resample is divided by the ratio of a cell drawn at random.
    seconds = [
        d["seconds"] / ratios[i] for d, i in zip(drawn, random.integers(0, len(ratios), len(drawn)), strict=True)
    ]
    low, high = np.quantile(seconds, edges)
    spans = {name: np.quantile([getattr(c, name) for c in costs], edges) for name in _UNITS}
    names = {"compute": "compute", "scheduler": "scheduler", "books": "the driver's books", "checkpoint": "checkpoints"}
    largest = max(names, key=lambda name: parts[name])
    return {
        "costs": {
            name: {**interval(getattr(best, name), *map(float, spans[name])), "unit": unit, "source": source}
            for name, (unit, source) in _UNITS.items()
        },
        "assumptions": list(_ASSUMPTIONS),
        "target": {
            "workers": target,
            "sites": config.field.sites,
            "regions": config.field.region_count,
            "blocks": plan.blocks,
            "cycles": config.run.cycles,
            "tasks": plan.tasks,
            "seconds": interval(parts["seconds"], float(low), float(high)),
            "parts": {name: parts[name] for name in names},
            "limited_by": names[largest],
            "planned_seconds": plan.seconds,
        },
        "checked": {**quantiles(ratios, confidence), "each": each},
    }


def _resampled(records: Sequence[Record], random: np.random.Generator) -> list[Record]:
    """As many repeats of every condition, drawn with replacement: the conditions are no sample."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record["varied"], []).append(record)
    return [group[i] for group in groups.values() for i in random.integers(0, len(group), len(group))]


def _target(study: Study) -> tuple[int, Plan, Config]:
    """The study's own field, grown along axis 0 until it has as many sites as asked for, planned for as many workers."""
    base, section = study.base, study.model
    factor = math.ceil(section.sites / base.field.sites)
    made = base.to_dict()
    made["field"] = {
        **made["field"],
        "shape": [base.field.shape[0] * factor, *base.field.shape[1:]],
        "regions": [base.field.regions[0] * factor, *base.field.regions[1:]],
    }
    config = Config.from_mapping(made, "<[model] of the study>")
    return section.workers, make_plan(config, section.workers, 1, 1 << 62), config


def _foretold(costs: Costs, config: Config, plan: Plan, workers: int) -> dict[str, float]:
    field = config.field
    layout = {"workers": workers, "slots": workers}
    return costs.parts(field.sites, config.run.cycles, field.region_count, plan.to_dict(), layout, workers + 1)
