"""Erasure of records, region by region: price, heat, books.  Its twin is `entropic.engine.payment`'s slow route."""

from __future__ import annotations

import numpy as np
from numba import njit

from entropic.kernels.deposit import add_heat
from entropic.kernels.reduce import region_view
from entropic.randomness import PURPOSE_DEPOSIT, random_u64
from entropic.special import UNREACHABLE, erasure_quanta_fast, ln_multinomial, record_nats

__all__ = ["PAID_DOUBTFUL", "PAID_OK", "PAID_OVERFLOW", "pay_records"]

PAID_OK, PAID_DOUBTFUL, PAID_OVERFLOW = 0, 1, 2


@njit(nogil=True, cache=True)
def _nats(bits, pairs, code, raw):  # type: ignore[no-untyped-def]
    if code > bits:
        return record_nats(pairs, code - bits - 1, raw)
    return record_nats(bits, code, raw)


@njit(nogil=True, cache=True)
def _payable(sites, bits, pairs, quanta, charge, queue, raw):  # type: ignore[no-untyped-def]
    """How many records the battery pays for, and whether every price on the way is certain."""
    paid = 0
    for code in queue:
        if code < 0:
            break
        price, certain = erasure_quanta_fast(sites, quanta, _nats(bits, pairs, code, raw))
        if not certain:
            return 0, False
        if price == UNREACHABLE or price > charge:
            break
        quanta += price
        charge -= price
        paid += 1
    return paid, True


@njit(nogil=True, cache=True)
def pay_records(  # type: ignore[no-untyped-def]
    array,
    shape,
    ids,
    cycle,
    seed,
    q_max,
    raw,
    bits,
    pairs,
    now,
    quanta,
    budget,
    tape,
    queue,
    erasure,
    erased,
    hist,
    status,
):
    """Pay for each region's records, oldest first, while its budget lasts, and deposit the heat.

    Parameters
    ----------
    array : uint8 or uint16 [a, b, c, d]
        The block's sites.
    shape, ids : int64[4], int64[regions]
        Extents of a region; numbers of the block's regions.
    cycle, seed, q_max, raw
        Time and key of the deposits, cap of a site, how records are kept.
    bits, pairs : int
        Length of a record of the lift, and of one of the sort.
    now : int64[regions, levels]
        Histograms, wide enough for what the budgets can deposit.
    quanta, budget, tape, erasure, erased, hist : [regions]
        Energies, what batteries can pay (both kept up), nats on tape, and what is entered in the books.
    queue : int64[regions, depth]
        Codes of records, oldest first, −1 beyond; paid ones are taken out.
    status : int64[regions]
        `PAID_OK`; `PAID_DOUBTFUL` where a price needs multiprecision (nothing was done there); `PAID_OVERFLOW`.
    """
    sites = shape[0] * shape[1] * shape[2] * shape[3]
    depth = queue.shape[1]
    for i in range(ids.size):
        paid, certain = _payable(sites, bits, pairs, quanta[i], budget[i], queue[i], raw)
        if not certain:
            status[i] = PAID_DOUBTFUL
            continue
        if paid == 0:
            continue
        region = region_view(array, shape, i)
        start = np.int64(random_u64(ids[i], cycle, PURPOSE_DEPOSIT, seed) % np.uint64(sites))
        for k in range(paid):
            nats = _nats(bits, pairs, queue[i, k], raw)
            price, _ = erasure_quanta_fast(sites, quanta[i], nats)
            if price > 0 and not add_heat(region, price // sites, price % sites, start, q_max, now[i]):
                status[i] = PAID_OVERFLOW
                break
            quanta[i] += price
            budget[i] -= price
            erasure[i] += price
            erased[i] += nats
            tape[i] -= nats
        hist[i] = ln_multinomial(now[i])
        for k in range(depth):
            queue[i, k] = queue[i, k + paid] if k + paid < depth else -1
        if queue[i, 0] < 0:
            tape[i] = 0.0
