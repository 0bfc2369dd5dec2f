"""The log of the market: what was quoted and traded, at which price, and what came of it; columns for a store to keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from entropic.machines.exchange import OrderBook, Trade
from entropic.machines.pump import PumpResult

__all__ = ["ORDER_COLUMNS", "TRADE_COLUMNS", "Column", "Settlement", "order_columns", "trade_columns"]


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

ORDER_COLUMNS: dict[str, Column] = {
    "region": Column("int64", "1", "number of the region, hottest first"),
    "quanta": Column("int64", "quanta", "energy of the region when it quoted"),
    "temperature": Column("float64", "quanta/nat", "temperature that it quoted"),
    "gear_m": Column("int64", "quanta", "quanta a turn of the hot side in the trade that it was offered; 0: none"),
    "gear_n": Column("int64", "quanta", "quanta a turn of the cold side; 0: none"),
}


def trade_columns(cycle: int, settlements: Sequence[Settlement]) -> dict[str, NDArray[Any]]:
    """The columns of `TRADE_COLUMNS` for the trades of one cycle, in their order: arrays of shape (trades,)."""

    rows = [
        {"cycle": cycle, **vars(s.trade), **vars(s.result), "share_hot": s.share_hot, "share_cold": s.share_cold}
        for s in settlements
    ]
    return {name: np.array([row[name] for row in rows], column.dtype) for name, column in TRADE_COLUMNS.items()}


def order_columns(book: OrderBook, trades: Sequence[Trade]) -> dict[str, NDArray[Any]]:
    """The columns of `ORDER_COLUMNS` for the order book of one cycle, and the trades that it led to: arrays of shape (regions,).

    A trade that was offered may yet fall through: where its work comes out so negative that a battery could not pay.
    """
    gears = np.zeros((2, book.region.size), np.int64)
    for trade in trades:
        gears[:, [trade.hot, trade.cold]] = [[trade.m], [trade.n]]
    gear_m, gear_n = gears[:, book.region]
    return {
        "region": book.region,
        "quanta": book.quanta,
        "temperature": book.temperatures(),
        "gear_m": gear_m,
        "gear_n": gear_n,
    }
