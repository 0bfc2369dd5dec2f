"""One block through one segment: layers and stages in order, forwards or backwards.  Knows no cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from entropic.engine.buffers import empty_like
from entropic.engine.layers import exchange_block
from entropic.engine.program import LayerStep, Segment, Stage, Step
from entropic.engine.rules import Contact, Deal, Rules, Supply
from entropic.engine.sorting import foreign_partners, sort, unsort
from entropic.engine.stages import close, harvest, supply, waste_heat
from entropic.engine.state import BlockState
from entropic.engine.trade import trade, untrade
from entropic.errors import EntropicError
from entropic.lattice import Block
from entropic.randomness import PURPOSE_WASTE

__all__ = ["Inputs", "UndoError", "advance"]


@final
class UndoError(EntropicError):
    """A move cannot be undone: the field is not one that the run can have left."""

    exit_code = 3


@final
@dataclass(frozen=True)
class Inputs:
    """What a block needs of others for a segment, and of the past to undo one.

    Attributes
    ----------
    before, after : array or None
        The neighbours' faces for the segment's first layer.
    deals : tuple of Deal
        The cycle's trades that touch the block.
    contacts : tuple of dict
        What regions of other blocks bring to them, or to a sort.
    supply : Supply or None
        The grid's decision.
    tape : dict
        To undo cycles: by cycle, the bits written, uint8[regions, bytes]; blank if there are none.  Behind the block's
        own regions, where partners were sorted, those of `foreign_partners`.
    past : dict
        To undo cycles: by cycle, the books of the block's regions.
    """

    before: NDArray[np.generic] | None = None
    after: NDArray[np.generic] | None = None
    deals: tuple[Deal, ...] = ()
    contacts: tuple[Mapping[int, Contact], ...] = ()
    supply: Supply | None = None
    tape: Mapping[int, NDArray[np.uint8]] | None = None
    past: Mapping[int, Mapping[str, NDArray[np.int64]]] | None = None

    def others(self) -> dict[int, Contact]:
        """Contacts of other blocks' regions, by region."""
        return {region: contact for part in self.contacts for region, contact in part.items()}


def advance(state: BlockState, block: Block, segment: Segment, rules: Rules, given: Inputs) -> BlockState:
    """Run a segment on a block; returns a new state."""
    old, array = state.array, empty_like(state.array)
    if not isinstance(segment.operations[0], LayerStep):
        np.copyto(array, old)
    state = replace(state, array=array, heat=state.heat.copy(), baths=state.baths.copy())
    for number, step in enumerate(segment.operations):
        if isinstance(step, LayerStep):
            whence, faces = (array, (None, None)) if number else (old, (given.before, given.after))
            flows = exchange_block(whence, array, block, step.layer, rules.seed, step.inverse, *faces, rules.baths)
            state.heat[:] += flows[0]
            state.baths[:] += flows[1:]
        elif step.inverse:
            _undo(state, block, step, rules, given)
        else:
            state = _do(state, block, step, rules, given)
    return state


def _do(state: BlockState, block: Block, step: Step, rules: Rules, given: Inputs) -> BlockState:
    if step.stage is Stage.SORT:
        return sort(state, block, rules, step.cycle, given.others())
    if step.stage is Stage.TRADE:
        return trade(state, block, rules, step.cycle, given.deals, given.others())
    if step.stage is Stage.HARVEST:
        return harvest(state, block, rules, step.cycle)
    if step.stage is Stage.SUPPLY:
        assert given.supply is not None
        return supply(state, block, rules, step.cycle, given.supply)
    return close(state, block, rules, step.cycle)


def _undo(state: BlockState, block: Block, step: Step, rules: Rules, given: Inputs) -> None:
    """Undo a stage, in place."""
    past = (given.past or {}).get(step.cycle, {})
    bits = (given.tape or {}).get(step.cycle)
    if step.stage is Stage.CLOSE and past:
        _withdraw(state, block, step.cycle, rules, waste_heat(dict(past)), PURPOSE_WASTE)
    elif step.stage is Stage.HARVEST:
        if past:
            _withdraw(state, block, step.cycle, rules, past["erasure"])
        if bits is not None and rules.lift:
            _put_back(state, block, step.cycle, rules, bits[: block.region_count, : rules.lift_bytes], past)
    elif step.stage is Stage.TRADE:
        untrade(state, block, rules, step.cycle, given.deals, given.others())
    elif step.stage is Stage.SORT and bits is not None:
        first = rules.lift_bytes if rules.lift else 0
        numbers = [*block.region_ids.tolist(), *(foreign_partners(block) if rules.partners else ())]
        records = {number: row[first:] for number, row in zip(numbers, bits, strict=True)}
        unsort(state, block, rules, step.cycle, given.others(), records)


def _put_back(
    state: BlockState,
    block: Block,
    cycle: int,
    rules: Rules,
    bits: NDArray[np.uint8],
    past: Mapping[str, NDArray[np.int64]],
) -> None:
    """Undo the lift, or what a protocol did in its place where it did anything (its undo of blank bits may do much)."""
    for i, (number, region) in enumerate(zip(block.region_ids, block.region_views(state.array), strict=True)):
        if rules.protocol is None:
            rules.harvester.undo_packed(region, bits[i])
        elif past["measured"][i]:
            rules.protocol.undo(region, bits[i], int(number), cycle)


def _withdraw(
    state: BlockState,
    block: Block,
    cycle: int,
    rules: Rules,
    quanta: NDArray[np.int64],
    purpose: int | None = None,
) -> None:
    views: Iterable[NDArray[np.generic]] = block.region_views(state.array)
    for i, (number, region) in enumerate(zip(block.region_ids, views, strict=True)):
        more = () if purpose is None else (purpose,)
        if not rules.landauer.withdraw(region, int(number), cycle, int(quanta[i]), *more):
            raise UndoError(
                f"region {number} cannot have received the heat that the books name in cycle {cycle}.",
                "the run's tape was erased or its store was changed: it cannot be played backwards",
            )
