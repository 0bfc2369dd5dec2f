"""Maxwell's demon on one block: halves of every region, or partner regions; forwards and backwards.

Partners are the regions 2k, the hot side, and 2k + 1, the cold one (the last of an odd number stays alone).  The record
is the hot side's.  Of a partner in another block only its contact sites are needed, and whether its tape has room;
both blocks sort the same runs and keep their own side, so no answer travels back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from entropic.engine.payment import append_records
from entropic.engine.rules import Contact, Rules
from entropic.engine.state import BlockState
from entropic.kernels import long_rows, put_run, take_run
from entropic.lattice import Block
from entropic.ledger import Row
from entropic.machines.demon import SortRecord
from entropic.randomness import PURPOSE_SORT, random_u64

__all__ = ["foreign_partners", "sides", "sort", "unsort"]


def sort(state: BlockState, block: Block, rules: Rules, cycle: int, others: Mapping[int, Contact]) -> BlockState:
    """Sort, and write the records; changes ``state.array``, which the caller owns."""
    opened = state.opened(block, rules, cycle)
    row, tape, stopped = opened.row, state.tape.copy(), state.stopped.copy()
    bits = np.zeros((block.region_count, rules.sort_bytes), np.uint8)
    room = _room(state, rules)
    if rules.partners:
        alone = block.region_ids % 2 == 1
        alone[block.region_ids == block.lattice.region_count - 1] = True
        stopped[~room & (stopped == 0) & ~alone] = cycle
        _sort_partners(state, block, rules, cycle, others, row, bits)
    else:
        stopped[~room & (stopped == 0)] = cycle
        for i, region in enumerate(block.region_views(state.array)):
            if room[i]:
                record = rules.demon.sort(region)
                row["gradient"][i] = record.gradient
                _enter(row, i, record, bits)
    codes = np.where(row["sorted"], rules.landauer.sort_code(row["sort_ones"]), -1)
    nats = [rules.landauer.nats_of(code) if code >= 0 else 0.0 for code in codes.tolist()]
    row["sort_nats"][:] = nats
    tape += row["sort_nats"]
    unpaid = append_records(state.unpaid, codes) if rules.erase else state.unpaid
    opened = replace(opened, sort_bits=None if rules.erase else bits)
    return replace(state, tape=tape, stopped=stopped, unpaid=unpaid, open=opened)


def _room(state: BlockState, rules: Rules) -> NDArray[np.bool_]:
    """Where the demon runs, and the tape has room for the longest record: bool[regions]."""
    longest = rules.landauer.nats_of(rules.landauer.sort_code(rules.landauer.pairs // 2))
    fits: NDArray[np.bool_] = (state.stopped == 0) & (state.tape + longest <= rules.tape_share)
    return fits


def _enter(row: Row, i: int, record: SortRecord, bits: NDArray[np.uint8]) -> None:
    bits[i] = record.packed
    row["sorted"][i], row["sort_ones"][i] = True, record.ones


# -- partners --


def _pairs(block: Block) -> Iterator[tuple[int, int]]:
    """Partners of which the block has one or both: hot, cold."""
    for hot in np.unique(block.region_ids & ~1).tolist():
        if hot + 1 < block.lattice.region_count:
            yield hot, hot + 1


def foreign_partners(block: Block) -> list[int]:
    """Partners of the block's regions that other blocks have."""
    own = set(block.region_ids.tolist())
    return [region for pair in _pairs(block) for region in pair if region not in own]


def _start(rules: Rules, region: int, cycle: int) -> int:
    """First contact site of a region in a cycle."""
    return int(random_u64(region, cycle, PURPOSE_SORT, np.uint64(rules.seed))) % rules.landauer.sites


