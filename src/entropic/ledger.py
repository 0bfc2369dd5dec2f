"""Accounts and entries: every movement of energy and information, by (cycle, region, account).

A `Row` holds all entries of one cycle for some regions; a `Ledger` merges the rows of all blocks.  The second
arrival of an entry is recognised: the same is ignored, a different one is an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from entropic.config import Config
from entropic.errors import EntropicError

__all__ = ["ACCOUNTS", "DoubleEntryError", "EntryError", "Ledger", "MissingEntryError", "Row", "accounts"]

# name: (dtype, units, description).  Books hold those of the machines that are on (`accounts`).
ACCOUNTS: dict[str, tuple[str, str, str]] = {
    "heat": ("int64", "quanta", "heat that came into the region through its walls"),
    "left_in": ("int64", "quanta", "energy of fresh sites of the left bath that met the region"),
    "left_out": ("int64", "quanta", "energy with which these sites went back to the left bath"),
    "right_in": ("int64", "quanta", "energy of fresh sites of the right bath that met the region"),
    "right_out": ("int64", "quanta", "energy with which these sites went back to the right bath"),
    "sorted": ("bool", "1", "whether the demon sorted the region in this cycle"),
    "sort_ones": ("int64", "1", "bits set in the record of the sort"),
    "sort_nats": ("float64", "nat", "information of the sort, written to the tape"),
    "gradient": (
        "int64",
        "quanta",
        "after the sort, energy of the hot side (first half, or region) less that of the cold side",
    ),
    "sort_heat": ("int64", "quanta", "energy that came into the region when it was sorted against its partner"),
    "partner": ("int64", "1", "region that this one traded with; -1: none"),
    "hot": ("bool", "1", "whether the region was the hotter side of its trade"),
    "gear_m": ("int64", "1", "quanta a turn on the hot side of the trade"),
    "gear_n": ("int64", "1", "quanta a turn on the cold side of the trade"),
    "gear": ("int64", "quanta", "work of the trade that went to the region's battery (from it, if negative)"),
    "gear_heat": ("int64", "quanta", "energy that came into the region's sites by the trade"),
    "lift": ("int64", "quanta", "work that the lift took from the region into its battery"),
    "erasure": ("int64", "quanta", "battery energy spent on erasure, deposited in the region as heat"),
    "ones": ("int64", "1", "bits set in the cycle's record"),
    "record_nats": ("float64", "nat", "information written to the tape"),
    "erased_nats": ("float64", "nat", "information erased from the tape"),
    "stored_loss": ("int64", "quanta", "energy that the battery lost or could not hold, deposited in the region"),
    "drawn": ("int64", "quanta", "energy that left the battery for erasure, for demands and for losses of lines"),
    "compute": ("int64", "quanta", "energy delivered to computation in the region, deposited there as heat"),
    "delivered_out": ("int64", "quanta", "energy delivered in the region to users outside"),
    "line_loss": ("int64", "quanta", "losses of lines, deposited in the region as heat"),
    "quanta": ("int64", "quanta", "energy of the region at the cycle's end"),
    "battery": ("int64", "quanta", "energy of the battery at the cycle's end"),
    "tape": ("float64", "nat", "information on the tape at the cycle's end"),
    "stopped": ("int64", "1", "cycle in which the region's tape was full; 0: it is not"),
    "measured": ("bool", "1", "whether the demon measured the region in this cycle"),
    "sitewise": ("bool", "1", "whether the protocol was seen to treat each site of the region by itself"),
    "entropy_lifted": ("float64", "nat", "histogram entropy of the region right after the lift"),
    "entropy_hist": ("float64", "nat", "histogram entropy of the region at the cycle's end"),
}


_BATHS = ("left_in", "left_out", "right_in", "right_out")
_SORT = ("sorted", "sort_ones", "sort_nats", "gradient")
_TRADE = ("partner", "hot", "gear_m", "gear_n", "gear", "gear_heat")
_GRID = ("compute", "delivered_out", "line_loss")
_BLANK = {"partner": -1}


def accounts(config: Config) -> tuple[str, ...]:
    """Accounts that a run of this configuration has: those of its machines."""
    off: set[str] = set()
    off.update(_BATHS if config.field.edges != "baths" else ())
    off.update(_SORT if not config.demon.sort else ())
    if not config.demon.sort or config.demon.pairs != "partners":
        off.add("sort_heat")
    off.update(_TRADE if not config.exchange.enabled else ())
    off.update(_GRID if not config.grid.enabled else ())
    if config.demon.protocol is None:
        off.add("sitewise")
    if not config.battery.loses:
        off.add("stored_loss")
    if not config.grid.enabled:
        off.add("drawn")
    return tuple(name for name in ACCOUNTS if name not in off)


class EntryError(EntropicError):
    """Entries of some regions and a cycle that are not as they must be.

    Attributes
    ----------
    cycle : int
    regions : tuple of int
        The first few of them.
    """

    exit_code = 3
    _text = ""

    def __init__(self, cycle: int, regions: tuple[int, ...]) -> None:
        self.cycle, self.regions = cycle, regions
        super().__init__(
            f"entries of cycle {cycle} {self._text} (regions {', '.join(map(str, regions))} …).",
            "a worker computed wrongly: run again, or without the worker",
        )

    def __reduce__(self) -> tuple[type[EntryError], tuple[int, tuple[int, ...]]]:
        return (type(self), (self.cycle, self.regions))


@final
class DoubleEntryError(EntryError):
    """An entry came twice with different amounts."""

    _text = "came twice with different amounts"


@final
class MissingEntryError(EntryError):
    """An entry never came."""

    _text = "never came"


@final
@dataclass(frozen=True)
class Row:
    """All entries of one cycle for the regions of one block.

    Attributes
    ----------
    entries : dict of arrays [regions]
        By account.
    counts : int [regions, q]
        Sites that hold q quanta after relaxation and trade, before the lift.
    lifted : int [regions, q] or None
        Likewise right after it, where a protocol takes the place of the lift: then they do not follow from ``counts``.
    """

    cycle: int
    entries: dict[str, NDArray[Any]]
    counts: NDArray[np.integer]
    lifted: NDArray[np.integer] | None = None

    @classmethod
    def blank(cls, cycle: int, regions: int, names: tuple[str, ...]) -> Row:
        """A row of zeros, without histograms."""
        none = np.zeros((regions, 0), np.int64)
        return cls(cycle, blank_entries(names, (regions,)), none, none if "sitewise" in names else None)

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.entries[name]

    def copy(self) -> Row:
        """A row whose entries can be changed without changing this one's."""
        return replace(self, entries={name: values.copy() for name, values in self.entries.items()})

    def trimmed(self) -> Row:
        """Histograms cut after the last level that any site holds, in the smallest unsigned integers."""
        lifted = None if self.lifted is None else _trimmed(self.lifted)
        return replace(self, counts=_trimmed(self.counts), lifted=lifted)


