"""What scale does to the outcome: net work, apparent gains and exergy against size, beside their exact laws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from entropic.scaling.cells import field_name
from entropic.scaling.laws import Demon, NetLaw, chernoff_p
from entropic.scaling.measure import demon_of
from entropic.scaling.statistics import binomial_p, clopper_pearson, interval, least_bound, normal_p
from entropic.scaling.study import Study

__all__ = ["Evidence", "Test", "analyse_fields"]

Record = dict[str, Any]
_KINDS: tuple[Literal["raw", "compressed"], ...] = ("raw", "compressed")


@final
@dataclass(frozen=True)
class Test:
    """One test of the study: which question it belongs to, of what, and its p-value."""

    question: str
    what: str
    p: float


@final
@dataclass(frozen=True)
class Evidence:
    """A section of the results, and the tests that the verdict draws on."""

    section: dict[str, Any] | None
    tests: tuple[Test, ...] = ()


def analyse_fields(study: Study, records: Sequence[Record]) -> Evidence:
    """Every field that was counted, at every scale."""
    cells = [r for r in records if r["kind"] == "field" and r["state"] == "done"]
    if not cells:
        return Evidence(None)
    demon, confidence = demon_of(study.base), study.study.confidence
    fields, tests = [], []
    for shape in study.thermodynamic.shapes:
        mine = [r for r in cells if r["varied"].startswith((f"{field_name(shape)}-", f"{field_name(shape)}."))]
        if mine:
            field, more = _field(demon, shape, mine, confidence)
            fields.append(field)
            tests += more
    tallies = [r["tally"] for r in _first_of_each(cells)]
    pooled = _pooled(demon, tallies, confidence)
    trend, slope_test = _trend(demon, fields, confidence)
    section = {
        "mean": demon.mean,
        "threshold": demon.threshold,
        "chance": demon.chance,
        "temperature": demon.temperature,
        "record": demon.record,
        "fields": fields,
        "pooled": pooled,
        "demons": _demons(demon, [entry for tally in tallies for entry in tally["demons"]], confidence),
        "engine": _engine(study, records),
        "trend": trend,
        "equivalence": _equivalence(demon, fields, pooled, study.study.bound, confidence),
    }
    return Evidence(section, (*tests, *slope_test))


def _first_of_each(cells: Sequence[Record]) -> list[Record]:
    """One cell of each physics: other layouts of the same field are the same numbers."""
    return list({r["physics"]: r for r in reversed(cells)}.values())


def _field(
    demon: Demon, shape: tuple[int, ...], cells: Sequence[Record], confidence: float
) -> tuple[dict[str, Any], list[Test]]:
    tallies, sites = [r["tally"] for r in _first_of_each(cells)], math.prod(shape)
    name, ones = " × ".join(map(str, shape)), sum(tally["ones"] for tally in tallies)
    p_ones = binomial_p(ones, sites * len(tallies), demon.chance)
    tests = [Test("work", f"ones of {name}", p_ones)]
    scales = _pooled(demon, tallies, confidence)
    for row in scales:
        row["raw"]["p"] = p_ones  # the same ones at every scale: no test of its own
        what = f"regions of {row['sites']} sites, {name}"
        tests.append(Test("net", f"{what}, infinite bath", row["landauer"]["p"]))
        if row["own"]:
            tests.append(Test("net", f"{what}, own bath", row["own"]["p"]))
    demons = _demons(demon, [entry for tally in tallies for entry in tally["demons"]], confidence)
    for row in demons:
        what = f"demons of {row['sites']} sites, {row['price']} price, {name}"
        tests.append(Test("violation", what, row["p"]))
    field = {
        "shape": list(shape),
        "sites": sites,
        "replicas": len(tallies),
        "layouts": sorted({r["layout"]["name"] for r in cells}),
        "digests": [r["digest"]["field"] for r in _first_of_each(cells)],
        "ones": ones,
        "gross": demon.threshold * ones / (sites * len(tallies)),
        "gross_exact": demon.gross,
        "p": p_ones,
        "scales": scales,
        "demons": demons,
    }
    return field, tests


def _prices(demon: Demon, scales: Sequence[Record], confidence: float) -> dict[str, Any]:
    """Net a site at the three prices, of regions of one size from one field or several, with intervals from exact variances."""
    sites, regions = scales[0]["sites"], sum(scale["regions"] for scale in scales)
    gross = sum(scale["gross"] for scale in scales)
    law = demon.net(sites, "landauer")
    found: dict[str, Any] = {
        "landauer": _net(law, math.fsum(s["landauer"][0] for s in scales) / regions, sites, regions, confidence),
        "raw": _net(
            demon.net(sites, "raw"),
            gross / regions - demon.temperature * sites * math.log(2.0),
            sites,
            regions,
            confidence,
        ),
        "own": None,
    }
    if sites > 1:
        own = demon.net(sites, "own")
        found["own"] = _net(own, sum(s["own"][0] for s in scales) / regions, sites, regions, confidence)
    return found


def _net(law: NetLaw, mean: float, sites: int, regions: int, confidence: float) -> dict[str, Any]:
    """One price: a mean over regions beside its law, all a site."""
    spread = law.deviation / math.sqrt(regions)
    reach = float(stats.norm.ppf((1 + confidence) / 2)) * spread
    p = chernoff_p(law, mean, regions) if law.values.size else normal_p(mean - law.mean, spread, law.slack)
    return {
        "net": interval(mean / sites, (mean - reach) / sites, (mean + reach) / sites),
        "exact": law.mean / sites,
        "exact_low": (law.mean - law.slack) / sites,
        "exact_high": (law.mean + law.slack) / sites,
        "deviation": spread / sites,
        "p": p,
    }


def _demons(demon: Demon, counted: Sequence[Record], confidence: float) -> list[dict[str, Any]]:
    """How often demons of each size seem to gain, beside the exact tail; of one field, or of several together."""
    by_size: dict[int, list[NDArray[np.int64]]] = {}
    for entry in counted:
        by_size.setdefault(entry["sites"], []).append(np.asarray(entry["ones"], np.int64))
    rows = []
    for sites, fields in sorted(by_size.items()):
        demons = sum(int(seen.sum()) for seen in fields)
        for price in _KINDS:
            gains = sum(int(seen[demon.gains(sites, price) :].sum()) for seen in fields)
            exact = demon.violation(sites, price)
            rows.append(
                {
                    "sites": sites,
                    "demons": demons,
                    "price": price,
                    "gains": gains,
                    "probability": clopper_pearson(gains, demons, confidence),
                    "exact": exact,
                    "bound": demon.violation_bound(sites, price),
                    "p": binomial_p(gains, demons, exact),
                }
            )
    return rows


def _pooled(demon: Demon, tallies: Sequence[Record], confidence: float) -> list[dict[str, Any]]:
    """Each size of regions, some fields together: they are independent draws."""
    by_size: dict[int, list[Record]] = {}
    for tally in tallies:
        for scale in tally["scales"]:
            by_size.setdefault(scale["sites"], []).append(scale)
    return [
        {"sites": sites, "regions": sum(s["regions"] for s in scales), **_prices(demon, scales, confidence)}
        for sites, scales in sorted(by_size.items())
    ]


def _trend(
    demon: Demon, fields: Sequence[dict[str, Any]], confidence: float
) -> tuple[dict[str, Any] | None, tuple[Test, ...]]:
    """Slope of what whole lattices net beyond their exact value, against decades of sites: independent fields, known variances."""
    if len({field["sites"] for field in fields}) < 2:
        return None, ()
    rows = [field["scales"][-1]["landauer"] for field in fields]
    decades = np.log10([field["sites"] for field in fields])
    gap = np.array([row["net"]["value"] - row["exact"] for row in rows])
    weight = np.array([1 / row["deviation"] ** 2 for row in rows])
    centred = decades - (weight @ decades) / weight.sum()
    information = float(weight @ centred**2)
    slope, spread = float(weight @ (centred * gap)) / information, 1 / math.sqrt(information)
    reach = float(stats.norm.ppf((1 + confidence) / 2)) * spread
    p = normal_p(slope, spread)
    return {"slope": interval(slope, slope - reach, slope + reach), "p": p}, (Test("trend", "net against size", p),)


def _equivalence(
    demon: Demon, fields: Sequence[dict[str, Any]], pooled: Sequence[dict[str, Any]], share: float, confidence: float
) -> dict[str, Any]:
    """The largest departure from the exact net that is not excluded, over region sizes (all fields) and lattice sizes.

    Each scale has to pass by itself, so the chance that the whole passes wrongly is no larger than that of one (Berger 1982).
    """

    def effect(row: dict[str, Any]) -> float:
        return least_bound(row["net"]["value"] - row["exact"], row["deviation"], confidence)

    worst = max([effect(row["landauer"]) for row in pooled] + [effect(f["scales"][-1]["landauer"]) for f in fields])
    bound = share * demon.gross
    return {"bound": bound, "effect": worst, "holds": bool(worst <= bound), "confidence": confidence}


def _engine(study: Study, records: Sequence[Record]) -> list[dict[str, Any]]:
    """The engine's own lift and erasure against the count of the same field: integers that must be equal."""
    first, counted = f"{field_name(study.thermodynamic.shapes[0])}-", {}
    for record in records:
        if record["kind"] == "field" and record["state"] == "done" and record["varied"].startswith(first):
            counted = {scale["sites"]: scale for scale in record["tally"]["scales"]}
    rows = []
    for record in records:
        if record["kind"] != "region" or record["state"] != "done":
            continue
        mine = record["tally"]
        theirs = counted.get(mine["sites"])
        wrong = [] if theirs is None else [n for n in ("regions", "digest", "gross") if mine[n] != theirs[n]]
        if theirs is not None and not mine["unpaid"] and mine["price"] != theirs["price"]:
            wrong.append("price")
        detail = f"{mine['unpaid']} regions could not pay" if mine["unpaid"] else ""
        rows.append(
            {
                "cell": record["name"],
                "sites": mine["sites"],
                "layout": record["layout"]["name"],
                "agrees": None if theirs is None else not wrong,
                "gross": mine["gross"],
                "erasure": mine["price"],
                "detail": f"{', '.join(wrong)} differ from the count" if wrong else detail,
            }
        )
    return rows