def sides(state: BlockState, block: Block, rules: Rules, cycle: int, regions: Iterable[int]) -> dict[int, Contact]:
    """What some of the block's regions bring to a sort with their partners."""
    place = {int(number): i for i, number in enumerate(block.region_ids)}
    views = list(block.region_views(state.array))
    room, quanta = _room(state, rules), state.energies()
    return {
        region: Contact(
            _run(views[place[region]], rules, region, cycle),
            quanta=int(quanta[place[region]]),
            room=bool(room[place[region]]),
        )
        for region in regions
    }


def _run(region: NDArray[np.generic], rules: Rules, number: int, cycle: int) -> NDArray[np.generic]:
    run = np.empty(rules.landauer.pairs, region.dtype)
    take_run(long_rows(region), _start(rules, number, cycle), run)
    return run


def _sort_partners(
    state: BlockState,
    block: Block,
    rules: Rules,
    cycle: int,
    others: Mapping[int, Contact],
    row: Row,
    bits: NDArray[np.uint8],
) -> None:
    place = {int(number): i for i, number in enumerate(block.region_ids)}
    views = dict(zip(place, block.region_views(state.array), strict=True))
    room, quanta = _room(state, rules), state.energies()
    for hot, cold in _pairs(block):
        if not (room[place[hot]] if hot in place else others[hot].room):
            continue
        record, moved = _sort_pair(views, rules, cycle, hot, cold, others)
        for region, heat in ((hot, moved), (cold, -moved)):
            if region in place:
                row["sort_heat"][place[region]] = heat
        if hot in place:
            i = place[hot]
            held = int(quanta[place[cold]]) if cold in place else others[cold].quanta
            row["gradient"][i] = quanta[i] - held + 2 * moved
            _enter(row, i, record, bits)


def _sort_pair(
    views: Mapping[int, NDArray[np.generic]],
    rules: Rules,
    cycle: int,
    hot: int,
    cold: int,
    others: Mapping[int, Contact],
) -> tuple[SortRecord, int]:
    """Sort two partners, one of which another block may have; returns the record, and what went over to the hot one."""
    demon, pairs = rules.demon, rules.landauer.pairs
    starts = {region: _start(rules, region, cycle) for region in (hot, cold)}
    if hot in views and cold in views:
        return demon.sort_contact(views[hot], starts[hot], views[cold], starts[cold], pairs)
    runs, own = _runs(views, rules, cycle, hot, cold, others)
    record = demon.sort_between(runs[hot], runs[cold])
    change = int(put_run(long_rows(views[own]), starts[own], runs[own]))
    return record, change if own == hot else -change


def _runs(
    views: Mapping[int, NDArray[np.generic]],
    rules: Rules,
    cycle: int,
    hot: int,
    cold: int,
    others: Mapping[int, Contact],
) -> tuple[dict[int, NDArray[np.generic]], int]:
    """Copies of the contact sites of two partners in different blocks, and which of them is here."""
    own, other = (hot, cold) if hot in views else (cold, hot)
    return {own: _run(views[own], rules, own, cycle), other: others[other].sites.copy()}, own


# -- back --


def unsort(
    state: BlockState,
    block: Block,
    rules: Rules,
    cycle: int,
    others: Mapping[int, Contact],
    records: Mapping[int, NDArray[np.uint8]],
) -> None:
    """Undo a sort, in place.

    Parameters
    ----------
    records : dict
        Packed bits of the sort, by region: of the block's own, and of hot partners in other blocks.
    """
    demon, pairs = rules.demon, rules.landauer.pairs
    views = dict(zip(block.region_ids.tolist(), block.region_views(state.array), strict=True))
    if not rules.partners:
        for number, region in views.items():
            demon.undo_packed(region, records[number])
        return
    for hot, cold in _pairs(block):
        starts = {region: _start(rules, region, cycle) for region in (hot, cold)}
        if hot in views and cold in views:
            demon.undo_contact(views[hot], starts[hot], views[cold], starts[cold], pairs, records[hot])
            continue
        runs, own = _runs(views, rules, cycle, hot, cold, others)
        demon.undo_between_packed(runs[hot], runs[cold], records[hot])
        put_run(long_rows(views[own]), starts[own], runs[own])
