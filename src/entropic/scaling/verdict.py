"""The verdict: questions, how each was answered, and one sentence with its numbers.

Exact questions (one outcome for each physics, every law in every cell, the engine against the count) can only be answered yes, or
the study is not to be trusted.  Tests compare with exact laws; all of them together raise a false alarm with a chance of
``false_alarm`` at most (Bonferroni, so however they depend on one another).  Questions of equivalence are answered yes only if an
effect beyond a stated bound is excluded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from entropic.scaling.study import Study
from entropic.scaling.thermodynamic import Evidence, Test

__all__ = ["NOTHING", "NOT_SETTLED", "NOT_TRUSTED", "SOMETHING", "verdict_of"]

NOTHING = "scale changes nothing"
SOMETHING = "scale changes the outcome"
NOT_SETTLED = "not settled"
NOT_TRUSTED = "not to be trusted"

_QUESTIONS = {
    "work": "Are there as many ones in the field as its exact law says?",
    "net": "Is net work a site what its exact law says, at every scale?",
    "violation": "Do demons seem to gain as often as the exact tail says?",
    "trend": "Is there no trend of net work with size?",
    "charged": "Do the gears of a charged field yield their exact mean?",
}


def _check(name: str, question: str, kind: str, holds: bool | None, detail: str, **more: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"tests": 0, "p": None, "level": None}
    return {"name": name, "question": question, "kind": kind, "holds": holds, **empty, **more, "detail": detail}


def _tested(tests: Sequence[Test], false_alarm: float) -> Iterable[dict[str, Any]]:
    level = false_alarm / max(len(tests), 1)
    for name, question in _QUESTIONS.items():
        mine = [test for test in tests if test.question == name]
        if mine:
            worst = min(mine, key=lambda test: test.p)
            detail = f"least p = {worst.p:.3g} of {len(mine)} ({worst.what})"
            holds = worst.p >= level
            yield _check(name, question, "test", holds, detail, tests=len(mine), p=worst.p, level=level)


def _exact(
    outcomes: Sequence[dict[str, Any]], faults: Sequence[dict[str, Any]], fields: dict[str, Any] | None
) -> Iterable[dict[str, Any]]:
    cells = sum(outcome["cells"] for outcome in outcomes)
    differ = [fault for fault in faults if fault["kind"] == "differs"]
    repeated = sum(outcome["cells"] > 1 for outcome in outcomes)
    detail = (
        differ[0]["detail"]
        if differ
        else f"{cells} cells, {len(outcomes)} configurations, {repeated} of them run more than once"
    )
    yield _check(
        "one outcome",
        "Is the outcome of each configuration the same bit for every layout, worker count, block shape and repeat?",
        "exact",
        False if differ else True if cells else None,
        detail,
    )
    broken = [fault for fault in faults if fault["kind"] in ("law", "error")]
    detail = f"{broken[0]['cell']}: {broken[0]['detail']}" if broken else f"{cells} cells, recomputed from their books"
    yield _check(
        "laws", "Do the laws hold in every cell?", "exact", False if broken else True if cells else None, detail
    )
    rows = fields["engine"] if fields else []
    if rows:
        known = [row for row in rows if row["agrees"] is not None]
        holds = all(row["agrees"] for row in known) if known else None
        detail = next((row["detail"] for row in known if not row["agrees"]), f"{len(known)} runs, integer by integer")
        yield _check(
            "engine",
            "Do the engine's own lifts and erasures equal the count of the same field?",
            "exact",
            holds,
            detail,
        )


def _bounded(study: Study, fields: dict[str, Any] | None, charged: dict[str, Any] | None) -> Iterable[dict[str, Any]]:
    if fields:
        found = fields["equivalence"]
        detail = f"beyond {found['effect']:.2g} quanta a site excluded, at {found['confidence']:.0%}; bound {found['bound']:.2g}"
        question = "Is any departure of the net from its exact value, at any scale, below the bound?"
        yield _check("equivalence", question, "equivalence", found["holds"] or None, detail)
        yield _no_gain(study, fields)
    if charged:
        over = [point for point in charged["points"] if not point["within"]]
        shares = ", ".join(f"{point['share']['value']:.1%}" for point in charged["points"])
        question = "Is the work of a charged field within its exergy, at every size?"
        # Beyond it a fluctuation may reach; one that is too unlikely breaks a law, and is a fault.
        yield _check("exergy", question, "exact", not over or None, f"work over exergy: {shares}")
        if found := charged["equivalence"]:
            detail = f"a difference beyond {found['effect']:.2g} excluded, at {found['confidence']:.0%}; bound {found['bound']:.2g}"
            question = "Is the share of exergy that comes out the same for every size, within the bound?"
            yield _check("share", question, "equivalence", found["holds"] or None, detail)


def _no_gain(study: Study, fields: dict[str, Any]) -> dict[str, Any]:
    """Whether the net is below zero at every scale, by more than chance can hide."""
    rows = [(r["sites"], r[price]) for r in fields["pooled"] for price in ("landauer", "own") if r[price]]
    best = max(rows, key=lambda row: float(row[1]["net"]["value"]))
    highest = max(float(row["net"]["high"]) for _, row in rows)
    value = best[1]["net"]["value"]
    detail = f"most at {best[0]:,} sites a region: {value:.4g} quanta a site; no interval reaches above {highest:.4g}"
    return _check("no gain", "Is net work below zero at every scale?", "equivalence", highest < 0 or None, detail)


def verdict_of(
    study: Study,
    complete: bool,
    records: Sequence[dict[str, Any]],
    outcomes: Sequence[dict[str, Any]],
    faults: Sequence[dict[str, Any]],
    fields: Evidence,
    charged: Evidence,
    notes: Sequence[str],
) -> dict[str, Any]:
    """The whole verdict; see docs/scaling.md for its keys."""
    tests = (*fields.tests, *charged.tests)
    exact = list(_exact(outcomes, faults, fields.section))
    tested = list(_tested(tests, study.study.false_alarm))
    bounded = list(_bounded(study, fields.section, charged.section))
    trusted = all(check["holds"] is not False for check in exact) and not faults
    checks = [*exact, *tested, *bounded]
    if not trusted:
        word = NOT_TRUSTED
    elif any(check["holds"] is False for check in checks):
        word = SOMETHING
    elif not complete or not bounded or any(check["holds"] is None for check in checks):
        word = NOT_SETTLED
    else:
        word = NOTHING
    verdict = {
        "word": word,
        "trusted": trusted,
        "sentence": "",
        "false_alarm": study.study.false_alarm,
        "confidence": study.study.confidence,
        "checks": checks,
        "faults": list(faults),
        "notes": list(notes),
    }
    verdict["sentence"] = _sentence(verdict, records, outcomes, fields.section, charged.section, complete)
    return verdict


def _sentence(
    verdict: dict[str, Any],
    records: Sequence[dict[str, Any]],
    outcomes: Sequence[dict[str, Any]],
    fields: dict[str, Any] | None,
    charged: dict[str, Any] | None,
    complete: bool,
) -> str:
    if verdict["word"] == NOT_TRUSTED:
        return _distrust(verdict)
    parts = [_machine(records, outcomes)]
    if fields:
        parts += [_net_work(fields), *_violations(fields)]
    if charged:
        shares = [point["share"]["value"] for point in charged["points"]]
        sizes = [point["sites"] for point in charged["points"]]
        span = (
            f"{min(shares):.0%}"
            if f"{min(shares):.0%}" == f"{max(shares):.0%}"
            else f"{min(shares):.0%} to {max(shares):.0%}"
        )
        parts.append(f"a charged field of {_span(sizes)} sites yields {span} of its exergy")
    alarm = f"(chance of a false alarm: {verdict['false_alarm']:.2g}, all tests together)"
    text = f"{verdict['word'].capitalize()}: {'; '.join(parts)} {alarm}."
    open_ = [check["name"] for check in verdict["checks"] if check["holds"] is None]
    failed = [f"{check['name']}: {check['detail']}" for check in verdict["checks"] if check["holds"] is False]
    if failed:
        text += f" What speaks against it: {'; '.join(failed)}."
    if open_:
        text += f" Not settled: {', '.join(open_)}."
    if not fields and not charged:
        text += " Of thermodynamics the study asks nothing."
    if not complete:
        text += " Cells are missing."
    return text


def _distrust(verdict: dict[str, Any]) -> str:
    faults = verdict["faults"]
    if faults:
        first = faults[0]
        place = [f"cell {first['cell']}"]
        place += [f"{name} {first[name]}" for name in ("region", "cycle") if first[name] is not None]
        more = f"; {len(faults) - 1} more" if len(faults) > 1 else ""
        return f"Not to be trusted: in {', '.join(place)}: {first['detail']}{more}."
    wrong = next(check for check in verdict["checks"] if check["holds"] is False)
    return f"Not to be trusted: {wrong['name']}: {wrong['detail']}."


def _machine(records: Sequence[dict[str, Any]], outcomes: Sequence[dict[str, Any]]) -> str:
    done = [r for r in records if r["state"] == "done"]
    if not done:
        return "no cell is done"
    workers = [max(r["layout"]["workers"], 1) for r in done]
    return f"{len(done)} runs on {_span(workers)} workers gave one outcome, bit for bit, for each of {len(outcomes)} configurations"


def _span(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _net_work(fields: dict[str, Any]) -> str:
    pooled, bound = fields["pooled"], fields["equivalence"]
    first, last = pooled[0], pooled[-1]
    highest = max(row["landauer"]["net"]["high"] for row in pooled)
    return (
        f"in regions of {first['sites']:,} to {last['sites']:,} sites the net goes from {first['landauer']['net']['value']:.3f} to "
        f"{last['landauer']['net']['value']:.4f} quanta a site{', never above zero,' if highest < 0 else ''} and stays within "
        f"{bound['effect']:.2g} of its exact value ({bound['confidence']:.0%})"
    )


def _violations(fields: dict[str, Any]) -> list[str]:
    rows = [row for row in fields["demons"] if row["price"] == "raw" and row["gains"]]
    if not rows:
        return []
    first, last = min(rows, key=lambda row: row["sites"]), min(rows, key=lambda row: row["probability"]["value"])
    return [
        f"demons of {first['sites']} site{'s' if first['sites'] > 1 else ''} seem to gain in {first['probability']['value']:.2g} "
        f"of cases, of {last['sites']} sites in {last['probability']['value']:.1e} (exactly {last['exact']:.1e})"
    ]
