"""Sums over the books of a run, carried on as cycles are added."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import zarr
from numpy.typing import NDArray

from entropic.initial import lattice_of
from entropic.ledger import accounts
from entropic.reading import reading
from entropic.store import RunStore
from entropic.summary import entropies

__all__ = ["Tally", "opened", "tallied"]

_PLUS, _MINUS = ("left_out", "right_out", "delivered_out"), ("left_in", "right_in")
_FLOWS = ("lift", "gear", "erasure", *_PLUS, *_MINUS)
_READ = 1 << 22  # entries of an account read together


@final
@dataclass(frozen=True)
class Tally:
    """What the books say up to a cycle.

    Attributes
    ----------
    cycle : int
    flows : dict of int
        Quanta by account, since the start.
    begun, held : int
        Quanta in field and batteries, before the first cycle and now.
    battery : int
        Quanta.
    entropy : dict of float
        ``hist``, ``region``, ``equilibrium``, ``tape``: nats.
    """

    cycle: int
    flows: Mapping[str, int]
    begun: int
    held: int
    battery: int
    entropy: Mapping[str, float]

    @property
    def gross(self) -> int:
        return self.flows.get("lift", 0) + self.flows.get("gear", 0)

    @property
    def cost(self) -> int:
        return self.flows.get("erasure", 0)

    @property
    def net(self) -> int:
        return self.gross - self.cost

    @property
    def residual(self) -> int:
        """What the first law says is 0."""
        gone = sum(self.flows.get(name, 0) for name in _PLUS) - sum(self.flows.get(name, 0) for name in _MINUS)
        return self.held - self.begun + gone


def opened(store: RunStore) -> Tally:
    """Before the first cycle.

    Raises
    ------
    StoreError
    """
    opening, sites = store.opening(), lattice_of(store.config().field).region_sites
    begun = int(opening["quanta"].sum() + opening["battery"].sum())
    state = entropies(sites, opening["quanta"], opening["entropy_hist"], 0.0)
    return Tally(0, {}, begun, begun, int(opening["battery"].sum()), state)


def tallied(store: RunStore, known: Tally, cycle: int) -> Tally:
    """The tally up to ``cycle``, which the books hold: only what is new is read.

    Raises
    ------
    StoreError
        The books are damaged, or do not reach so far.
    """
    if cycle <= known.cycle:
        return known
    config = store.config()
    names = [name for name in accounts(config) if name in _FLOWS]
    flows, last = dict(known.flows), {}
    with reading(store.path / "books.zarr"):
        group = zarr.open_group(store.path / "books.zarr", mode="r", use_consolidated=False)
        for page in _pages(group, names, known.cycle, cycle, config.field.region_count):
            for name, values in page.items():
                flows[name] = flows.get(name, 0) + int(values.sum())
        last = {name: np.asarray(group[name][cycle - 1]) for name in ("quanta", "battery", "tape", "entropy_hist")}  # type: ignore[index]
    sites = lattice_of(config.field).region_sites
    state = entropies(sites, last["quanta"], last["entropy_hist"], math.fsum(last["tape"]))
    battery = int(last["battery"].sum())
    return Tally(cycle, flows, known.begun, int(last["quanta"].sum()) + battery, battery, state)


def _pages(
    group: zarr.Group, names: list[str], first: int, last: int, regions: int
) -> Iterator[dict[str, NDArray[Any]]]:
    step = max(1, _READ // regions)
    for start in range(first, last, step):
        yield {name: np.asarray(group[name][start : min(start + step, last)]) for name in names}  # type: ignore[index]
