"""Figures of a study, from its `study.json` (described in docs/scaling.md)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from entropic.report.charts import Figure, Line, Lines, Panel, Stacks
from entropic.report.tables import near, number, spanned

__all__ = ["loss_figure", "model_figure", "scaling_figures", "thermodynamic_figures"]

Record = Mapping[str, Any]
_LINEAR = 16  # workers up to which axes are linear
_SLOTS = "threads in all: workers × threads"
_PARTS = (
    ("compute", "computing", "green"),
    ("wait", "waiting for a processor or a disk", "amber"),
    ("overhead", "around tasks", "purple"),
    ("idle", "idle", "grid"),
)


def _column(values: Iterable[Any]) -> Any:
    """Numbers; what has no value is not a number."""
    return np.array([np.nan if value is None else value for value in values], float)


def _points(
    label: str, x: Any, found: Sequence[Record], role: str, dash: Literal["solid", "points"] = "points"
) -> Line:
    """Values with their intervals."""
    low, high = (_column(f[end] for f in found) for end in ("low", "high"))
    return Line(label, np.asarray(x), _column(f["value"] for f in found), role, dash, low, high)


# -- thermodynamic --


def thermodynamic_figures(study: Record) -> Iterator[Figure]:
    """Net work and apparent violations against size; the charged field."""
    part = study["thermodynamic"]
    if part is not None:
        yield _net(part)
        if part["demons"]:
            yield _violations(part["demons"])
    if study["charged"] is not None and study["charged"]["points"]:
        yield _charged(study["charged"])


def _net(part: Record) -> Figure:
    scales = part["pooled"]
    own = [scale for scale in scales if scale["own"] is not None]
    lines = []
    for label, price, chosen, roles in (
        ("the least that any bath takes", "landauer", scales, ("region", "battery")),
        ("what the region itself takes", "own", own, ("cost", "cost")),
    ):
        if not chosen:
            continue
        x = np.array([scale["sites"] for scale in chosen])
        lines.append(_points(f"measured, {label}", x, [scale[price]["net"] for scale in chosen], roles[0]))
        exact = _column(scale[price]["exact"] for scale in chosen)
        lines.append(Line(f"exact, {label}", x, exact, roles[1], "solid"))
    first, last, same = scales[0], scales[-1], part["equivalence"]
    return Figure(
        "net",
        "Net work a site, against the size of a region",
        f"From {number(first['sites'])} to {number(last['sites'])} sites a region, the net goes from "
        f"{near(first['landauer']['net']['value'])} to {near(last['landauer']['net']['value'])} quanta a site where records are "
        f"paid at Landauer's price; the exact law is the line. No departure from it beyond {near(same['effect'])} is left possible.",
        Lines(
            (Panel(tuple(lines), "net work, quanta a site"), _departures(scales, same)), "sites of a region", x_log=True
        ),
        "Points with their intervals; fields of all sizes pooled. Below: what is measured less what is exact, at Landauer’s price, "
        "between the bounds that count as no effect.",
    )


def _departures(scales: Sequence[Record], same: Record) -> Panel:
    """What the net differs by from its exact value, within the bounds of no effect."""
    x = np.array([scale["sites"] for scale in scales])
    gaps = [
        {end: scale["landauer"]["net"][end] - scale["landauer"]["exact"] for end in ("value", "low", "high")}
        for scale in scales
    ]
    bounds = [
        Line(f"{name} bound of no effect", x, np.full(x.size, sign * same["bound"]), "net", "dashed")
        for name, sign in (("upper", 1), ("lower", -1))
    ]
    return Panel((_points("measured less exact", x, gaps, "region"), *bounds), "departure, quanta a site")


def _violations(demons: Sequence[Record]) -> Figure:
    panels = []
    for price in ("raw", "compressed"):
        chosen = [demon for demon in demons if demon["price"] == price]
        seen = [demon for demon in chosen if demon["gains"]]
        never = [demon for demon in chosen if not demon["gains"]]
        if not chosen:
            continue
        x = np.array([demon["sites"] for demon in chosen])
        at = [demon["sites"] for demon in seen]
        lines = [
            _points("seen", at, [demon["probability"] for demon in seen], "region"),
            Line("exact tail", x, _column(demon["exact"] for demon in chosen), "net"),
            Line("bound e^(−N D)", x, _column(demon["bound"] for demon in chosen), "cost", "dashed"),
        ]
        if never:
            most = _column(demon["probability"]["high"] for demon in never)
            lines.insert(
                1, Line("never seen: at most", np.array([d["sites"] for d in never]), most, "delivered", "points")
            )
        # As deep as the replicas see, and two decades more.
        floor = 0.01 * min([demon["probability"]["value"] for demon in seen] + [1 / demon["demons"] for demon in never])
        panels.append(Panel(tuple(lines), f"probability, {price} price", y_log=True, floor=floor))
    rarest = min((d for d in demons if d["gains"]), key=lambda d: d["probability"]["value"], default=None)
    told = ""
    if rarest is not None:
        told = (
            f" The rarest seen: demons of {number(rarest['sites'])} sites, {number(rarest['gains'])} of "
            f"{number(rarest['demons'])}, where the exact tail says {near(rarest['exact'])}."
        )
    return Figure(
        "violation",
        "How often a demon seems to gain",
        "The larger a demon, the rarer it seems to gain more than its information costs; intervals are Clopper–Pearson’s."
        + told,
        Lines(tuple(panels), "sites of a demon", x_log=True),
    )


def _charged(part: Record) -> Figure:
    points = part["points"]
    x = np.array([point["sites"] for point in points])
    shares = [point["share"] for point in points]
    same = part["equivalence"]
    bound = f" A difference beyond {near(same['effect'])} is excluded." if same else ""
    return Figure(
        "charged",
        "Work of a charged field over its exergy",
        f"From {number(int(x.min()))} to {number(int(x.max()))} sites, gears bring out "
        f"{min(s['value'] for s in shares):.1%} to {max(s['value'] for s in shares):.1%} of the exergy.{bound}",
        Lines(
            (Panel((_points("measured", x, shares, "gross"),), "work over exergy"),), "sites of the field", x_log=True
        ),
    )


# -- how the machine scales --


def scaling_figures(study: Record) -> Iterator[Figure]:
    """Speed-up, efficiency, size of tasks, the scheduler's limit."""
    strong = study["strong"]
    if strong is not None and strong["points"]:
        yield _speedup(strong)
    if any(study[kind] is not None and study[kind]["points"] for kind in ("strong", "weak")):
        yield _efficiency(study)
    if study["granularity"] is not None and study["granularity"]["points"]:
        yield _granularity(study["granularity"]["points"])
    if study["scheduler"] is not None and study["scheduler"]["points"]:
        yield _scheduler(study["scheduler"])


