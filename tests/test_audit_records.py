"""The audit of what the market and the grid wrote down, order book, trades and flows: every change is noticed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray

from entropic.audit import audit
from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.engine.checkpoint import generations
from entropic.machines.trade_log import ORDER_COLUMNS, TRADE_COLUMNS
from entropic.records import FLOW_COLUMNS
from test_audit import bump, caught, copy, edit, forge, made_of, originals, reseal

__all__ = ["copy", "originals"]  # fixtures

Copy = Callable[[str], Path]


def column(run: Path, log: str, name: str) -> NDArray[Any]:
    return np.asarray(zarr.open_group(run / log, mode="r")[name][...])  # type: ignore[index]


def columns_of(log: str, names: Any) -> list[tuple[str, str]]:
    return [(log, name) for name in names]


EVERY_COLUMN = [
    *columns_of("orders.zarr", ("cycle", *ORDER_COLUMNS)),
    *columns_of("trades.zarr", TRADE_COLUMNS),
    *columns_of("flows.zarr", (*FLOW_COLUMNS, "path", "routed", "delivered")),
]


@pytest.mark.parametrize(("log", "name"), EVERY_COLUMN)
def test_any_entry_more_or_less(log: str, name: str, copy: Copy) -> None:
    rng = np.random.default_rng([1, *log.encode(), *name.encode()])
    for run in ("machines", "partners"):
        path = copy(run)
        if not (path / log).exists():
            continue
        values = column(path, log, name)
        amounts = (1.0, -1.0, 1e-6) if values.dtype.kind == "f" else (1, -1)
        for amount in amounts:
            path = copy(run)
            edit(path / log, name, bump(tuple(int(rng.integers(n)) for n in values.shape), amount))
            assert caught(path), (run, amount)


@pytest.mark.parametrize("log", ["orders.zarr", "trades.zarr", "flows.zarr"])
def test_a_row_lost_or_doubled_or_all_of_them(log: str, copy: Copy) -> None:
    names = {"orders.zarr": ("cycle", *ORDER_COLUMNS), "trades.zarr": TRADE_COLUMNS, "flows.zarr": FLOW_COLUMNS}[log]
    rows = column(copy("machines"), log, "cycle").size
    for row in (0, rows // 2, rows - 1):
        for change in (np.delete, lambda values, at, axis: np.insert(values, at, values[at], axis=axis)):
            path = copy("machines")
            for name in names:
                edit(path / log, name, lambda values, change=change, row=row: change(values, row, axis=0))
            assert caught(path), (row, change)
    path = copy("machines")
    shutil.rmtree(path / log)
    assert caught(path)
    path = copy("machines")
    shutil.rmtree(path / log / names[-1] if isinstance(names, tuple) else path / log / list(names)[-1])
    assert caught(path)


def test_a_trade_kept_secret(tmp_path: Path) -> None:
    """A market that never traded, by its books, though its quotes called for it."""
    table = made_of("partners").to_dict()
    table["exchange"] = {**table["exchange"], "enabled": False}
    table["run"] = {**table["run"], "cycles": 2}
    EntropicComputer(Config.from_mapping(table), tmp_path / "run").run()
    text = (tmp_path / "run" / "config.toml").read_text()
    head, tail = text.split("[exchange]")
    (tmp_path / "run" / "config.toml").write_text(
        f"{head}[exchange]{tail.replace('enabled = false', 'enabled = true', 1)}"
    )
    books = zarr.open_group(tmp_path / "run" / "books.zarr", mode="a")
    shape = books["lift"].shape  # type: ignore[union-attr]
    for name, kind, blank in (
        ("partner", "int64", -1),
        ("hot", "bool", 0),
        ("gear_m", "int64", 0),
        ("gear_n", "int64", 0),
        ("gear", "int64", 0),
        ("gear_heat", "int64", 0),
    ):
        books.create_array(name, data=np.full(shape, blank, kind))
    forge(tmp_path / "run")
    (first,) = (law for law in audit(tmp_path / "run") if law.name == "first law")
    assert not first.holds and "order books" in first.detail


def test_what_lines_and_batteries_owe(copy: Copy) -> None:
    """What a restart would go on from, sums made to fit."""
    for name in ("carried", "carries"):
        for amount in (1, -1):
            path = copy("machines")
            state = generations(path / "checkpoints")[0] / "regions.zarr"
            shape = zarr.open_group(state, mode="r")[name].shape  # type: ignore[union-attr]
            edit(state, name, bump((0,) * len(shape), amount))
            reseal(path)
            assert caught(path), (name, amount)


def test_another_network(tmp_path: Path) -> None:
    """The run's own copy of the lines: capacity, loss, and which there are."""
    table = made_of("machines").to_dict()
    lines = [{"source": r, "target": r + 1, "capacity": 6, "loss": 0.125} for r in range(5)]
    file = tmp_path / "lines.json"
    file.write_text(json.dumps({"nodes": [{"id": r} for r in range(6)], "edges": lines}))
    config = Config.from_mapping({**table, "grid": {**table["grid"], "network": str(file)}})
    EntropicComputer(config, tmp_path / "run").run()
    assert all(law.holds for law in audit(tmp_path / "run"))
    for key, value in (("capacity", 1), ("loss", 0.25), ("target", 3)):
        changed = [dict(line) for line in lines]
        changed[0][key] = value
        content = {"nodes": [{"id": r} for r in range(6)], "edges": changed}
        (tmp_path / "run" / "network.json").write_text(json.dumps(content))
        assert caught(tmp_path / "run"), key
