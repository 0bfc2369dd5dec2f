"""The figures by which claims are judged: what was measured in an act, and nothing else."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, final

__all__ = ["ActFigures", "CircuitTrial", "Engines", "Routed", "SortTrial"]


@final
@dataclass(frozen=True)
class Engines:
    """What the market's gears did.

    Attributes
    ----------
    trades : int
    work, heat : int
        Work that came out, heat that left the hot sides, quanta.
    carnot, curzon_ahlborn : float
        1 − T_c/T_h and 1 − √(T_c/T_h) at the temperatures quoted, means over the trades weighted by their heat.
    last_cycle : int
        Of the last trade.
    exergy_start, exergy_end : int
        Most work that the field could give before the first cycle, and can after the last, quanta.
    """

    trades: int
    work: int
    heat: int
    carnot: float
    curzon_ahlborn: float
    last_cycle: int
    exergy_start: int
    exergy_end: int

    @property
    def efficiency(self) -> float:
        """W/Q_h."""
        return self.work / self.heat if self.heat > 0 else 0.0

    @property
    def spent(self) -> int:
        """Exergy used up."""
        return self.exergy_start - self.exergy_end


@final
@dataclass(frozen=True)
class Routed:
    """What the grid carried, quanta.

    Attributes
    ----------
    flows : int
    asked, compute, exported, loss : int
        Asked for, delivered to computation, delivered outside, lost on lines.
    heat : int
        What the field gained beyond all its other accounts: the heat of computation, by the field's own balance.
    """

    flows: int
    asked: int
    compute: int
    exported: int
    loss: int
    heat: int

    @property
    def delivered(self) -> int:
        return self.compute + self.exported


@final
@dataclass(frozen=True)
class SortTrial:
    """A demon that sorts regions of the field, and gears across their halves.

    Attributes
    ----------
    regions, pairs : int
    gradient : int
        Quanta of the sorted hot halves less those of the cold ones; ``before``: before the sort.
    work : int
        Quanta that the gears made of it.
    price : int
        Quanta that erasing the records of the sort takes in these regions.
    """

    regions: int
    pairs: int
    before: int
    gradient: int
    work: int
    price: int


@final
@dataclass(frozen=True)
class CircuitTrial:
    """An addition of numbers on the tape, by gates that overwrite and by gates that do not.

    Attributes
    ----------
    words : int
        Pairs of numbers added.
    nats : float
        What the overwriting circuit erases.
    price, reversible_price : int
        Quanta that either costs in a region of the field.
    agree, undone : bool
        Whether both found the same sums, and whether the reversible one was undone bit for bit.
    """

    words: int
    nats: float
    price: int
    reversible_price: int
    agree: bool
    undone: bool


@final
@dataclass(frozen=True)
class ActFigures:
    """Figures of one act, energies in quanta, entropies in nats.

    Attributes
    ----------
    closed : bool
        Whether nothing but work leaves the field: baths at its edges would pay for what is claimed of it.
    cycles_per_second : float
        0 if nobody looked at the clock.
    gross, paid : int
        What lifts and gears delivered, and what the batteries paid for erasure.
    lifted : int
        The part of ``gross`` that rests on information.
    information : float
        Nats recorded, each worth the field's temperature at the time.
    owed : float
        What erasing the tape would take, by the cheapest price that can be had (`entropic.demo.figures`).
    chance_nats, chance : float
        Nats, and quanta, by which fluctuation may exceed what the laws allow on average, with a probability of 1e-9 at most.
    owed_least, owed_here : float
        T nats, the least in any bath as warm as the field; the price in the field itself (0: beyond 2^50 quanta).
    recorded, tape, erased : float
        Nats written, still held, and erased.
    least_paid : float
        Σ T nats over what was erased: Landauer's limit for ``paid``.
    underpaid : int
        Erasures (by cycle and region) below that limit.
    harvesters : int
        Regions that ever delivered work.
    energy : (int, int)
        All accounts at the start with what came in, and at the end with what went out.
    battery, field_nats : (.., ..)
        At start and end.
    drain : float
        Quanta by which the batteries fell a cycle, over the last tenth of the cycles.
    falls, worst_fall : int, float
        Cycles in which the entropy of field and tape together fell, and by how much at most.
    laws, laws_held : int
    tape_full, unpaid_from, idle_from : int
        Cycle from which on every region's tape was full, every region owed erasure, no work was delivered; 0: never.
    machines : tuple of str
        Parts of the computer that did something.
    """

    number: int
    title: str
    closed: bool
    cycles: int
    sites: int
    regions: int
    quantum_joule: float
    cycles_per_second: float
    gross: int
    lifted: int
    paid: int
    information: float
    owed: float
    chance_nats: float
    chance: float
    owed_least: float
    owed_here: float
    recorded: float
    tape: float
    erased: float
    least_paid: float
    underpaid: int
    harvesters: int
    energy: tuple[int, int]
    battery: tuple[int, int]
    drain: float
    field_nats: tuple[float, float]
    falls: int
    worst_fall: float
    laws: int
    laws_held: int
    tape_full: int
    unpaid_from: int
    idle_from: int
    machines: tuple[str, ...]
    engines: Engines | None = None
    routed: Routed | None = None
    sort: SortTrial | None = None
    circuit: CircuitTrial | None = None

    @property
    def spent(self) -> int:
        """Exergy of the charge used up; only fields that gears tap are charged."""
        return self.engines.spent if self.engines else 0

    @property
    def cost(self) -> float:
        """Erasure paid and owed, and the charge used up."""
        return self.paid + self.owed + self.spent

    @property
    def net(self) -> float:
        return self.gross - self.cost

    def gains(self, gross: float, cost: float) -> bool:
        """Whether work is worth more than its cost, both of this act, beyond what may be chance."""
        return gross - cost > self.chance

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)
