"""The stages of a cycle after sort and trade, on one block: harvest, supply, close.  Knows no cluster."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numcodecs import blosc
from numpy.typing import NDArray

from entropic import special
from entropic.engine.own import harvest_own
from entropic.engine.payment import append_records, pay_oldest, pay_own
from entropic.engine.rules import Rules, Supply
from entropic.engine.state import BlockState, OpenCycle, TapePiece
from entropic.kernels import block_histograms
from entropic.lattice import Block
from entropic.ledger import Row
from entropic.randomness import PURPOSE_WASTE

__all__ = ["claims", "close", "harvest", "supply"]


def harvest(state: BlockState, block: Block, rules: Rules, cycle: int) -> BlockState:
    """Lift, charge the batteries, let them rest, pay for erasure from each region's own; changes ``state.array``."""
    opened = state.opened(block, rules, cycle)
    lattice, storage = block.lattice, rules.storage
    wide = 256 if lattice.q_max == 255 else int(state.array.max()) + 1  # of bytes, the kernel counts all at once
    row = replace(opened.row, counts=np.zeros((block.region_count, wide), np.int64))
    if rules.protocol is not None:
        row = replace(row, lifted=np.zeros((block.region_count, lattice.q_max + 1), np.int64))
    block_histograms(state.array, np.array(lattice.region_shape), row.counts)
    levels = int(np.flatnonzero(row.counts.any(axis=0)).max(initial=0)) + 1
    counts = np.ascontiguousarray(row.counts[:, :levels])
    tape, stopped = state.tape.copy(), state.stopped.copy()
    battery, carries, unpaid, pieces, now = state.battery, state.carries.copy(), state.unpaid, state.pieces, counts
    bits = None
    if rules.protocol is not None:
        written, now, bits = harvest_own(state.array, block, row, tape, stopped, rules)
        tape += written
    elif rules.lift:
        tape += _lift(state, block, row, counts, tape, stopped, rules)
        now = np.where(row["measured"][:, None], rules.harvester.shifted(counts), counts)
    if rules.lift:
        battery, lost, overflow, carries[0] = storage.charge(battery, row["lift"], carries[0])
        if "stored_loss" in row.entries:
            row["stored_loss"][:] += lost + overflow
    if not rules.erase and (rules.lift or opened.sort_bits is not None):
        pieces = (*pieces, _write_bits(state, block, row, opened, rules, bits))
    battery, lost, carries[2] = storage.rest(battery, carries[2])
    if "stored_loss" in row.entries:
        row["stored_loss"][:] += lost
    special.ln_multinomial_rows(now, row["entropy_lifted"])
    row["entropy_hist"][:] = row["entropy_lifted"]
    row["quanta"][:] = now @ np.arange(now.shape[1], dtype=np.int64)
    state = replace(
        state, battery=battery, carries=carries, tape=tape, stopped=stopped, unpaid=unpaid, pieces=pieces,
        open=replace(opened, row=row, now=now, sort_bits=None),
    )  # fmt: skip
    if not rules.erase:
        return state
    if rules.lift:
        state = replace(state, unpaid=append_records(unpaid, np.where(row["measured"], row["ones"], -1)))
    return pay_own(state, block, rules)


def _lift(
    state: BlockState,
    block: Block,
    row: Row,
    counts: NDArray[np.int64],
    tape: NDArray[np.float64],
    stopped: NDArray[np.int64],
    rules: Rules,
) -> NDArray[np.float64]:
    """Measure and lift where the tape has room; fills the row, changes the sites and ``stopped``.

    Returns
    -------
    float64[regions]
        Nats written.
    """
    ones = rules.harvester.ones(counts)
    nats = rules.landauer.record_nats(ones)
    running = stopped == 0
    fits = tape + nats <= rules.tape_share
    stopped[running & ~fits] = row.cycle
    row["measured"][:] = running & fits
    row["ones"][:] = np.where(row["measured"], ones, 0)
    row["lift"][:] = row["ones"] * rules.harvester.threshold
    row["record_nats"][:] = np.where(row["measured"], nats, 0.0)
    if rules.erase:
        rules.harvester.take(state.array, np.array(block.lattice.region_shape), row["ones"] > 0)
    return row["record_nats"]


