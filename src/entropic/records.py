"""The market's order book and trade log, and the grid's flows, on disk: `orders.zarr`, `trades.zarr`, `flows.zarr`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from entropic.columns import grow, written
from entropic.ledger import Ledger
from entropic.machines.exchange import OrderBook, Trade
from entropic.machines.grid import GridOutcome
from entropic.machines.pump import PumpResult
from entropic.machines.trade_log import ORDER_COLUMNS, TRADE_COLUMNS, Settlement, order_columns, trade_columns

__all__ = ["FLOW_COLUMNS", "append_flows", "append_orders", "append_trades", "cut_records"]

FLOW_COLUMNS: dict[str, tuple[str, str]] = {
    "cycle": ("1", "cycle of the flow"),
    "demand": ("1", "number of the demand that it served; -1: erasure"),
    "source": ("1", "region whose battery paid"),
    "sink": ("1", "region where it arrived"),
    "quanta": ("quanta", "energy delivered"),
    "loss": ("quanta", "energy lost on the way, beside it"),
    "resistance": ("1e-9", "sum of the shares that the lines of the path lose"),
    "hops": ("1", "regions on the path, both ends included"),
}


def append_orders(path: Path, orders: Mapping[int, OrderBook], trades: Mapping[int, tuple[Trade, ...]]) -> None:
    """Add the order books of some cycles: what every region quoted and was offered, by rank."""
    if not orders:
        return
    with written(path / "orders.zarr") as group:
        about = {"units": "1", "long_name": "cycle of the quotes"}
        grow(group, "cycle", np.array(sorted(orders), np.int64), ("matching",), about)
        rows = [order_columns(orders[cycle], trades[cycle]) for cycle in sorted(orders)]
        for name, column in ORDER_COLUMNS.items():
            attrs = {"units": column.units, "long_name": column.long_name}
            grow(group, name, np.stack([row[name] for row in rows]), ("matching", "rank"), attrs)


def append_trades(path: Path, ledger: Ledger, trades: Mapping[int, tuple[Trade, ...]]) -> None:
    """Add the trades of the ledger's cycles that took place, with what came of them."""
    columns: dict[str, list[NDArray[Any]]] = {name: [] for name in TRADE_COLUMNS}
    books = ledger.entries
    for cycle in sorted(trades):
        at = cycle - ledger.first
        done = []
        for trade in trades[cycle]:
            if books["partner"][at, trade.hot] != trade.cold:
                continue  # its work was negative, and a battery could not pay
            shares = int(books["gear"][at, trade.hot]), int(books["gear"][at, trade.cold])
            heat = -int(books["gear_heat"][at, trade.hot]), int(books["gear_heat"][at, trade.cold])
            done.append(Settlement(trade, PumpResult(sum(shares), *heat), *shares))
        for name, values in trade_columns(cycle, done).items():
            columns[name].append(values)
    if not trades:
        return
    with written(path / "trades.zarr") as group:
        for name, parts in columns.items():
            column = TRADE_COLUMNS[name]
            attrs = {"units": column.units, "long_name": column.long_name}
            grow(group, name, np.concatenate(parts), ("trade",), attrs)


def append_flows(path: Path, outcomes: Mapping[int, GridOutcome]) -> None:
    """Add the grid's flows, with their paths, and what each demand got."""
    if not outcomes:
        return
    parts: dict[str, list[NDArray[np.int64]]] = {name: [] for name in FLOW_COLUMNS}
    paths, cycles, delivered = [], sorted(outcomes), []
    for cycle in cycles:
        flows = outcomes[cycle].flows
        parts["cycle"].append(np.full(len(flows), cycle, np.int64))
        parts["hops"].append(np.diff(flows.path_start).astype(np.int64))
        for name in ("demand", "source", "sink", "quanta", "loss", "resistance"):
            parts[name].append(getattr(flows, name).astype(np.int64))
        paths.append(flows.path.astype(np.int64))
        delivered.append(outcomes[cycle].delivered)
    with written(path / "flows.zarr") as group:
        for name, (units, about) in FLOW_COLUMNS.items():
            grow(group, name, np.concatenate(parts[name]), ("flow",), {"units": units, "long_name": about})
        about = "regions on the paths, one path after another"
        grow(group, "path", np.concatenate(paths), ("step",), {"units": "1", "long_name": about})
        grow(group, "routed", np.array(cycles, np.int64), ("routing",), {"units": "1", "long_name": "cycles routed"})
        about = "energy that each demand got"
        grow(
            group,
            "delivered",
            np.array(delivered),
            ("routing", "demand_number"),
            {"units": "quanta", "long_name": about},
        )


def cut_records(path: Path, cycle: int) -> None:
    """Forget rows beyond a cycle."""
    for name in ("orders.zarr", "trades.zarr", "flows.zarr"):
        if not (path / name).exists():
            continue
        with written(path / name, "r+") as group:
            rows = _rows(group, "cycle", cycle)
            sizes = {"matching": rows, "trade": rows, "flow": rows}
            keep = rows
            if name == "flows.zarr":
                keep = sizes["routing"] = _rows(group, "routed", cycle)  # cycles in which nothing flowed count, too
                sizes["step"] = int(np.asarray(group["hops"][:rows]).sum()) if keep else 0  # type: ignore[index]
            for _, array in group.arrays() if keep else ():
                array.resize((sizes[array.metadata.dimension_names[0]], *array.shape[1:]))  # type: ignore[union-attr,index]
        if keep == 0:  # nothing, or a first writing that was cut short
            shutil.rmtree(path / name)


def _rows(group: zarr.Group, name: str, cycle: int) -> int:
    """Rows up to a cycle; those that were made room for, and never filled, are zeros."""
    known = group.get(name)
    cycles = np.asarray(known[:]) if isinstance(known, zarr.Array) else np.zeros(0, np.int64)
    return int(((cycles > 0) & (cycles <= cycle)).sum())
