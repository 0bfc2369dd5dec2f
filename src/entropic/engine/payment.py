"""Paying for records: each region's queue, oldest first, from its own battery or with what the grid brought."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from entropic import special
from entropic.engine.rules import Rules
from entropic.engine.state import BlockState
from entropic.kernels import PAID_DOUBTFUL, PAID_OVERFLOW, pay_records
from entropic.lattice import Block
from entropic.machines.landauer import OverflowQuantaError

__all__ = ["append_records", "pay_oldest", "pay_own"]


def append_records(unpaid: NDArray[np.int64], entered: NDArray[np.int64]) -> NDArray[np.int64]:
    """Records that wait, with new ones at each region's end (−1: none)."""
    if not (entered >= 0).any():
        return unpaid.copy()
    waiting = (unpaid >= 0).sum(axis=1)
    width = int((waiting + (entered >= 0)).max())
    grown = np.full((unpaid.shape[0], max(width, unpaid.shape[1])), -1, np.int64)
    grown[:, : unpaid.shape[1]] = unpaid
    at = np.flatnonzero(entered >= 0)
    grown[at, waiting[at]] = entered[at]
    return np.ascontiguousarray(grown[:, :width])


def _trimmed(queue: NDArray[np.int64]) -> NDArray[np.int64]:
    depth = int((queue >= 0).sum(axis=1).max(initial=0)) if queue.size else 0
    return np.ascontiguousarray(queue[:, :depth])


def pay_own(state: BlockState, block: Block, rules: Rules) -> BlockState:
    """Pay while each region's own battery can; changes ``state.array`` and the open row, which the caller owns."""
    assert state.open is not None
    assert state.open.now is not None
    row, now, engine, storage = state.open.row, state.open.now, rules.landauer, rules.storage
    if not (state.unpaid >= 0).any():
        return state
    budget = storage.discharge(state.battery, state.battery, state.carries[1])[1]
    highest = int(budget.max(initial=0)) // engine.sites + state.unpaid.shape[1] + 2
    highest = min(highest, block.lattice.q_max + 1 - now.shape[1])
    now = np.pad(now, ((0, 0), (0, max(highest, 0))))
    queue, tape, paid = state.unpaid.copy(), state.tape.copy(), np.zeros(block.region_count, np.int64)
    status = np.zeros(block.region_count, np.int64)
    pay_records(
        state.array,
        np.array(block.lattice.region_shape),
        block.region_ids,
        row.cycle,
        np.uint64(engine.seed),
        engine.q_max,
        engine.record == "raw",
        engine.bits,
        engine.pairs,
        now,
        row["quanta"],
        budget,
        tape,
        queue,
        row["erasure"],
        row["erased_nats"],
        row["entropy_hist"],
        status,
    )
    for i in np.flatnonzero(status == PAID_OVERFLOW):
        raise OverflowQuantaError(int(block.region_ids[i]), row.cycle, engine.q_max)
    if (status == PAID_DOUBTFUL).any():
        views = list(block.region_views(state.array))
        for i in np.flatnonzero(status == PAID_DOUBTFUL):
            _pay_slowly(views[i], block, row.cycle, rules, int(i), row.entries, now, budget, tape, queue)
    paid[:] = row["erasure"]
    carries = state.carries.copy()
    battery, arrived, lost, carries[1] = storage.discharge(state.battery, paid, carries[1])
    assert (arrived == paid).all()
    if "stored_loss" in row.entries:
        row["stored_loss"][:] += lost
    if "drawn" in row.entries:
        row["drawn"][:] += paid
    opened = replace(state.open, now=now)
    return replace(state, battery=battery, carries=carries, tape=tape, unpaid=_trimmed(queue), open=opened)


def _pay_slowly(
    region: NDArray[np.generic],
    block: Block,
    cycle: int,
    rules: Rules,
    i: int,
    entries: dict[str, NDArray[np.generic]],
    now: NDArray[np.int64],
    budget: NDArray[np.int64],
    tape: NDArray[np.float64],
    queue: NDArray[np.int64],
) -> None:
    """`pay_records` for one region, with prices settled in multiprecision."""
    engine, number = rules.landauer, int(block.region_ids[i])
    quanta, charge, paid = int(entries["quanta"][i]), int(budget[i]), 0
    after = None
    for code in queue[i]:
        price = engine.price_of(quanta, int(code)) if code >= 0 else None
        if price is None or price > charge:
            break
        after = engine.room(now[i] if after is None else after, price)
        engine.deposit(region, number, cycle, price, after)
        quanta, charge, paid = quanta + price, charge - price, paid + 1
        nats = engine.nats_of(int(code))
        entries["erasure"][i] += price
        entries["erased_nats"][i] += nats
        tape[i] -= nats
    if after is None:
        return
    entries["quanta"][i], budget[i] = quanta, charge
    entries["entropy_hist"][i] = special.ln_multinomial(after)
    width = min(after.size, now.shape[1])
    now[i] = 0
    now[i, :width] = after[:width]
    queue[i, : queue.shape[1] - paid] = queue[i, paid:].copy()
    queue[i, queue.shape[1] - paid :] = -1
    if queue[i, 0] < 0:
        tape[i] = 0.0


def pay_oldest(state: BlockState, block: Block, rules: Rules, erasure: NDArray[np.int64]) -> BlockState:
    """Erase the oldest record of every region for which the grid brought its price; changes ``state.array``."""
    assert state.open is not None
    assert state.open.now is not None
    if not erasure.any():
        return state
    row, now, engine = state.open.row, state.open.now.copy(), rules.landauer
    queue, tape = state.unpaid.copy(), state.tape.copy()
    views = list(block.region_views(state.array))
    for i in np.flatnonzero(erasure):
        price, code = int(erasure[i]), int(queue[i, 0])
        after = engine.room(now[i], price)
        engine.deposit(views[i], int(block.region_ids[i]), row.cycle, price, after)
        if after.size > now.shape[1]:
            now = np.pad(now, ((0, 0), (0, after.size - now.shape[1])))
        now[i, : after.size] = after
        nats = engine.nats_of(code)
        row["erasure"][i] += price
        row["quanta"][i] += price
        row["erased_nats"][i] += nats
        row["entropy_hist"][i] = special.ln_multinomial(after)
        tape[i] -= nats
        queue[i, :-1] = queue[i, 1:].copy()
        queue[i, -1] = -1
        if queue[i, 0] < 0:
            tape[i] = 0.0
    return replace(state, tape=tape, unpaid=_trimmed(queue), open=replace(state.open, now=now))
