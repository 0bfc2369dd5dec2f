"""What has to be done, in order, and where blocks must wait for each other.

A program is a list of operations, the same for every block.  It is split into segments before every operation
that needs something from other blocks: a layer that crosses a seam, a sort of partners in two blocks, a trade, the
grid's decision.  Within a
segment no block needs another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import final

from entropic.config import Config
from entropic.lattice import BlockGrid

__all__ = ["LONGEST", "LayerStep", "Operation", "Segment", "Stage", "Step", "program", "segments"]


LONGEST = 8  # cycles of a segment: whoever asks a run to stop does not wait longer


class Stage(Enum):
    """Stages of a cycle after relaxation, in their order."""

    SORT = "sort"
    TRADE = "trade"
    HARVEST = "harvest"  # lift, storage, erasure that the region's own battery pays
    SUPPLY = "supply"  # what the grid decided
    CLOSE = "close"  # waste heat, books


@final
@dataclass(frozen=True)
class LayerStep:
    """One exchange layer, or its inverse."""

    layer: int
    inverse: bool = False


@final
@dataclass(frozen=True)
class Step:
    """One stage of a cycle (numbered from 1), or its inverse."""

    stage: Stage
    cycle: int
    inverse: bool = False


Operation = LayerStep | Step


@final
@dataclass(frozen=True)
class Segment:
    """Operations that a block does alone, once it has what the first one needs of others.

    Attributes
    ----------
    crossing : int or None
        Number of the first operation, if it is a layer that crosses seams.
    waits : Step or None
        The first operation, if it needs more of other blocks than faces.
    """

    operations: tuple[Operation, ...]
    crossing: int | None = None
    waits: Step | None = None

    @property
    def closed(self) -> list[int]:
        """Cycles that end (or, backwards, begin to be undone) in this segment."""
        return [step.cycle for step in self.operations if isinstance(step, Step) and step.stage is Stage.CLOSE]

    def until_close(self) -> Segment:
        """The segment up to the end of the first cycle that ends in it."""
        for number, step in enumerate(self.operations):
            if isinstance(step, Step) and step.stage is Stage.CLOSE:
                return Segment(self.operations[: number + 1], self.crossing, self.waits)
        return self


def _stages(config: Config) -> tuple[Stage, ...]:
    on = {
        Stage.SORT: config.demon.sort,
        Stage.TRADE: config.exchange.enabled,
        Stage.SUPPLY: config.grid.enabled,
    }
    return tuple(stage for stage in Stage if on.get(stage, True))


def program(config: Config, first: int, last: int, inverse: bool = False) -> Iterator[Operation]:
    """Operations of the cycles first … last (from 1), or their inverses in reverse order."""
    layers, stages = config.relax.layers, _stages(config)
    for cycle in range(last, first - 1, -1) if inverse else range(first, last + 1):
        numbers = range((cycle - 1) * layers, cycle * layers)
        if inverse:
            yield from (Step(stage, cycle, True) for stage in reversed(stages))
            yield from (LayerStep(n, True) for n in reversed(numbers))
        else:
            yield from (LayerStep(n) for n in numbers)
            yield from (Step(stage, cycle) for stage in stages)


def segments(grid: BlockGrid, config: Config, first: int, last: int, inverse: bool = False) -> Iterator[Segment]:
    """The program of some cycles, split where blocks must wait for each other."""
    waiting = {Stage.TRADE} if inverse else {Stage.TRADE, Stage.SUPPLY}
    if config.demon.pairs == "partners" and grid.split_partners:
        waiting.add(Stage.SORT)
    crossing = {n: bool(grid.seam_sites(n)) for n in range(2 * grid.lattice.axes)}
    held: list[Operation] = []
    layer: int | None = None
    waits: Step | None = None
    for step in program(config, first, last, inverse):
        if isinstance(step, LayerStep):
            alone = not crossing[step.layer % (2 * grid.lattice.axes)]
        else:
            alone = step.stage not in waiting
        closed = Segment(tuple(held)).closed
        if not alone or len(closed) == LONGEST:
            if held:
                yield Segment(tuple(held), layer, waits)
            held, layer, waits = [], None, None
        if not alone:
            layer = step.layer if isinstance(step, LayerStep) else None
            waits = step if isinstance(step, Step) else None
        held.append(step)
    if held:
        yield Segment(tuple(held), layer, waits)
