"""The charged field: total work of the gears against exergy, at every size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from scipy import stats

from entropic import entropy
from entropic.scaling.statistics import Interval, interval, normal_p
from entropic.scaling.study import Study
from entropic.scaling.thermodynamic import Evidence, Test

__all__ = ["analyse_charged"]

Record = dict[str, Any]


def analyse_charged(study: Study, records: Sequence[Record]) -> Evidence:
    """Share of the exergy that came out as work, by size; and the first cycle's work against its exact mean."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        if record["kind"] == "charged" and record["state"] == "done":
            groups.setdefault(record["varied"], []).append(record)
    if not groups:
        return Evidence(None)
    order = sorted(groups.values(), key=lambda group: int(group[0]["sites"]))
    points, tests = [], []
    for group in order:
        points.append(_point(study, group))
        first = points[-1]["first"]
        if first is not None:
            tests.append(Test("charged", f"work of the first cycle, {group[0]['sites']:,} sites", first["p"]))
    section = {"points": points, "equivalence": _equivalence(study, points)}
    return Evidence(section, tuple(tests))


def _point(study: Study, group: Sequence[Record]) -> dict[str, Any]:
    work = [sum(r["trades"]["work"]) for r in group]
    exergy = [r["trades"]["exergy"] for r in group]
    sites = group[0]["sites"]
    confidence = study.study.confidence
    boxes = group[0]["varied"].removeprefix("charged-")
    return {
        "boxes": [int(n) for n in boxes.split("x")],
        "sites": sites,
        "regions": group[0]["regions"],
        "runs": len(group),
        "work": work,
        "exergy": exergy,
        "within": all(w <= e for w, e in zip(work, exergy, strict=True)),
        "share": _mean([w / e for w, e in zip(work, exergy, strict=True)], confidence),
        "work_a_site": _mean([w / sites for w in work], confidence),
        "first": _first(study, group),
    }


def _mean(values: Sequence[float], confidence: float) -> Interval:
    """Mean over independent fields, with Student's interval."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return interval(mean)
    reach = float(stats.t.ppf((1 + confidence) / 2, len(values) - 1) * stats.sem(values))
    return interval(mean, mean - reach, mean + reach)


def _first(study: Study, group: Sequence[Record]) -> dict[str, Any] | None:
    """Work of the first cycle a pair of sites, all runs together; its exact mean, for both sides are thermal still.

    None where regions chose among several gears: then the choice depends on what they hold, and the mean with it.
    """
    gears = {tuple(gear) for r in group for gear in r["trades"]["gears"]}
    pairs = sum(r["trades"]["pairs"] for r in group)
    if len(gears) != 1 or not pairs:
        return None
    (m, n) = gears.pop()
    section = study.charged
    hot, cold = entropy.thermal_ratio(section.hot) ** m, entropy.thermal_ratio(section.cold) ** n
    exact = (m - n) * (hot / (1 - hot) - cold / (1 - cold))
    variance = (m - n) ** 2 * (hot / (1 - hot) ** 2 + cold / (1 - cold) ** 2)
    found = sum(r["trades"]["work"][0] for r in group) / pairs
    spread = math.sqrt(variance / pairs)
    return {"gear": [m, n], "pairs": pairs, "found": found, "exact": exact, "p": normal_p(found - exact, spread)}


def _equivalence(study: Study, points: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The largest difference between the shares of two sizes that is not excluded (Welch's t, each pair by itself)."""
    shares = [[w / e for w, e in zip(p["work"], p["exergy"], strict=True)] for p in points]
    if len(shares) < 2 or min(len(values) for values in shares) < 2:
        return None
    worst = 0.0
    for a, b in combinations(shares, 2):
        parts = [float(np.var(values, ddof=1)) / len(values) for values in (a, b)]
        spread = math.sqrt(sum(parts))
        weights = [part**2 / (len(values) - 1) for part, values in zip(parts, (a, b), strict=True)]
        freedom = sum(parts) ** 2 / sum(weights) if spread else 1.0
        reach = float(stats.t.ppf(study.study.confidence, freedom)) * spread
        worst = max(worst, abs(float(np.mean(a) - np.mean(b))) + reach)
    bound = study.charged.bound
    return {"bound": bound, "effect": worst, "holds": bool(worst <= bound), "confidence": study.study.confidence}
