"""Accounts and entries: every movement of energy and information, by (cycle, region, account).

A `Row` holds all entries of one cycle for some regions; a `Ledger` merges the rows of all blocks.  The second
arrival of an entry is recognised: the same is ignored, a different one is an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from entropic.errors import EntropicError

__all__ = ["ACCOUNTS", "DoubleEntryError", "Ledger", "Row"]

# name: (dtype, units, description)
ACCOUNTS: dict[str, tuple[str, str, str]] = {
    "heat": ("int64", "quanta", "heat that came into the region through its walls"),
    "lift": ("int64", "quanta", "work that the lift took from the region into its battery"),
    "erasure": ("int64", "quanta", "battery energy spent on erasure, deposited in the region as heat"),
    "ones": ("int64", "1", "bits set in the cycle's record"),
    "record_nats": ("float64", "nat", "information written to the tape"),
    "erased_nats": ("float64", "nat", "information erased from the tape"),
    "quanta": ("int64", "quanta", "energy of the region at the cycle's end"),
    "battery": ("int64", "quanta", "energy of the battery at the cycle's end"),
    "tape": ("float64", "nat", "information on the tape at the cycle's end"),
    "stopped": ("int64", "1", "cycle in which the region's tape was full; 0: it is not"),
    "measured": ("bool", "1", "whether the demon measured the region in this cycle"),
    "entropy_lifted": ("float64", "nat", "histogram entropy of the region right after the lift"),
    "entropy_hist": ("float64", "nat", "histogram entropy of the region at the cycle's end"),
}


@final
class DoubleEntryError(EntropicError):
    """An entry came twice with different amounts."""

    exit_code = 3


@final
@dataclass(frozen=True)
class Row:
    """All entries of one cycle for the regions of one block; arrays are [regions]."""

    cycle: int
    heat: NDArray[np.int64]
    lift: NDArray[np.int64]
    erasure: NDArray[np.int64]
    ones: NDArray[np.int64]
    record_nats: NDArray[np.float64]
    erased_nats: NDArray[np.float64]
    quanta: NDArray[np.int64]
    battery: NDArray[np.int64]
    tape: NDArray[np.float64]
    stopped: NDArray[np.int64]
    measured: NDArray[np.bool_]
    entropy_lifted: NDArray[np.float64]
    entropy_hist: NDArray[np.float64]
    counts: NDArray[np.integer]  # [regions, q]: sites that hold q quanta after relaxation, before the lift

    @classmethod
    def blank(cls, cycle: int, regions: int, levels: int) -> Row:
        """A row of zeros."""
        zeros = {name: np.zeros(regions, kind) for name, (kind, _, _) in ACCOUNTS.items()}
        return cls(cycle=cycle, counts=np.zeros((regions, levels), np.int64), **zeros)

    def trimmed(self) -> Row:
        """Histograms cut after the last level that any site holds, in the smallest unsigned integers."""
        levels = int(np.flatnonzero(self.counts.any(axis=0)).max(initial=0)) + 1
        most = int(self.counts.max(initial=0))
        kind = np.uint16 if most < 1 << 16 else np.uint32 if most < 1 << 32 else np.uint64
        return replace(self, counts=self.counts[:, :levels].astype(kind))


@final
@dataclass
class Ledger:
    """Entries of a stretch of cycles for all regions, complete once every region has been entered.

    Attributes
    ----------
    entries : dict of arrays [cycles, regions]
    counts : uint [cycles, regions, levels]
    """

    first: int
    cycles: int
    regions: int
    entries: dict[str, NDArray[np.generic]] = field(init=False)
    counts: NDArray[np.integer] = field(init=False)
    entered: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        size = (self.cycles, self.regions)
        self.entries = {name: np.zeros(size, kind) for name, (kind, _, _) in ACCOUNTS.items()}
        self.counts = np.zeros((*size, 1), np.uint16)
        self.entered = np.zeros(size, np.bool_)

    def enter(self, row: Row, region_ids: NDArray[np.int64]) -> None:
        """Merge a block's row.

        Raises
        ------
        DoubleEntryError
            One of its entries is there already, with another amount.
        """
        at = row.cycle - self.first
        known = self.entered[at, region_ids]
        levels = row.counts.shape[1]
        if levels > self.counts.shape[2] or row.counts.dtype.itemsize > self.counts.dtype.itemsize:
            kind = max(self.counts.dtype, row.counts.dtype, key=lambda d: d.itemsize)
            grown = np.zeros((self.cycles, self.regions, max(levels, self.counts.shape[2])), kind)
            grown[:, :, : self.counts.shape[2]] = self.counts
            self.counts = grown
        if known.any():
            same = all(
                np.array_equal(self.entries[f.name][at, region_ids[known]], getattr(row, f.name)[known])
                for f in fields(row)
                if f.name in ACCOUNTS
            ) and np.array_equal(self.counts[at, region_ids[known], :levels], row.counts[known])
            if not same:
                raise DoubleEntryError(
                    f"entries of cycle {row.cycle} came twice with different amounts (regions {region_ids[known][:5]}…).",
                    "a worker computed wrongly: run again, or without the worker",
                )
        for name in ACCOUNTS:
            self.entries[name][at, region_ids] = getattr(row, name)
        self.counts[at, region_ids, :levels] = row.counts
        self.entered[at, region_ids] = True

    @property
    def complete(self) -> bool:
        return bool(self.entered.all())