_SPREAD = {  # how the threads are spread: colours, and those where there are more threads than cores
    "no Dask": ("blue", "blue"),
    "threads of one process": ("green", "teal"),
    "processes of one thread": ("purple", "amber"),
    "processes of several threads": ("brown", "red"),
}


def _family(layout: Record) -> str:
    none, threads, processes, both = _SPREAD
    if layout["workers"] == 0:
        return none
    return threads if layout["workers"] == 1 else processes if layout["threads"] == 1 else both


def _spread(points: Sequence[Record], key: str) -> list[Line]:
    """A line of points for each way of spreading the threads; those with more threads than cores apart."""
    groups: dict[tuple[str, bool], list[Record]] = {}
    for point in points:
        groups.setdefault((_family(point["layout"]), bool(point["oversubscribed"])), []).append(point)
    return [
        _points(
            family + (", more than there are cores" if over else ""),
            [p["layout"]["slots"] for p in chosen],
            [p[key] for p in chosen],
            _SPREAD[family][over],
        )
        for (family, over), chosen in groups.items()
    ]


def _speedup(strong: Record) -> Figure:
    points, lines = strong["points"], _spread(strong["points"], "speedup")
    most = max(point["layout"]["slots"] for point in points)
    for fit in strong["fits"]:
        dash: Literal["dashed", "dotted"] = "dashed" if fit["law"] == "amdahl" else "dotted"
        curve = fit["curve"]
        x = np.array([at["workers"] for at in curve])
        most = max(most, int(x.max()))
        name = {"amdahl": "Amdahl", "usl": "Universal Scalability"}.get(fit["law"], fit["law"])
        role = _SPREAD["processes of one thread" if fit["family"] == "processes" else "threads of one process"][0]
        found = _points(f"{name}, {fit['family']}", x, [at["speedup"] for at in curve], role)
        lines.append(Line(found.label, x, found.y, role, dash, found.low, found.high))
    ideal = np.unique(np.concatenate([[1, most], *(line.x for line in lines)]))
    lines.append(Line("ideal", ideal, ideal, "net"))
    best = max(points, key=lambda p: p["speedup"]["value"])
    return Figure(
        "speedup",
        "Speed-up on a fixed field",
        f"The best layout, {best['layout']['name']}, is {spanned(best['speedup'])} times as fast as the "
        f"reference.{_fitted(strong['fits'])}",
        Lines((Panel(tuple(lines), "speed-up", y_log=most > _LINEAR),), _SLOTS, x_log=most > _LINEAR),
        "Medians with bootstrap intervals; curves beyond the layouts that were run are predictions, with their intervals.",
    )


