"""What one field came to at every scale: work, prices and apparent gains, added up from integer tables.

Floats are evaluated once, from merged tables in their order, so that they too are the same bit for every layout.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from entropic.engine.checkpoint import newest_sound
from entropic.engine.cluster import Executor
from entropic.initial import lattice_of
from entropic.lattice import BlockGrid
from entropic.scaling.ladder import Count, Table, count_block, merged, table_digest, table_of
from entropic.scaling.laws import Demon, own_prices, record_rows
from entropic.store import RunStore

__all__ = ["field_tally", "region_tally"]


def field_tally(
    store: RunStore, grid: BlockGrid, executor: Executor, demon: Demon, sizes: tuple[int, ...]
) -> dict[str, Any]:
    """Count a run's last field at every scale, block by block where the blocks live; JSON.

    Parameters
    ----------
    grid : BlockGrid
        A cut of the lattice along its first axis alone.
    sizes : tuple of int
        Sites of the demons whose gains are counted.
    """
    path = str(newest_sound(store.checkpoints).path.resolve())
    handles = [
        executor.submit(
            f"count-{path[-8:]}-{block.number}", block.number, count_block, block, path, demon.threshold, sizes
        )
        for block in grid.blocks
    ]
    count = merged(executor.gather(handles))
    executor.release(handles)
    return _tally(count, demon)


def _tally(count: Count, demon: Demon) -> dict[str, Any]:
    ones, quanta = count.planes.sum(axis=0).tolist()
    return {
        "ones": ones,
        "quanta": quanta,
        "scales": [_scale(sites, table, demon) for sites, table in sorted(count.tables.items())],
        "demons": [{"sites": n, "ones": _trimmed(seen.tolist())} for n, seen in sorted(count.demons.items())],
    }


def _trimmed(counts: list[int]) -> list[int]:
    while counts and counts[-1] == 0:
        counts.pop()
    return counts


def _scale(sites: int, table: Table, demon: Demon) -> dict[str, Any]:
    """Sums over regions of ``sites`` sites: net and its square at each price, quanta."""
    ones, quanta, many = table.T
    work = demon.threshold * ones
    nats = record_rows(sites, ones, demon.record)
    net = work - demon.temperature * nats
    found: dict[str, Any] = {
        "sites": sites,
        "regions": int(many.sum()),
        "digest": table_digest(table),
        "gross": int(many @ work),
        "nats": math.fsum(many * nats),
        "landauer": [math.fsum(many * net), math.fsum(many * net**2)],
        "own": None,
        "price": None,
    }
    if sites > 1:
        price = own_prices(sites, ones, quanta - work, demon.record)
        own = work - price
        found["price"] = int(many @ price)
        found["own"] = [int(many @ own), math.fsum(many * own.astype(float) ** 2)]
    return found


def region_tally(store: RunStore, demon: Demon) -> dict[str, Any]:
    """The same of one lift and erasure by the engine, from a run's books: what must equal the count; JSON."""
    config, books = store.config(), store.books()
    lattice = lattice_of(config.field)
    ones, erasure, lift = (books[name][0].astype(np.int64) for name in ("ones", "erasure", "lift"))
    before = books["quanta"][0] - erasure + lift
    table = table_of(ones, before, lattice.region_sites)
    unpaid = int((books["erased_nats"][0] != books["record_nats"][0]).sum())
    return {
        "sites": lattice.region_sites,
        "regions": lattice.region_count,
        "digest": table_digest(table),
        "gross": int(lift.sum()),
        "price": int(erasure.sum()),
        "unpaid": unpaid,
    }