def _trimmed(counts: NDArray[np.integer]) -> NDArray[np.integer]:
    levels = int(np.flatnonzero(counts.any(axis=0)).max(initial=0)) + 1
    most = int(counts.max(initial=0))
    kind = np.uint16 if most < 1 << 16 else np.uint32 if most < 1 << 32 else np.uint64
    return counts[:, :levels].astype(kind)


def _fitting(table: NDArray[np.integer], counts: NDArray[np.integer]) -> NDArray[np.integer]:
    """The table, or a wider one, so that ``counts`` can be entered."""
    if counts.shape[1] <= table.shape[2] and counts.dtype.itemsize <= table.dtype.itemsize:
        return table
    kind = max(table.dtype, counts.dtype, key=lambda d: d.itemsize)
    grown = np.zeros((*table.shape[:2], max(counts.shape[1], table.shape[2])), kind)
    grown[:, :, : table.shape[2]] = table
    return grown


def blank_entries(names: tuple[str, ...], shape: tuple[int, ...]) -> dict[str, NDArray[Any]]:
    """Arrays of nothing for some accounts."""
    return {name: np.full(shape, _BLANK.get(name, 0), ACCOUNTS[name][0]) for name in names}


@final
@dataclass
class Ledger:
    """Entries of a stretch of cycles for all regions, complete once every region has been entered.

    Attributes
    ----------
    entries : dict of arrays [cycles, regions]
    counts : uint [cycles, regions, levels]
    lifted : uint [cycles, regions, levels] or None
    """

    first: int
    cycles: int
    regions: int
    names: tuple[str, ...]
    entries: dict[str, NDArray[Any]] = field(init=False)
    counts: NDArray[np.integer] = field(init=False)
    lifted: NDArray[np.integer] | None = field(init=False)
    entered: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        size = (self.cycles, self.regions)
        self.entries = blank_entries(self.names, size)
        self.counts = np.zeros((*size, 1), np.uint16)
        self.lifted = self.counts.copy() if "sitewise" in self.names else None
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
        self.counts = _fitting(self.counts, row.counts)
        tables = [(self.counts, row.counts)]
        if self.lifted is not None and row.lifted is not None:
            self.lifted = _fitting(self.lifted, row.lifted)
            tables.append((self.lifted, row.lifted))
        if known.any():
            same = all(
                np.array_equal(self.entries[name][at, region_ids[known]], row[name][known]) for name in self.names
            ) and all(
                np.array_equal(table[at, region_ids[known], : counts.shape[1]], counts[known])
                for table, counts in tables
            )
            if not same:
                raise DoubleEntryError(row.cycle, tuple(region_ids[known][:5].tolist()))
        for name in self.names:
            self.entries[name][at, region_ids] = row[name]
        for table, counts in tables:
            table[at, region_ids, : counts.shape[1]] = counts
        self.entered[at, region_ids] = True

    @property
    def complete(self) -> bool:
        return bool(self.entered.all())

    def require_complete(self) -> None:
        """Every region of every cycle must have been entered.

        Raises
        ------
        MissingEntryError
            One has not.
        """
        if not self.complete:
            at = int(np.flatnonzero(~self.entered.all(axis=1))[0])
            raise MissingEntryError(self.first + at, tuple(np.flatnonzero(~self.entered[at])[:5].tolist()))
