"""What has to be done, in order, and where blocks must wait for each other.

A program is a list of operations, the same for every block.  It is split into segments before every layer that
crosses a seam: within a segment no block needs another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from entropic.lattice import BlockGrid

__all__ = ["CycleEnd", "LayerStep", "Operation", "Segment", "program", "segments"]


@final
@dataclass(frozen=True)
class LayerStep:
    """One exchange layer, or its inverse."""

    layer: int
    inverse: bool = False


@final
@dataclass(frozen=True)
class CycleEnd:
    """Lift, erase and books of a cycle (numbered from 1), or their inverse."""

    cycle: int
    inverse: bool = False


Operation = LayerStep | CycleEnd


@final
@dataclass(frozen=True)
class Segment:
    """Operations that a block does alone, once it has the faces that its first layer needs."""

    operations: tuple[Operation, ...]
    axis: int | None  # of the seams that the first layer crosses

    @property
    def cycles(self) -> int:
        return sum(isinstance(step, CycleEnd) for step in self.operations)


def program(first: int, last: int, layers: int, inverse: bool = False) -> Iterator[Operation]:
    """Operations of the cycles first … last (from 1), or their inverses in reverse order."""
    for cycle in range(last, first - 1, -1) if inverse else range(first, last + 1):
        numbers = range((cycle - 1) * layers, cycle * layers)
        if inverse:
            yield CycleEnd(cycle, True)
            yield from (LayerStep(n, True) for n in reversed(numbers))
        else:
            yield from (LayerStep(n) for n in numbers)
            yield CycleEnd(cycle)


def segments(grid: BlockGrid, first: int, last: int, layers: int, inverse: bool = False) -> Iterator[Segment]:
    """The program of some cycles, split before every layer that crosses a seam."""
    crossing = {n: bool(grid.seam_sites(n)) for n in range(2 * grid.lattice.axes)}
    held: list[Operation] = []
    axis: int | None = None
    for step in program(first, last, layers, inverse):
        if isinstance(step, LayerStep) and crossing[step.layer % (2 * grid.lattice.axes)]:
            if held:
                yield Segment(tuple(held), axis)
            held, axis = [], grid.lattice.layer_axis(step.layer)
        held.append(step)
    if held:
        yield Segment(tuple(held), axis)
