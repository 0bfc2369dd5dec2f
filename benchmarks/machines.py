"""What the machines cost on top of the plain demon: whole cycles at the seed's region size, and the decisions of a cycle."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engine import processor_seconds
from benchmarks.timing import rows_of, take_turns
from entropic import Config, EntropicComputer
from entropic.engine.cluster import SerialExecutor
from entropic.machines.exchange import EntropyExchange
from entropic.machines.grid import EnergyDemand, EnergyGrid
from entropic.machines.network import Network
from entropic.observer import Observer

__all__ = ["RIVALS", "machine_config", "measure_decisions", "measure_machines"]

_REGION = (10, 10, 10, 1000)  # sites of a region of the seed
_DEMANDS = [  # of every eight regions, one computes and one exports
    {"region": region, "quanta": 20_000, "priority": 1 + region % 3, "kind": "compute" if region % 8 else "export"}
    for region in range(0, 1000, 4)
]

_SORT = {"demon": {"sort": True}}
_PARTNERS = {"demon": {"sort": True, "pairs": "partners"}}
_MARKET = {"exchange": {"enabled": True}}
_GRID = {"grid": {"enabled": True}}
_STORAGE = {"battery": {"capacity": 10.0, "charge_loss": 0.01, "discharge_loss": 0.01, "self_discharge": 0.001}}

# In a field of one temperature nobody trades; sorted partners part, and all of them trade in every cycle.
RIVALS: dict[str, dict[str, Any]] = {
    "plain demon": {},
    "+ sort of halves": _SORT,
    "+ sort of partners": _PARTNERS,
    "+ sort of partners, exchange": _PARTNERS | _MARKET,
    "+ grid": _GRID,
    "+ storage": _STORAGE,
    "all machines, halves sorted": _SORT | _MARKET | _GRID | _STORAGE,
    "all machines, partners sorted": _PARTNERS | _MARKET | _GRID | _STORAGE,
}


def machine_config(name: str, regions: int, cycles: int, region: tuple[int, ...] = _REGION) -> Config:
    """A rival's configuration: ``regions`` boxes, a multiple of 4, in rows of 2 × 2; books each cycle, one checkpoint."""
    boxes = (regions // 4, 2, 2, 1)
    table = {section: dict(keys) for section, keys in RIVALS[name].items()}
    if "grid" in table:
        table["grid"]["demands"] = [demand for demand in _DEMANDS if int(demand["region"]) < regions]
    field = {"shape": [n * m for n, m in zip(region, boxes, strict=True)], "regions": list(boxes)}
    return Config.from_mapping({**table, "field": field, "run": {"cycles": cycles, "checkpoint_every": cycles}})


def _cycles(config: Config) -> float:
    """Processor seconds of all cycles with their books and the checkpoint: not the first state, nor the audit."""
    began: list[float] = []
    ended: list[float] = []

    def stop() -> bool:
        if not began:  # asked for the first time as the first cycle begins
            began.append(processor_seconds())
        return False

    with tempfile.TemporaryDirectory(prefix="entropic-benchmark-") as scratch:
        observer = Observer(stop=stop, booked=lambda store, cycle: ended.append(processor_seconds()))
        EntropicComputer(config, Path(scratch) / "run", SerialExecutor(), None, config.run.cycles, observer).run()
    return ended[-1] - began[0]


def measure_machines(
    regions: int, cycles: int, repeats: int, region: tuple[int, ...] = _REGION
) -> list[dict[str, Any]]:
    """Rows with ``name``, ``ns`` of processor a site-cycle, and ``ratio`` to the plain demon, in rounds in which all take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in RIVALS}
    for name in RIVALS:
        _cycles(machine_config(name, 4, 2, region))  # compilers
    for _ in range(repeats):
        for name, taken in seconds.items():
            taken.append(_cycles(machine_config(name, regions, cycles, region)))
    plain, work = seconds["plain demon"], regions * int(np.prod(region)) * cycles
    return [
        {
            "name": name,
            "ns": statistics.median(taken) / work * 1e9,
            "ratio": statistics.median(t / p for t, p in zip(taken, plain, strict=True)),
        }
        for name, taken in seconds.items()
    ]


def measure_decisions(repeats: int) -> list[dict[str, Any]]:
    """What a cycle of 1000 regions decides as a whole, in ``ms``: 200 demands routed, erasures before them, regions matched."""
    draw = np.random.default_rng(1)
    network = Network.nearest_neighbours((10, 10, 10, 1), 1_000_000, 0.001)
    demands = tuple(
        EnergyDemand(int(region), int(quanta), int(priority), "compute" if number % 2 else "export")
        for number, (region, quanta, priority) in enumerate(
            zip(draw.integers(0, 1000, 200), draw.integers(1, 400_000, 200), draw.integers(1, 4, 200), strict=True)
        )
    )
    grid = EnergyGrid(network, demands)
    supply, owed = draw.integers(0, 200_000, 1000), np.zeros(network.line_count, np.int64)
    some = np.where(draw.random(1000) < 0.05, supply + 1000, 0)  # each more than the region's own battery holds
    drained, price = draw.integers(4400, 6600, 1000), draw.integers(11400, 12600, 1000)
    market = EntropyExchange(((2, 1), (3, 1), (3, 2)), 0.1)
    quanta = draw.integers(4_990_000, 5_010_000, 1000)
    timings = take_turns(
        {
            "grid, 1000 regions, 200 demands": lambda: grid.route(supply, 0 * some, owed),
            "and 50 erasures": lambda: grid.route(supply, some, owed),
            "and 1000 erasures, with energy for half of them": lambda: grid.route(drained, price, owed),
            "market, 1000 regions": lambda: market.match(quanta, 10**6),
        },
        repeats,
    )
    return [
        {"name": row["name"], "ms": row["ns"] / 1e6, "least_ms": row["least_ns"] / 1e6} for row in rows_of(timings, 1)
    ]
