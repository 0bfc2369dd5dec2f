"""Claims of energy: so much a cycle, so efficiently, so many times more, without end."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from entropic import units
from entropic.claims.claim import ERASED, KEPT, Answer, Question, best
from entropic.claims.figures import ActFigures

__all__ = ["ENERGY", "PROMISES"]

_EARLIER = 25  # units a cycle that the document starts from
_FACTOR = 1000
_MEGAWATT = 1e6

Answering = Callable[[Sequence[ActFigures]], Answer]


def _short(act: ActFigures) -> str:
    """Why a gross figure does not help."""
    if act.net > 0:
        return "what is left may be chance" if act.net <= act.chance else "too little is left"
    return "its information costs more" if act.paid + act.owed > 0 else "it uses up more of the charge"


def _at_least(target: float, share: Callable[[ActFigures], float], each: str) -> Answering:
    """Whether any act nets ``target``, beyond chance, counted in ``share(act)`` parts of its whole."""

    def keeps(act: ActFigures) -> bool:
        return (act.net - act.chance) / share(act) >= target

    def answer(acts: Sequence[ActFigures]) -> Answer:
        act = best(acts, keeps, lambda a: a.gross / share(a))
        gross, cost = act.gross / share(act), act.cost / share(act)
        if keeps(act):
            return Answer(act.number, gross, cost, True)
        because = f"gross only, {_short(act)}" if gross >= target else f"not reached, not even gross{each}"
        return Answer(act.number, gross, cost, False, because)

    return answer


def _cycles(act: ActFigures) -> float:
    return act.cycles


def _region_cycles(act: ActFigures) -> float:
    return act.cycles * act.regions


def _whole(act: ActFigures) -> float:
    return 1.0


def _earlier_cycles(act: ActFigures) -> float:
    return act.cycles * _EARLIER


def _bought(act: ActFigures) -> float:
    """What the work was bought with: information at the field's temperature, and exergy."""
    return act.information + max(act.spent, 0)


def _efficient(target: float) -> Answering:
    """Whether work is ``target`` of what it was bought with."""

    def share(act: ActFigures) -> float:
        return act.gross / _bought(act) if _bought(act) > 0 else 0.0

    def answer(acts: Sequence[ActFigures]) -> Answer:
        act = max(acts, key=share)
        means = "W/exergy" if act.spent else "W/TI"
        others = ", ".join(f"act {a.number} {share(a):.1%}" for a in acts if a is not act)
        because = f"{means} = {share(act):.1%}" + (f" ({others})" if others else "")
        holds = act.gross - act.chance >= target * _bought(act) > 0
        return Answer(act.number, float(act.gross), _bought(act), holds, because)

    return answer


def _gains(act: ActFigures) -> bool:
    return act.gains(act.gross, act.cost)


def _parallel(acts: Sequence[ActFigures]) -> Answer:
    act = best(acts, _gains, lambda a: a.net / a.regions)
    gross, cost = act.gross / act.regions, act.cost / act.regions
    because = f"{act.regions:,} regions net {act.regions:,} times {gross - cost:,.4g}"
    return Answer(act.number, gross, cost, _gains(act), because)


def _framework(acts: Sequence[ActFigures]) -> Answer:
    act = acts[0]
    lost, gained = act.field_nats[0] - act.field_nats[1], act.recorded
    holds = act.gains(act.lifted, act.information)
    because = f"entropy is not used up: the field's fell by {lost:,.0f} nats, the tape took up {gained:,.0f}"
    return Answer(act.number, float(act.lifted), act.information, holds, "" if holds else because)


def _power(acts: Sequence[ActFigures]) -> Answer | None:
    timed = [act for act in acts if act.cycles_per_second > 0]
    if not timed:
        return None

    def watts(act: ActFigures, quanta: float) -> float:
        return units.watts(quanta, act.quantum_joule, act.cycles / act.cycles_per_second)

    def keeps(act: ActFigures) -> bool:
        return watts(act, act.net - act.chance) >= _MEGAWATT

    act = best(timed, keeps, lambda a: watts(a, a.gross))
    gross, cost = watts(act, act.gross), watts(act, act.cost)
    if keeps(act):
        return Answer(act.number, gross, cost, True)
    times = f"{_MEGAWATT / gross:.1e} times short even gross" if gross > 0 else "no work at all"
    return Answer(act.number, gross, cost, False, times if gross < _MEGAWATT else f"gross only, {_short(act)}")


