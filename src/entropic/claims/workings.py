"""Claims of working parts and lawful physics: harvesters, demon, Landauer, grid, market."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from entropic import units
from entropic.claims.claim import CHARGED, ERASED, KEPT, Answer, Question
from entropic.claims.figures import ActFigures

__all__ = ["MACHINES", "USES", "WORKINGS"]

MACHINES = (
    "field", "harvesters", "tape", "erasure", "batteries", "sorter", "circuits", "market", "pumps", "grid"
)  # fmt: skip
"""Parts of the original's computer, by the names under which an act reports that they did something."""
_SITES = 10**9


def _count(target: int, number: Callable[[ActFigures], int], because: str) -> Callable[[Sequence[ActFigures]], Answer]:
    """Whether any act counts ``target``; counting costs nothing."""

    def answer(acts: Sequence[ActFigures]) -> Answer:
        act = max(acts, key=number)
        found = number(act)
        return Answer(act.number, float(found), 0.0, found >= target, because if found < target else "")

    return answer


def _full_size(acts: Sequence[ActFigures]) -> Answer:
    sites = max(act.sites for act in acts)
    if sites < _SITES:
        return Answer(None, float(sites), 0.0, None, "run 'entropic demo --size seed'")
    return Answer(None, float(sites), 0.0, True)


def _conserved(acts: Sequence[ActFigures]) -> Answer:
    start, end = (sum(act.energy[i] for act in acts) for i in (0, 1))
    lost = sum(abs(act.energy[1] - act.energy[0]) for act in acts)
    return Answer(None, float(end), float(start), lost == 0, f"residual {lost}")


def _entropy(acts: Sequence[ActFigures]) -> Answer:
    """Order won in the field against what the tape took up; the act that comes nearest to a gain."""

    def won(act: ActFigures) -> float:
        return act.field_nats[0] - act.field_nats[1]

    act = max(acts, key=lambda a: won(a) - a.tape)
    cycles, falls = sum(a.cycles for a in acts), sum(a.falls for a in acts)
    worst = max(a.worst_fall for a in acts)
    holds = all(won(a) - a.tape <= a.chance_nats for a in acts)
    because = (
        f"field and tape together; it fluctuated down in {falls:,} of {cycles:,} cycles, by {worst:.3g} nats at most"
    )
    return Answer(act.number, won(act), act.tape, holds, because)


def _landauer(acts: Sequence[ActFigures]) -> Answer | None:
    able = [act for act in acts if act.erased > 0]
    if not able:
        return None
    act = max(able, key=lambda a: (a.underpaid, a.erased))
    bits = act.erased / math.log(2.0)
    paid, least = (units.joules(quanta, act.quantum_joule) / bits for quanta in (act.paid, act.least_paid))
    because = f"{paid:.3g} J a bit paid, k_B T ln 2 is {least:.3g}"
    if act.underpaid:
        because = f"{act.underpaid:,} erasures below the limit; {because}"
    return Answer(act.number, float(act.paid), act.least_paid, act.underpaid == 0, because)


def _reversible(acts: Sequence[ActFigures]) -> Answer | None:
    trial = acts[0].circuit
    if trial is None:
        return None
    holds = trial.reversible_price == 0 and trial.undone and trial.agree
    because = f"{trial.words:,} additions of tape bits, undone bit for bit" if holds else "it was billed, or not undone"
    return Answer(acts[0].number, float(trial.price), float(trial.reversible_price), holds, because)


def _sorts(acts: Sequence[ActFigures]) -> Answer | None:
    trial = acts[0].sort
    if trial is None:
        return None
    because = f"{trial.pairs:,} pairs in {trial.regions:,} regions of act {acts[0].number}'s field"
    return Answer(acts[0].number, float(trial.gradient), float(trial.before), trial.gradient > trial.before, because)


def _exploits(acts: Sequence[ActFigures]) -> Answer | None:
    trial = acts[0].sort
    if trial is None:
        return None
    holds = acts[0].gains(trial.work, trial.price)
    because = f"gears made {trial.work:,} quanta of it, erasing the record of the sort costs {trial.price:,}"
    return Answer(acts[0].number, float(trial.work), float(trial.price), holds, because)


def _laws(acts: Sequence[ActFigures]) -> Answer:
    laws, held = sum(a.laws for a in acts), sum(a.laws_held for a in acts)
    return Answer(None, float(laws), float(laws - held), held == laws, f"{held} of {laws} hold")