def _fitted(fits: Sequence[Record]) -> str:
    said = [
        f" {'Amdahl' if fit['law'] == 'amdahl' else 'Universal Scalability'} ({fit['family']}): serial share "
        f"{spanned(fit['serial'])}"
        + (f", crosstalk {near(fit['crosstalk']['value'])}" if fit["crosstalk"] else "")
        + "."
        for fit in fits
    ]
    return "".join(said)


def _efficiency(study: Record) -> Figure:
    panels = []
    for kind, label in (("strong", "fixed field"), ("weak", "field grows")):
        if study[kind] is not None and study[kind]["points"]:
            lines = _spread(study[kind]["points"], "efficiency")
            x = np.unique(np.concatenate([line.x for line in lines]))
            panels.append(Panel((*lines, Line("ideal", x, np.ones(x.size), "net")), f"efficiency, {label}"))
    points = [point for kind in ("strong", "weak") if study[kind] is not None for point in study[kind]["points"]]
    fair = [point["efficiency"]["value"] for point in points if not point["oversubscribed"]]
    most = max(point["layout"]["slots"] for point in points)
    return Figure(
        "efficiency",
        "Efficiency: speed-up over threads",
        f"Of what the threads could do ideally, {min(fair, default=math.nan):.0%} is done by the worst layout that has a core for "
        "each thread.",
        Lines(tuple(panels), _SLOTS, x_log=most > _LINEAR),
    )


def _granularity(points: Sequence[Record]) -> Figure:
    x = np.array([point["sites_a_task"] for point in points])
    best = max(points, key=lambda p: p["rate"]["value"])
    return Figure(
        "granularity",
        "How large a task should be",
        f"Fastest with {near(best['sites_a_task'])} sites a task: {best['rate']['value'] / 1e6:,.0f} million site-cycles a second.",
        Lines(
            (
                Panel(
                    (_points("measured", x, [point["rate"] for point in points], "gross"),),
                    "site-cycles a second",
                    y_log=True,
                ),
            ),
            "sites of a task",
            x_log=True,
        ),
    )


def _scheduler(part: Record) -> Figure:
    points, limit = part["points"], part["limit"]
    x = np.array([point["layout"]["workers"] for point in points])
    busy = {"scheduler": "the scheduler’s", "workers": "the workers’", "cores": "every"}.get(limit["limited_by"])
    said = (
        f"with the most workers {busy} processor is busy" if busy else "no processor is busy: tasks wait for messages"
    )
    return Figure(
        "scheduler",
        "Many small workers: what the scheduler can do",
        f"Up to {number(int(x.max()))} workers; at most {near(limit['tasks_a_second']['value'])} tasks a second; {said}.",
        Lines(
            (Panel((_points("measured", x, [p["tasks_a_second"] for p in points], "region"),), "tasks a second"),),
            "workers of one thread",
            x_log=float(x.max()) > _LINEAR,
        ),
    )


def loss_figure(study: Record) -> Figure | None:
    """What the threads' time was spent on, layout by layout."""
    kinds = ("strong", "weak", "granularity", "scheduler")
    points = [point for kind in kinds if study[kind] is not None for point in study[kind]["points"]]
    if not points:
        return None
    parts = {label: _column(point["shares"][name] for point in points) for name, label, _ in _PARTS}
    busy = parts["computing"]
    return Figure(
        "losses",
        "Where the threads’ time went",
        f"Computing takes {np.nanmin(busy):.0%} to {np.nanmax(busy):.0%} of the threads’ time, the rest is lost as shown.",
        Stacks(
            tuple(str(point["varied"]) for point in points),
            parts,
            tuple(role for _, _, role in _PARTS),
            "share of the threads’ time",
        ),
    )


def model_figure(study: Record) -> Figure | None:
    """Seconds that the model of a run says, against those that were measured."""
    checked = study["model"]["checked"] if study["model"] else None
    if not checked or not checked["each"]:
        return None
    each = sorted(checked["each"], key=lambda cell: cell["measured"])
    x = _column(cell["measured"] for cell in each)
    y = _column(cell["predicted"] for cell in each)
    ends = np.array([min(x.min(), y.min()), max(x.max(), y.max())])
    lines = (Line("cells", x, y, "region", "points"), Line("as measured", ends, ends, "net", "dashed"))
    return Figure(
        "model",
        "The model of a run, against every cell",
        f"Predicted over measured: {near(checked['median'])} in the median, from {near(checked['low'])} to "
        f"{near(checked['high'])}, over {number(checked['cells'])} cells.",
        Lines((Panel(lines, "seconds predicted", y_log=True),), "seconds measured", x_log=True),
    )