def _write_bits(
    state: BlockState, block: Block, row: Row, opened: OpenCycle, rules: Rules, own: NDArray[np.uint8] | None
) -> TapePiece:
    """Lift, and keep the bits that were measured (or those of a protocol, ``own``); with them those of the sort."""
    parts = []
    if own is not None:
        parts.append(own)
    elif rules.lift:
        bits = np.zeros((block.region_count, -(-block.lattice.region_sites // 8)), np.uint8)
        for i, region in enumerate(block.region_views(state.array)):
            if row["ones"][i]:
                bits[i] = rules.harvester.record(region)
        parts.append(bits)
    if opened.sort_bits is not None:
        parts.append(opened.sort_bits)
    return TapePiece(row.cycle, blosc.compress(np.concatenate(parts, axis=1), b"zstd", 1, blosc.SHUFFLE))


def claims(state: BlockState, rules: Rules) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What each battery can give to the grid, and what the oldest record that waits would cost: int64[regions] each."""
    offer = rules.storage.discharge(state.battery, state.battery, state.carries[1])[1]
    prices = np.zeros(offer.size, np.int64)
    if state.unpaid.size and rules.erase:
        assert state.open is not None
        for i in np.flatnonzero(state.unpaid[:, 0] >= 0):
            price = rules.landauer.price_of(int(state.open.row["quanta"][i]), int(state.unpaid[i, 0]))
            prices[i] = price or 0
    return offer, prices


def supply(state: BlockState, block: Block, rules: Rules, cycle: int, given: Supply) -> BlockState:
    """Book what the grid decided, and erase the records that it paid for; changes ``state.array``."""
    opened = state.opened(block, rules, cycle)
    row, carries = opened.row, state.carries.copy()
    battery, drawn, lost, carries[1] = rules.storage.discharge(state.battery, given.drawn, carries[1])
    assert (drawn == given.drawn).all()
    row["drawn"][:] += drawn
    if "stored_loss" in row.entries:
        row["stored_loss"][:] += lost
    row["compute"][:], row["delivered_out"][:] = given.compute, given.delivered_out
    row["line_loss"][:] = given.line_loss
    state = replace(state, battery=battery, carries=carries, open=replace(opened, row=row))
    return pay_oldest(state, block, rules, given.erasure)


def close(state: BlockState, block: Block, rules: Rules, cycle: int) -> BlockState:
    """Deposit the cycle's waste heat and close its books; changes ``state.array``."""
    opened = state.opened(block, rules, cycle)
    row, now = opened.row, opened.now
    assert now is not None
    waste = waste_heat(row.entries)
    views = list(block.region_views(state.array)) if waste.any() else []
    for i in np.flatnonzero(waste):
        quanta = int(waste[i])
        after = rules.landauer.room(now[i], quanta)
        rules.landauer.deposit(views[i], int(block.region_ids[i]), cycle, quanta, after, PURPOSE_WASTE)
        row["quanta"][i] += quanta
        row["entropy_hist"][i] = special.ln_multinomial(after)
    row["heat"][:] = state.heat
    for name, values in zip(("left_in", "left_out", "right_in", "right_out"), state.baths, strict=True):
        if name in row.entries:
            row[name][:] = values
    row["battery"][:], row["tape"][:], row["stopped"][:] = state.battery, state.tape, state.stopped
    state.heat[:] = 0
    state.baths[:] = 0
    return replace(state, quanta=row["quanta"], rows=(*state.rows, row.trimmed()), open=None)


def waste_heat(entries: dict[str, NDArray[np.int64]]) -> NDArray[np.int64]:
    """Energy that a cycle's end turns to heat in each region, apart from erasure."""
    parts = [entries[name] for name in ("stored_loss", "compute", "line_loss") if name in entries]
    return np.sum(parts, axis=0, dtype=np.int64) if parts else np.zeros(entries["lift"].shape, np.int64)