def _routes(acts: Sequence[ActFigures]) -> Answer | None:
    routed = acts[0].routed
    if routed is None:
        return None
    share = routed.delivered / routed.asked if routed.asked else 0.0
    because = f"{routed.flows:,} flows brought {share:.1%} of what was asked for"
    sent = float(routed.delivered + routed.loss)
    return Answer(acts[0].number, sent, float(routed.loss), routed.delivered > 0, because)


def _pumps(acts: Sequence[ActFigures]) -> Answer | None:
    engines = acts[0].engines
    if engines is None:
        return None
    because = f"{engines.efficiency:.1%} of the heat from the hot sides, the rest went to the cold ones"
    return Answer(acts[0].number, float(engines.work), float(engines.heat), engines.work > 0, because)


def _carnot(acts: Sequence[ActFigures]) -> Answer | None:
    engines = acts[0].engines
    if engines is None or not engines.trades:
        return None
    because = f"Curzon–Ahlborn's efficiency is {engines.curzon_ahlborn:.1%}"
    holds = engines.work <= engines.carnot * engines.heat + acts[0].chance
    return Answer(acts[0].number, engines.efficiency, engines.carnot, holds, because)


def _trades(acts: Sequence[ActFigures]) -> Answer | None:
    engines = acts[0].engines
    if engines is None:
        return None
    share = engines.work / engines.spent if engines.spent > 0 else math.inf
    holds = acts[0].gains(engines.work, engines.spent)
    because = f"{engines.trades:,} trades turned {share:.1%} of the exergy that they used up into work"
    return Answer(acts[0].number, float(engines.work), float(engines.spent), holds, because)


def _integrated(acts: Sequence[ActFigures]) -> Answer:
    seen = {name for act in acts for name in act.machines}
    missing = [name for name in MACHINES if name not in seen]
    lawful = all(act.laws == act.laws_held for act in acts)
    because = (
        f"did nothing: {', '.join(missing)}" if missing else "all parts worked" + ("" if lawful else ", unlawfully")
    )
    return Answer(None, float(len(seen)), float(len(missing)), not missing and lawful, because)


def _computing(acts: Sequence[ActFigures]) -> Answer | None:
    """What computation got, against its share of the charge that was used up for it."""
    act = acts[0]
    if act.routed is None or not act.routed.compute or not act.gross:
        return None
    cost = act.cost * act.routed.compute / act.gross
    holds = act.gains(act.gross, act.cost)
    return Answer(act.number, float(act.routed.compute), cost, holds, "" if holds else "it ran on the charge")


def _emissions(acts: Sequence[ActFigures]) -> Answer | None:
    """What computation got, against the heat that the field's balance shows for it."""
    routed = acts[0].routed
    if routed is None or not routed.compute:
        return None
    holds = routed.heat < routed.compute
    because = "" if holds else "all that computation got became heat where it ran"
    return Answer(acts[0].number, float(routed.compute), float(routed.heat), holds, because)


def _lifting(act: ActFigures) -> int:
    return act.harvesters


_HARVESTERS = "too few regions delivered work"
WORKINGS = (
    Question("100+ harvesters in parallel", "regions", _count(100, _lifting, _HARVESTERS)),
    Question("1000 regions in parallel", "regions", _count(1000, _lifting, _HARVESTERS)),
    Question("a field of 100 × 100 × 100 × 1000", "sites", _full_size),
    Question("1000 cycles", "cycles", _count(1000, lambda act: act.cycles, "not in any act"), (ERASED,)),
    Question("energy conservation validated", "quanta, all accounts", _conserved),
    Question("entropy always increases globally", "nat", _entropy),
    Question("thermodynamic laws validated", "laws", _laws),
    Question("Landauer limit compliance", "quanta", _landauer, (ERASED,)),
    Question("reversible computation costs 0", "quanta", _reversible, (KEPT,)),
    Question("Maxwell's demon sorts: a gradient", "quanta between the halves", _sorts, (KEPT,)),
    Question("the demon's gradient is exploitable", "quanta", _exploits, (KEPT,)),
    Question("the entropy pump makes energy of a gradient", "quanta", _pumps, (CHARGED,)),
    Question("thermodynamic compliance: within Carnot", "W/Q_h", _carnot, (CHARGED,)),
    Question("entropy trades yield a profit", "quanta", _trades, (CHARGED,)),
    Question("energy grid routing operational", "quanta", _routes, (CHARGED,)),
    Question("full system integration", "parts", _integrated),
)
USES = (
    Question("data centres run on the field", "quanta", _computing, (CHARGED,)),
    Question("zero-emission computing", "quanta", _emissions, (CHARGED,)),
)
