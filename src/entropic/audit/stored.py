"""What is on disk against the books: opening balance, series, the newest field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from entropic import special
from entropic.audit.exact import Exact
from entropic.audit.replay import Replay
from entropic.config import Config
from entropic.engine.checkpoint import digest_text, newest_sound
from entropic.engine.state import block_digest
from entropic.initial import draw_block, region_quanta, start_nats
from entropic.kernels import region_histogram
from entropic.lattice import Block, BlockGrid, Lattice, regular_cuts
from entropic.store import SERIES, RunStore

__all__ = ["check_field", "check_opening", "check_series"]


def _region_facts(array: NDArray[np.generic], block: Block) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    counts = np.zeros(block.lattice.q_max + 1, np.int64)
    quanta, hist = np.zeros(block.region_count, np.int64), np.zeros(block.region_count)
    levels = np.arange(counts.size, dtype=np.int64)
    for i, region in enumerate(block.region_views(array)):
        region_histogram(region, counts)
        quanta[i], hist[i] = counts @ levels, special.ln_multinomial(counts)
    return quanta, hist


def _slabs(lattice: Lattice) -> tuple[Block, ...]:
    """Blocks of moderate size, to look at a field piece by piece."""
    axis = 4 - lattice.axes
    size = max(1, lattice.regions[axis] // max(1, lattice.sites >> 26))
    return BlockGrid(lattice, regular_cuts(lattice, (size, *lattice.boxes[1:]))).blocks


def check_opening(first: Exact, config: Config, lattice: Lattice, opening: dict[str, NDArray[Any]]) -> None:
    for block in _slabs(lattice):
        array = draw_block(config.field, block)
        quanta, hist = _region_facts(array, block)
        first.equal("opening energy", opening["quanta"][block.region_ids], quanta)
        first.equal("opening entropy", opening["entropy_hist"][block.region_ids], hist)
        start = start_nats(config.field, block, array)
        first.equal("entropy of the start", opening["entropy_start"][block.region_ids], start)
    charge = region_quanta(config.battery.initial, lattice.region_sites)
    first.equal("opening battery", opening["battery"], np.full(lattice.region_count, charge))


def check_series(first: Exact, store: RunStore, config: Config, lattice: Lattice, reached: int) -> None:
    """The published series, recomputed from the books."""
    if not reached:
        return
    every, last = config.run.record_every, config.run.cycles
    ends = np.array([c for c in range(1, reached + 1) if c % every == 0 or c == last], np.int64)
    series = store.series() if (store.path / "series.zarr").exists() else {"cycle": np.zeros(0, np.int64)}
    first.equal("series: cycle", series["cycle"], ends)
    if ends.size:
        first.equal("series: region", series["region"], np.arange(lattice.region_count))
        first.equal("series: copies of its metadata that differ", _stale(store.path / "series.zarr"), np.int64(0))
    if not ends.size or series["cycle"].shape != ends.shape:
        return
    books = zarr.open_group(store.path / "books.zarr", mode="r")
    starts = np.concatenate([[0], ends[:-1]])
    made_of = {"gross": ("lift", "gear"), "ones": ("ones", "sort_ones"), "record_nats": ("record_nats", "sort_nats")}
    present = set(books.array_keys())
    for name, accounts in (*made_of.items(), ("erasure", ("erasure",))):
        parts = [np.asarray(books[account][: ends[-1]]) for account in accounts if account in present]  # type: ignore[index]
        values = parts[0] if len(parts) == 1 else parts[0] + parts[1]
        first.equal(f"series: {name}", series[name], np.add.reduceat(values, starts, axis=0))
    for name in ("quanta", "battery", "entropy_hist"):
        first.equal(f"series: {name}", series[name], np.asarray(books[name][:])[ends - 1])  # type: ignore[index]
    n = lattice.region_sites
    quanta = series["quanta"]
    region = special.ln_multiplicities(n, quanta.ravel()).reshape(quanta.shape)
    warmth = special.temperatures(n, quanta.ravel()).reshape(quanta.shape)
    first.equal("series: entropy_region", series["entropy_region"], region)
    first.equal("series: temperature", series["temperature"], warmth)
    assert set(series) >= set(SERIES)


def _stale(path: Path) -> np.int64:
    """Arrays of which the group's copy of the metadata, which other programs read, is not true."""
    copies = zarr.open_group(path, mode="r").metadata.consolidated_metadata
    if copies is None:
        return np.int64(0)
    own = {name: array.metadata for name, array in zarr.open_group(path, mode="r", use_consolidated=False).arrays()}
    said = copies.metadata
    return np.int64(sum(said.get(name) != own.get(name) for name in {*said, *own}))


def _queues(unpaid: NDArray[np.int64]) -> NDArray[np.str_]:
    """Each region's records that wait for erasure, as text: leading entries up to the first −1."""
    kept = [row.tolist() for row in unpaid]
    return np.array([str(row[: row.index(-1)] if -1 in row else row) for row in kept])


def check_field(
    first: Exact, store: RunStore, lattice: Lattice, state: Replay, carried: NDArray[np.int64] | None, reached: int
) -> None:
    """The newest checkpoint against the books; ``carried``: what the grid's lines owe."""
    generation = newest_sound(store.checkpoints)
    first.equal("cycle of the checkpoint", np.int64(generation.cycle), np.int64(reached))
    array = zarr.open_group(generation.field, mode="r")["quanta"]
    regions = zarr.open_group(generation.path / "regions.zarr", mode="r")
    first.equal("field: batteries", np.asarray(regions["battery"][:]), state.battery)  # type: ignore[index]
    first.equal("field: tapes", np.asarray(regions["tape"][:]), state.tape)  # type: ignore[index]
    first.equal("field: stops", np.asarray(regions["stopped"][:]), state.stopped)  # type: ignore[index]
    if carried is not None:
        first.equal("field: what lines owe", np.asarray(regions["carried"][:]), carried)  # type: ignore[index]
    owed = np.stack(state.batteries.carries, axis=1)
    first.equal("field: what batteries owe", np.asarray(regions["carries"][:]), owed)  # type: ignore[index]
    unpaid = np.asarray(regions["unpaid"][:])  # type: ignore[index]
    first.equal("field: unpaid records", _queues(unpaid), np.array([str(list(queue)) for queue in state.waiting]))
    digest = np.zeros(2, np.uint64)
    books = zarr.open_group(store.path / "books.zarr", mode="r") if reached else None
    for block in _slabs(lattice):
        sites = np.ascontiguousarray(np.asarray(array[block.sites.slices[4 - lattice.axes :]]))  # type: ignore[index]
        sites = sites.reshape(block.sites.shape)
        digest += block_digest(sites, block)
        quanta, hist = _region_facts(sites, block)
        first.equal("field: energy", quanta, state.quanta[block.region_ids])
        if books is not None:
            last = np.asarray(books["entropy_hist"][reached - 1])  # type: ignore[index]
            first.equal("field: entropy", hist, last[block.region_ids])
    text = digest_text(digest)
    if text != generation.digest:
        first.equal(f"field: digest {text}, manifest {generation.digest}", np.int64(1), np.int64(0))
    summary = store.path / "summary.json"
    if summary.exists():
        said = store.read_json("summary.json").get("digest", {}).get("field")
        if said != text:
            first.equal(f"field: digest {text}, summary {said}", np.int64(1), np.int64(0))
