"""A protocol of the user's own in place of the lift: each region of a block, its record, its books."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from entropic.engine.rules import Rules
from entropic.kernels import block_histograms
from entropic.lattice import Block
from entropic.ledger import Row

__all__ = ["harvest_own"]


def harvest_own(
    array: NDArray[np.generic],
    block: Block,
    row: Row,
    tape: NDArray[np.float64],
    stopped: NDArray[np.int64],
    rules: Rules,
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.uint8]]:
    """Harvest where the tape has room for the longest record; changes the sites, the row and ``stopped``.

    Room for the longest, not for the very one, so that whether a region stops can be told from the books alone.

    Returns
    -------
    float64[regions], int64[regions, levels], uint8[regions, bytes]
        Nats written, histograms afterwards, packed bits.
    """
    protocol, engine = rules.protocol, rules.landauer
    assert protocol is not None and row.lifted is not None
    longest = engine.nats_of(protocol.bits // 2)
    bits = np.zeros((block.region_count, rules.lift_bytes), np.uint8)
    stopped[(stopped == 0) & (tape + longest > rules.tape_share)] = row.cycle
    for i, (number, region) in enumerate(zip(block.region_ids, block.region_views(array), strict=True)):
        if stopped[i]:
            continue
        move = protocol.harvest(region, int(number), row.cycle, rules.round_trip)
        region[...] = move.after
        bits[i] = move.packed
        row["measured"][i], row["sitewise"][i] = True, move.sitewise
        row["ones"][i], row["lift"][i], row["record_nats"][i] = move.ones, move.work, engine.nats_of(move.ones)
    block_histograms(array, np.array(block.lattice.region_shape), row.lifted)
    levels = int(np.flatnonzero(row.lifted.any(axis=0)).max(initial=0)) + 1
    return row["record_nats"], np.ascontiguousarray(row.lifted[:, :levels], np.int64), bits
