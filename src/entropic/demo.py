"""The original document's demonstration: its field, its lines, its claims."""

from __future__ import annotations

import math

import numpy as np
import zarr

from entropic import entropy
from entropic.claims import Claim, judge
from entropic.config import Config
from entropic.engine.checkpoint import newest_sound
from entropic.initial import lattice_of
from entropic.store import RunStore
from entropic.summary import entropies

__all__ = ["demo_claims", "demo_config", "demo_line"]

_SIZES = {
    "small": {"shape": [25, 25, 25, 64], "regions": [5, 5, 5, 8]},
    "seed": {"shape": [100, 100, 100, 1000], "regions": [10, 10, 10, 1]},
}


def demo_config(size: str) -> Config:
    """A demon with erasure paid from charged batteries, 1000 regions, 1000 cycles, two layers a cycle."""
    return Config.from_mapping({"field": _SIZES[size], "run": {"cycles": 1000, "checkpoint_every": 100}})


def demo_line(store: RunStore, cycle: int) -> str:
    """What the original prints every 100 cycles, and beside it what it left out."""
    group = zarr.open_group(store.path / "books.zarr", mode="r")
    books = {name: np.asarray(group[name][:cycle]) for name in ("lift", "erasure", "record_nats")}  # type: ignore[index]
    now = {n: np.asarray(group[n][cycle - 1]) for n in ("quanta", "battery", "tape", "entropy_hist")}  # type: ignore[index]
    opening = store.opening()
    lattice = lattice_of(store.config().field)
    gross, erasure = int(books["lift"].sum()), int(books["erasure"].sum())
    warmth = entropy.temperature(lattice.sites, int(now["quanta"].sum()))
    information = warmth * math.fsum(books["record_nats"].ravel())
    state = entropies(lattice.region_sites, now["quanta"], now["entropy_hist"], math.fsum(now["tape"]))
    residual = int(now["quanta"].sum() + now["battery"].sum() - opening["quanta"].sum() - opening["battery"].sum())
    return (
        f"Cycle {cycle}: {int(books['lift'][-1].sum()):,} units generated | Total: {gross:,} units | "
        f"Efficiency (W/TI): {gross / information if information else 0.0:.1%} | information cost: {erasure:,} | "
        f"net: {gross - erasure:,} | battery: {int(now['battery'].sum()):,} | "
        f"entropy: {state['region']:,.0f} nat | first-law residual: {residual}"
    )


def demo_claims(store: RunStore, summary: dict[str, object]) -> list[Claim]:
    """The claims table; what the tape still holds is billed at T nats, the least that any bath takes (Landauer)."""
    config = store.config()
    lattice = lattice_of(config.field)
    generation = newest_sound(store.checkpoints)
    regions = zarr.open_group(generation.path / "regions.zarr", mode="r")
    tape = np.asarray(regions["tape"][:])  # type: ignore[index]
    group = zarr.open_group(store.path / "books.zarr", mode="r")
    quanta = np.asarray(group["quanta"][-1])  # type: ignore[index]
    owed = 0.0
    for held, energy in zip(tape, quanta, strict=True):
        warmth = entropy.temperature(lattice.region_sites, int(energy))
        owed += entropy.landauer_quanta(warmth, float(held)) if held > 0 and math.isfinite(warmth) else 0.0
    return judge(config, summary, owed)
