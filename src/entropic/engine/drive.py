"""Drives all blocks through their segments: faces, trades and the grid's decisions between them.

Segments are submitted a few ahead of what is done; where blocks must agree on something (a trade, the grid), their
quotes are gathered first and the decision, a pure function of them, goes along with the tasks that it concerns.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from entropic.config import Config
from entropic.engine.block import Inputs, advance
from entropic.engine.cluster import Executor
from entropic.engine.layers import take_face
from entropic.engine.program import Segment, Stage, segments
from entropic.engine.rules import Contact, Deal, Rules, Supply
from entropic.engine.sorting import sides
from entropic.engine.stages import claims
from entropic.engine.state import BlockState
from entropic.engine.trade import contacts, quotes
from entropic.lattice import Block, BlockGrid, Lattice, LayoutError, regular_cuts
from entropic.machines.exchange import OrderBook, Trade
from entropic.machines.grid import EnergyGrid, GridOutcome
from entropic.machines.protocol import OwnProtocol

__all__ = ["Decisions", "Drive", "block_grid"]

Reader = Callable[[Block, Segment, Inputs], Inputs]

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


def _done(state: BlockState) -> None:
    """Nothing: to wait for a state without keeping it."""


def _step(
    state: BlockState,
    block: Block,
    segment: Segment,
    rules: Rules,
    given: Inputs,
    before: NDArray[np.generic] | None,
    after: NDArray[np.generic] | None,
    others: list[Mapping[int, Contact]],
    more: Reader | None,
) -> BlockState:
    """`advance`, with results of other tasks, and what ``more`` reads, put in their places."""
    given = replace(given, before=before, after=after, contacts=tuple(others))
    return advance(state, block, segment, rules, more(block, segment, given) if more else given)


@final
@dataclass
class Decisions:
    """What was decided for all blocks together since the last books, by cycle.

    Attributes
    ----------
    orders, trades : dict
        What regions quoted, and what the market picked.
    outcomes : dict
        What the grid did, flow by flow.
    carried : int64[lines]
        Parts of a quantum that each line still owes.
    """

    orders: dict[int, OrderBook] = field(default_factory=dict)
    trades: dict[int, tuple[Trade, ...]] = field(default_factory=dict)
    outcomes: dict[int, GridOutcome] = field(default_factory=dict)
    carried: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))


@final
class Drive:
    """Submits segments for all blocks.

    Parameters
    ----------
    energy_grid : EnergyGrid or None
        Where the grid is on.
    protocol : OwnProtocol or None
        In place of the lift against a threshold.
    """

    def __init__(
        self,
        grid: BlockGrid,
        executor: Executor,
        config: Config,
        progress: Callable[[int], None],
        stop: Callable[[], bool],
        energy_grid: EnergyGrid | None = None,
        protocol: OwnProtocol | None = None,
    ) -> None:
        self.grid = grid
        self.executor = executor
        executor.hold(len(grid.blocks))
        self.config = config
        self.rules = Rules.of(config, protocol)
        self.progress = progress
        self.stop = stop
        self.energy_grid = energy_grid
        self.decisions = Decisions()
        if energy_grid is not None:
            self.decisions.carried = np.zeros(energy_grid.network.line_count, np.int64)
        self.tasks = 0
        self.run = uuid.uuid4().hex[:8]
        self.states: list[Any] = []

    def replace(self, states: list[Any]) -> None:
        """Go on from other states, and give the old ones up."""
        old, self.states = self.states, states
        self.executor.release(old)

    def each(self, name: str, function: Callable[..., Any]) -> list[Any]:
        """Submit ``function(state)`` for every block."""
        return [self.submit(name, b.number, function, self.states[b.number]) for b in self.grid.blocks]

    def submit(self, name: str, block: int, function: Callable[..., Any], *arguments: Any) -> Any:
        self.tasks += 1
        return self.executor.submit(f"{name}-{self.run}-{self.tasks}-{block}", block, function, *arguments)

    def blocked(self, name: str, function: Callable[..., Any], *more: Any) -> list[Any]:
        """Submit ``function(state, block, *more)`` for every block."""
        return [self.submit(name, b.number, function, self.states[b.number], b, *more) for b in self.grid.blocks]

    # -- what blocks must agree on --

    def _quotes(self) -> NDArray[np.int64]:
        """Quanta of each region, gathered from all blocks: int64[regions]."""
        whole = np.zeros(self.grid.lattice.region_count, np.int64)
        for block, part in zip(self.grid.blocks, self.executor.gather(self.each("quote", quotes)), strict=True):
            whole[block.region_ids] = part
        return whole

    def _deals(self, cycle: int) -> tuple[Deal, ...]:
        """The cycle's trades."""
        market = self.rules.market
        if market is None:
            return ()
        quanta = self._quotes()
        book = OrderBook.open(quanta, self.grid.lattice.region_sites)
        trades = market.clear(book)
        self.decisions.orders[cycle], self.decisions.trades[cycle] = book, trades
        return tuple(Deal(cycle, t.hot, t.cold, t.m, t.n, int(quanta[t.hot]), int(quanta[t.cold])) for t in trades)

    def _dealt(self, deals: Iterable[Deal]) -> dict[int, list[Deal]]:
        """Deals by block."""
        by_block: dict[int, list[Deal]] = {}
        for deal in deals:
            for number in {int(self.grid.owner[deal.hot]), int(self.grid.owner[deal.cold])}:
                by_block.setdefault(number, []).append(deal)
        return by_block

    def _sent(self, cycle: int, pairs: Iterable[tuple[int, int]], function: Callable[..., Any]) -> dict[int, list[Any]]:
        """By block, what ``function`` makes others send it of pairs of regions (one task for each pair of blocks)."""
        wanted: dict[tuple[int, int], list[int]] = {}  # (from, to): regions
        for hot, cold in pairs:
            a, b = int(self.grid.owner[hot]), int(self.grid.owner[cold])
            if a != b:
                wanted.setdefault((a, b), []).append(hot)
                wanted.setdefault((b, a), []).append(cold)
        sent: dict[int, list[Any]] = {}
        for (source, target), regions in sorted(wanted.items()):
            block = self.grid.blocks[source]
            handle = self.submit("contact", source, function, self.states[source], block, self.rules, cycle, regions)
            sent.setdefault(target, []).append(handle)
        return sent

    def _supplies(self, cycle: int) -> dict[int, Supply]:
        """The grid's decision, by block."""
        assert self.energy_grid is not None
        offers, prices = np.zeros((2, self.grid.lattice.region_count), np.int64)
        parts = self.executor.gather(
            [self.submit("claim", b.number, claims, self.states[b.number], self.rules) for b in self.grid.blocks]
        )
        for block, (offer, price) in zip(self.grid.blocks, parts, strict=True):
            offers[block.region_ids], prices[block.region_ids] = offer, price
        outcome = self.energy_grid.route(offers, prices, self.decisions.carried)
        self.decisions.carried = outcome.carried
        self.decisions.outcomes[cycle] = outcome
        return {
            b.number: Supply(
                offers[b.region_ids] - outcome.battery[b.region_ids],
                outcome.erasure_paid[b.region_ids],
                outcome.compute_heat[b.region_ids],
                outcome.exported[b.region_ids],
                outcome.loss_heat[b.region_ids],
            )
            for b in self.grid.blocks
        }

    # -- segments --

    def _faces(self, segment: Segment) -> tuple[dict[int, Any], dict[int, Any]]:
        """What blocks before and behind give to those whose pairs the first layer mixes, by receiver."""
        before, after = {}, {}
        if segment.crossing is not None:
            axis = self.grid.lattice.layer_axis(segment.crossing)
            for low, high in self.grid.crossed(segment.crossing):
                before[high] = self.submit("face", low, _face, self.states[low], axis, True)
                after[low] = self.submit("face", high, _face, self.states[high], axis, False)
        return before, after

    def _submit(
        self,
        segment: Segment,
        more: Callable[[Block], Reader] | None,
        dealt: Callable[[int], tuple[Deal, ...]],
    ) -> list[Any]:
        """Submit a segment; returns small results that are there once the segment before is done."""
        grid, waits = self.grid, segment.waits
        deals: dict[int, list[Deal]] = {}
        sent: dict[int, list[Any]] = {}
        supplies: dict[int, Supply] = {}
        before, after = self._faces(segment)
        if waits is not None and waits.stage is Stage.TRADE:
            picked = dealt(waits.cycle)
            deals = self._dealt(picked)
            sent = self._sent(waits.cycle, [(d.hot, d.cold) for d in picked], contacts)
        elif waits is not None and waits.stage is Stage.SORT:
            sent = self._sent(waits.cycle, grid.split_partners, sides)
        elif waits is not None:
            supplies = self._supplies(waits.cycle)
        agreed = waits is not None and waits.stage is not Stage.SORT  # then all blocks were waited for already
        marks = [*before.values(), *after.values()]
        if not agreed:
            silent = {block.number for block in grid.blocks} - before.keys() - after.keys()  # they give no face
            marks += [self.submit("done", number, _done, self.states[number]) for number in sorted(silent)]
        for block in grid.blocks:
            number = block.number
            given = Inputs(deals=tuple(deals.get(number, ())), supply=supplies.get(number))
            old, others, reader = self.states[number], sent.get(number, []), more(block) if more else None
            self.states[number] = self.submit(
                "block",
                number,
                _step,
                old,
                block,
                segment,
                self.rules,
                given,
                before.get(number),
                after.get(number),
                others,
                reader,
            )
            self.executor.release(
                [old]
            )  # at once: where tasks run as they are submitted, the next block takes its memory
        return marks

    def go(
        self,
        first: int,
        last: int,
        inverse: bool = False,
        more: Callable[[Block], Reader] | None = None,
        dealt: Callable[[int], tuple[Deal, ...]] | None = None,
    ) -> int:
        """Run (or undo) the cycles first … last; returns the last cycle done, earlier if told to stop.

        What is waited for is small, faces or marks: whoever waits for a state keeps it in a worker's memory.

        Parameters
        ----------
        more : callable or None
            For a block, what its tasks call, with block, segment and inputs, to read from disk what they need.
        dealt : callable or None
            The trades of a cycle; None: the market picks them.
        """
        flight: deque[tuple[list[Any], int]] = deque()
        done = first - 1

        def land(limit: int) -> None:
            while len(flight) > limit:
                handles, cycle = flight.popleft()
                self.executor.finish(handles, lambda: None)
                if handles is not self.states:
                    self.executor.release(handles)
                self.progress(cycle)

        for segment in segments(self.grid, self.config, first, last, inverse):
            stopping = not inverse and self.stop()
            if stopping:
                segment = segment.until_close()
            flight.append((self._submit(segment, more, dealt or self._deals), done))
            if segment.closed:
                done = segment.closed[-1]
            land(_WINDOW)
            if stopping and segment.closed:
                break
        flight.append((self.states, done))
        land(0)
        return done
