"""Trades of a block's regions: contact sites out and back, gears between them, work to the batteries.

Of a region in another block only the contact sites and the credit of its battery are needed; both blocks turn the
same gears and keep their own side, so no answer travels back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from entropic.engine.rules import Contact, Deal, Rules
from entropic.engine.state import BlockState
from entropic.kernels import gear_swap, gear_unswap, long_rows, put_run, take_run
from entropic.lattice import Block
from entropic.randomness import PURPOSE_CONTACT, random_u64

__all__ = ["contacts", "quotes", "trade", "untrade"]


def _start(rules: Rules, region: int, cycle: int) -> int:
    """First contact site of a region in a cycle."""
    return int(random_u64(region, cycle, PURPOSE_CONTACT, np.uint64(rules.seed))) % rules.landauer.sites


def quotes(state: BlockState) -> NDArray[np.int64]:
    """Quanta of each region: int64[regions]."""
    return state.energies()


def credits(state: BlockState, rules: Rules) -> NDArray[np.int64]:
    """What each battery could pay now: int64[regions]."""
    return rules.storage.discharge(state.battery, state.battery, state.carries[1])[1]


def contacts(state: BlockState, block: Block, rules: Rules, cycle: int, regions: Iterable[int]) -> dict[int, Contact]:
    """What some of the block's regions bring to their trades."""
    place = {int(number): i for i, number in enumerate(block.region_ids)}
    views, credit = [long_rows(view) for view in block.region_views(state.array)], credits(state, rules)
    found = {}
    for region in regions:
        run = np.empty(rules.contact, state.array.dtype)
        take_run(views[place[region]], _start(rules, region, cycle), run)
        found[region] = Contact(run, int(credit[place[region]]))
    return found


def trade(
    state: BlockState,
    block: Block,
    rules: Rules,
    cycle: int,
    deals: Iterable[Deal],
    others: Mapping[int, Contact],
) -> BlockState:
    """Carry out the block's share of a cycle's trades; changes ``state.array``, which the caller owns.

    A trade whose work turns out negative, more so than either side's battery can pay, does not take place.
    """
    opened = state.opened(block, rules, cycle)
    row = opened.row
    market, q_max = rules.market, block.lattice.q_max
    place = {int(number): i for i, number in enumerate(block.region_ids)}
    views = [long_rows(view) for view in block.region_views(state.array)]
    deals = tuple(deals)
    own = contacts(state, block, rules, cycle, [r for d in deals for r in (d.hot, d.cold) if r in place])
    earned = np.zeros(block.region_count, np.int64)
    for deal in deals:
        assert market is not None
        sides = (own.get(deal.hot) or others[deal.hot], own.get(deal.cold) or others[deal.cold])
        hot, cold = sides[0].sites.copy(), sides[1].sites.copy()
        work = int(gear_swap(hot, cold, deal.m, deal.n, q_max))
        shares = market.split(work, deal.quanta_hot, deal.quanta_cold, rules.landauer.sites)
        if any(share + side.credit < 0 for share, side in zip(shares, sides, strict=True)):
            continue
        for is_hot, region, partner, run, share in (
            (True, deal.hot, deal.cold, hot, shares[0]),
            (False, deal.cold, deal.hot, cold, shares[1]),
        ):
            if region not in place:
                continue
            i = place[region]
            row["gear_heat"][i] = put_run(views[i], _start(rules, region, cycle), run)
            row["partner"][i], row["hot"][i] = partner, is_hot
            row["gear_m"][i], row["gear_n"][i], row["gear"][i] = deal.m, deal.n, share
            earned[i] = share
    battery, carries = state.battery, state.carries.copy()
    battery, lost_in, overflow, carries[0] = rules.storage.charge(battery, np.maximum(earned, 0), carries[0])
    battery, paid, lost_out, carries[1] = rules.storage.discharge(battery, np.maximum(-earned, 0), carries[1])
    assert (paid == np.maximum(-earned, 0)).all()
    if "stored_loss" in row.entries:
        row["stored_loss"][:] += lost_in + overflow + lost_out
    return replace(state, battery=battery, carries=carries, open=opened)


def untrade(
    state: BlockState, block: Block, rules: Rules, cycle: int, deals: Iterable[Deal], others: Mapping[int, Contact]
) -> None:
    """Turn the gears of a cycle's trades back, in place."""
    place = {int(number): i for i, number in enumerate(block.region_ids)}
    views = [long_rows(view) for view in block.region_views(state.array)]
    deals = tuple(deals)
    own = contacts(state, block, rules, cycle, [r for d in deals for r in (d.hot, d.cold) if r in place])
    for deal in deals:
        hot = (own.get(deal.hot) or others[deal.hot]).sites.copy()
        cold = (own.get(deal.cold) or others[deal.cold]).sites.copy()
        gear_unswap(hot, cold, deal.m, deal.n, block.lattice.q_max)
        for region, run in ((deal.hot, hot), (deal.cold, cold)):
            if region in place:
                put_run(views[place[region]], _start(rules, region, cycle), run)