def _generated(acts: Sequence[ActFigures]) -> Answer:
    start, end = (sum(act.energy[i] for act in acts) for i in (0, 1))
    because = "" if end > start else "no quantum is there that was not there before; work is taken from the field"
    return Answer(None, float(end), float(start), end > start, because)


def _battery(acts: Sequence[ActFigures]) -> Answer:
    act = acts[0]
    start, end = act.battery
    share = end / start if start else math.inf
    since = f"from cycle {act.unpaid_from} on every region owes for erasure" if act.unpaid_from else ""
    since = since or (f"falling by {act.drain:,.0f} a cycle" if act.drain > 0 else "")
    because = f"{share:.1%} of the charge is left" + (f", {since}" if since else "")
    return Answer(act.number, float(end), float(start), act.gains(end, start + act.owed), because)


def _free(acts: Sequence[ActFigures]) -> Answer:
    act = acts[0]
    price = f", {act.owed_here:,.0f} in this field" if act.owed_here else ""
    because = (
        f"the work was paid with blank tape; erasing its {act.tape:,.0f} nats takes {act.owed_least:,.0f} quanta "
        f"at least{price}"
    )
    return Answer(act.number, float(act.gross), act.cost, _gains(act), "" if _gains(act) else because)


def _without_end(acts: Sequence[ActFigures]) -> Answer:
    act = best(acts, lambda a: _gains(a) and not a.idle_from, lambda a: a.net)
    ends = [_end(a) for a in acts]
    holds = _gains(act) and not act.idle_from
    return Answer(act.number, float(act.gross), act.cost, holds, "" if holds else "; ".join(filter(None, ends)))


def _end(act: ActFigures) -> str:
    """How an act ran dry."""
    if act.tape_full:
        return f"act {act.number}: the tape is full in cycle {act.tape_full}"
    if act.idle_from:
        return f"act {act.number}: no work from cycle {act.idle_from} on"
    if act.unpaid_from:
        return f"act {act.number}: erasure is owed everywhere from cycle {act.unpaid_from} on"
    return f"act {act.number}: batteries fall by {act.drain:,.0f} a cycle" if act.drain > 0 else ""


def _target(when: str, target: int) -> Question:
    return Question(f"{when}: {target:,} units a cycle", "quanta a cycle", _at_least(target, _cycles, " in any act"))


ENERGY = (
    _target("week 3", 25),
    _target("week 4", 250),
    _target("week 4's benchmark", 1000),
    _target("week 5", 2500),
    _target("week 6", 25000),
    Question("25 units a region and cycle", "quanta a region and cycle", _at_least(25, _region_cycles, "")),
    Question("more than 25,000 units in all", "quanta", _at_least(25000 + 1, _whole, "")),
    Question(
        "1000× more, from 25 units a cycle", f"× {_EARLIER} quanta a cycle", _at_least(_FACTOR, _earlier_cycles, "")
    ),
    Question("week 3: 10 % of the entropy becomes energy", "quanta", _efficient(0.1)),
    Question("week 6: 90 % of the entropy becomes energy", "quanta", _efficient(0.9)),
    Question("parallel harvesting multiplies the energy", "quanta a region", _parallel),
    Question("energy = Σ ΔS · T · efficiency, from entropy reduced", "quanta", _framework, (KEPT,)),
)
PROMISES = (
    Question("the field generates energy", "quanta, all accounts", _generated),
    Question("free energy from thinking", "quanta", _free, (KEPT,)),
    Question("infinite battery, self-powering", "quanta in the batteries", _battery, (ERASED,)),
    Question("energy without end, the ultimate renewable", "quanta", _without_end),
    Question("1 MW, cities powered", "W", _power),
)
