"""Submits the segments of all blocks, faces between them, a few segments ahead of what is done."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from entropic.config import Config
from entropic.engine.block import BlockState, Rules, advance
from entropic.engine.cluster import Executor
from entropic.engine.layers import take_face
from entropic.engine.program import CycleEnd, Segment, segments
from entropic.lattice import Block, BlockGrid, Lattice, LayoutError, regular_cuts

__all__ = ["Drive", "block_grid"]

_WINDOW = 3  # segments in flight


def block_grid(lattice: Lattice, chunks: tuple[int, ...] | BlockGrid | None) -> BlockGrid:
    """The cut asked for; a ready-made one must be of this very lattice, for blocks carry the geometry."""
    if isinstance(chunks, BlockGrid):
        if chunks.lattice != lattice:
            raise LayoutError("the blocks are those of another lattice.", "cut the lattice of this configuration")
        return chunks
    return BlockGrid(lattice, regular_cuts(lattice, chunks or lattice.boxes))


def _face(state: BlockState, axis: int, last: bool) -> NDArray[np.generic]:
    return take_face(state.array, axis, last)


@final
class Drive:
    """Submits segments for all blocks, a few ahead of what is done."""

    def __init__(
        self,
        grid: BlockGrid,
        executor: Executor,
        config: Config,
        progress: Callable[[int], None],
        stop: Callable[[], bool],
    ) -> None:
        self.grid = grid
        self.executor = executor
        self.rules = Rules.of(config)
        self.layers = config.relax.layers
        self.progress = progress
        self.stop = stop
        self.tasks = 0
        self.run = uuid.uuid4().hex[:8]
        self.states: list[Any] = []

    def each(self, name: str, function: Callable[..., Any]) -> list[Any]:
        """Submit ``function(state)`` for every block."""
        return [self.submit(name, b.number, function, self.states[b.number]) for b in self.grid.blocks]

    def submit(self, name: str, block: int, function: Callable[..., Any], *arguments: Any) -> Any:
        self.tasks += 1
        return self.executor.submit(f"{name}-{self.run}-{self.tasks}-{block}", block, function, *arguments)

    def blocked(self, name: str, function: Callable[..., Any], *more: Any) -> list[Any]:
        """Submit ``function(state, block, *more)`` for every block."""
        return [self.submit(name, b.number, function, self.states[b.number], b, *more) for b in self.grid.blocks]

    def _step(
        self, segment: Segment, function: Callable[..., Any], extra: Callable[[Block], tuple[Any, ...]]
    ) -> list[Any]:
        """Submit a segment; returns small results that are there once the segment before is done."""
        grid, axis = self.grid, segment.axis
        faces: dict[tuple[int, bool], Any] = {}
        if axis is not None:
            for block in grid.blocks:
                for last in (False, True):
                    handle = self.submit("face", block.number, _face, self.states[block.number], axis, last)
                    faces[block.number, last] = handle
        new = []
        for block in grid.blocks:
            before = after = None
            if axis is not None:
                before = faces[grid.neighbour(block.number, axis, -1), True]
                after = faces[grid.neighbour(block.number, axis, 1), False]
            state = self.states[block.number]
            new.append(
                self.submit(
                    "block", block.number, function, state, block, segment, self.rules, before, after, *extra(block)
                )
            )
        self.states = new
        return list(faces.values())

    def go(
        self,
        first: int,
        last: int,
        inverse: bool = False,
        function: Callable[..., Any] = advance,
        extra: Callable[[Block], tuple[Any, ...]] = lambda block: (),
    ) -> int:
        """Run (or undo) the cycles first … last; returns the last cycle done, earlier if told to stop.

        What is waited for are faces, which are small: whoever waits for a state keeps it in a worker's memory.
        """
        flight: deque[tuple[list[Any], int]] = deque()
        done = first - 1

        def land(limit: int) -> None:
            while len(flight) > limit:
                handles, cycle = flight.popleft()
                self.executor.finish(handles, lambda: None)
                self.progress(cycle)

        for segment in segments(self.grid, first, last, self.layers, inverse):
            stopping = not inverse and self.stop()
            if stopping:
                ends = [i for i, step in enumerate(segment.operations) if isinstance(step, CycleEnd)]
                if ends:
                    segment = Segment(segment.operations[: ends[0] + 1], segment.axis)
            flight.append((self._step(segment, function, extra), done))
            cycles = [step.cycle for step in segment.operations if isinstance(step, CycleEnd)]
            if cycles:
                done = cycles[-1]
            land(_WINDOW)
            if stopping and cycles:
                break
        flight.append((list(self.states), done))
        land(0)
        return done
