"""The log of the market: what was traded, at which price, and what came of it; columns that a store can keep as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from entropic.machines.exchange import Trade
from entropic.machines.pump import PumpResult

__all__ = ["TRADE_COLUMNS", "Column", "Settlement", "trade_columns"]


@final
@dataclass(frozen=True)
class Settlement:
    """A trade that was carried out.

    Parameters
    ----------
    trade : Trade
    result : PumpResult
        Work and heat, quanta.
    share_hot, share_cold : int
        Of the work, to the batteries of the two regions (from them, if negative), quanta.
    """

    trade: Trade
    result: PumpResult
    share_hot: int
    share_cold: int


@final
class Column(NamedTuple):
    """A variable of the log: its dtype, its units, and what it is."""

    dtype: str
    units: str
    long_name: str


TRADE_COLUMNS: dict[str, Column] = {
    "cycle": Column("int64", "1", "cycle of the trade"),
    "hot": Column("int64", "1", "number of the hotter region"),
    "cold": Column("int64", "1", "number of the colder region"),
    "m": Column("int64", "quanta", "quanta a turn of the hot side"),
    "n": Column("int64", "quanta", "quanta a turn of the cold side"),
    "expected_work": Column("float64", "quanta", "mean work a pair of sites at the local equilibria"),
    "price": Column("float64", "quanta/nat", "clearing price, the geometric mean of the temperatures"),
    "temperature_hot": Column("float64", "quanta/nat", "temperature that the hotter region quoted"),
    "temperature_cold": Column("float64", "quanta/nat", "temperature that the colder region quoted"),
    "work": Column("int64", "quanta", "work that came out"),
    "heat_hot": Column("int64", "quanta", "heat that left the hotter region"),
    "heat_cold": Column("int64", "quanta", "heat that entered the colder region"),
    "share_hot": Column("int64", "quanta", "work to the battery of the hotter region"),
    "share_cold": Column("int64", "quanta", "work to the battery of the colder region"),
}


def trade_columns(cycle: int, settlements: Sequence[Settlement]) -> dict[str, NDArray[Any]]:
    """The columns of `TRADE_COLUMNS` for the trades of one cycle, in their order: arrays of shape (trades,)."""

    rows = [
        {"cycle": cycle, **vars(s.trade), **vars(s.result), "share_hot": s.share_hot, "share_cold": s.share_cold}
        for s in settlements
    ]
    return {name: np.array([row[name] for row in rows], column.dtype) for name, column in TRADE_COLUMNS.items()}
