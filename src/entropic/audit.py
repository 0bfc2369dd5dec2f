"""The laws, recomputed from what is stored.  Calls no machine and trusts nothing that the run said of itself.

Every check compares integers exactly, or floats that both sides must have evaluated by the same deterministic
functions (`entropic.special`); only the two laws that speak of fluctuations have a level, 1e-9.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np
import zarr
from numpy.typing import NDArray

from entropic import entropy, special
from entropic.config import Config
from entropic.engine.block import block_digest
from entropic.engine.checkpoint import digest_text, newest_sound, reading
from entropic.initial import draw_block, lattice_of, region_quanta
from entropic.kernels import region_histogram
from entropic.lattice import Block, BlockGrid, Lattice, regular_cuts
from entropic.store import SERIES, RunStore

__all__ = ["Law", "audit"]

LEVEL = 1e-9
_PAGE = 64  # cycles looked at together


@final
@dataclass(frozen=True)
class Law:
    """Verdict on one law.

    Attributes
    ----------
    margin : float
        How far from broken: 0 for an exact law that holds, minus the misfit for one that does not; for laws of
        fluctuation, nats between the worst step and the level.
    detail : str
        The first misfit, by cycle and region, or what was checked.
    """

    name: str
    holds: bool
    margin: float
    detail: str = field(default="")

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "holds": self.holds, "margin": self.margin, "detail": self.detail}


@final
class _Exact:
    """Counts misfits of exact equalities, and remembers the first."""

    def __init__(self, name: str) -> None:
        self.name, self.misfit, self.first, self.checked = name, 0.0, "", 0

    def equal(self, what: str, found: Any, expected: Any, cycle: int | None = None) -> None:
        a, b = np.asarray(found), np.asarray(expected)
        self.checked += max(a.size, 1)
        if a.shape != b.shape:
            self._note(f"{what}: shape {a.shape} is not {b.shape}", 1.0)
            return
        wrong = a != b
        if wrong.any():
            at = tuple(int(i[0]) for i in np.nonzero(np.atleast_1d(wrong)))
            x, y = np.atleast_1d(a)[at], np.atleast_1d(b)[at]
            place = f"region {at[-1]}" if a.ndim else "all regions"
            when = "" if cycle is None else f", cycle {cycle + (at[0] if len(at) > 1 else 0)}"
            amount = float(np.abs(a.astype(float) - b.astype(float))[wrong].sum()) if a.dtype.kind in "biuf" else 1.0
            self._note(f"{what}{when}, {place}: found {x}, expected {y}", amount or 1.0)

    def _note(self, text: str, amount: float) -> None:
        self.misfit += amount if math.isfinite(amount) else 1.0
        self.first = self.first or text

    def law(self) -> Law:
        detail = self.first or f"{self.checked:,} values agree exactly"
        return Law(self.name, not self.first, -self.misfit, detail)


def audit(path: str | Path, initial: bool = True, files: bool = True) -> list[Law]:
    """Recompute every law from a run's store.

    Parameters
    ----------
    path : path
        Run directory.
    initial : bool
        Draw the initial field again and compare the opening balance with it.
    files : bool
        Compare the newest checkpoint's field with the books.

    Returns
    -------
    list of Law

    Raises
    ------
    StoreError
        The store is damaged.
    """
    store = RunStore.open(Path(path))
    config = store.config()
    lattice = lattice_of(config.field)
    first = _Exact("first law")
    information = _Exact("information")
    lift = _Lift()
    second = _Second(lattice, config)
    with reading(store.path):
        opening = store.opening()
        group = zarr.open_group(store.path / "books.zarr", mode="r") if (store.path / "books.zarr").exists() else None
        if initial:
            _opening(first, config, lattice, opening)
        state = _Replay(config, lattice, opening)
        second.open(opening)
        reached = 0
        for name, array in group.arrays() if group is not None else ():
            first.equal(f"books: rows of {name}", array.shape[0], group["cycle"].shape[0])  # type: ignore[index,union-attr]
        for page in _pages(group):
            first.equal("cycle numbers", page["cycle"], np.arange(reached + 1, reached + 1 + page["cycle"].size))
            _first_law(first, state, page, reached + 1)
            state.information(information, page, reached + 1)
            lift.check(page, state.threshold, lattice.region_sites, reached + 1)
            second.check(page)
            state.close(page)
            reached += page["cycle"].size
        _series(first, store, config, lattice, reached)
        if files:
            _field(first, store, lattice, state, reached)
    return [first.law(), information.law(), lift.law(), *second.laws()]


def _pages(group: zarr.Group | None) -> Iterator[dict[str, NDArray[Any]]]:
    if group is None:
        return
    total = group["cycle"].shape[0]  # type: ignore[union-attr]
    for start in range(0, total, _PAGE):
        yield {name: np.asarray(array[start : start + _PAGE]) for name, array in group.arrays()}


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


def _opening(first: _Exact, config: Config, lattice: Lattice, opening: dict[str, NDArray[Any]]) -> None:
    for block in _slabs(lattice):
        quanta, hist = _region_facts(draw_block(config.field, block), block)
        first.equal("opening energy", opening["quanta"][block.region_ids], quanta)
        first.equal("opening entropy", opening["entropy_hist"][block.region_ids], hist)
    charge = region_quanta(config.battery.initial, lattice.region_sites)
    first.equal("opening battery", opening["battery"], np.full(lattice.region_count, charge))


def _first_law(first: _Exact, state: _Replay, page: dict[str, NDArray[Any]], cycle: int) -> None:
    before = np.vstack([state.quanta[None], page["quanta"][:-1]])
    charge = np.vstack([state.battery[None], page["battery"][:-1]])
    counts = page["counts"].astype(np.int64)
    levels = np.arange(counts.shape[2], dtype=np.int64)
    relaxed = before + page["heat"]
    first.equal("sites of the histogram", counts.sum(axis=2), np.full(before.shape, state.sites), cycle)
    first.equal("energy of the histogram", counts @ levels, relaxed, cycle)
    first.equal("heat between regions", page["heat"].sum(axis=1)[:, None], np.zeros((len(before), 1), np.int64), cycle)
    first.equal("energy of the region", page["quanta"], relaxed - page["lift"] + page["erasure"], cycle)
    first.equal("energy of the battery", page["battery"], charge + page["lift"] - page["erasure"], cycle)
    ones = np.where(page["measured"], counts[:, :, state.threshold :].sum(axis=2), 0)
    first.equal("ones of the record", page["ones"], ones, cycle)
    first.equal("work of the lift", page["lift"], ones * state.threshold, cycle)


@final
class _Replay:
    """Balances carried from cycle to cycle: energy, batteries, and every region's tape."""

    def __init__(self, config: Config, lattice: Lattice, opening: dict[str, NDArray[Any]]) -> None:
        self.sites = lattice.region_sites
        self.threshold = config.demon.threshold
        self.kind = config.demon.record
        self.raw = self.kind == "raw"
        self.lift, self.erase = config.demon.lift, config.demon.erase
        self.share = config.demon.tape_nats / lattice.region_count
        self.quanta = opening["quanta"].astype(np.int64)
        self.battery = opening["battery"].astype(np.int64)
        n = lattice.region_count
        self.tape = np.zeros(n)
        self.stopped = np.zeros(n, np.int64)
        self.waiting: list[deque[int]] = [deque() for _ in range(n)]
        self._known: dict[int, float] = {}

    def nats(self, ones: int) -> float:
        if ones not in self._known:
            self._known[ones] = float(special.record_nats(self.sites, ones, self.raw))
        return self._known[ones]

    def information(self, exact: _Exact, page: dict[str, NDArray[Any]], cycle: int) -> None:
        """Records, tape, prices of erasure and stops, replayed from the histograms alone."""
        cycles, regions = page["quanta"].shape
        counts = page["counts"].astype(np.int64)
        ones = counts[:, :, self.threshold :].sum(axis=2)
        levels = np.arange(counts.shape[2], dtype=np.int64)
        lifted = counts @ levels - page["lift"]
        battery = np.vstack([self.battery[None], page["battery"][:-1]]) + page["lift"]
        expect = {
            n: np.zeros((cycles, regions), page[n].dtype) for n in ("record_nats", "erased_nats", "erasure", "tape")
        }
        expect["measured"] = np.zeros((cycles, regions), np.bool_)
        expect["stopped"] = np.zeros((cycles, regions), np.int64)
        for c in range(cycles):
            for r in range(regions):
                queue = self.waiting[r]
                if self.lift and not self.stopped[r]:
                    nats = self.nats(int(ones[c, r]))
                    if self.tape[r] + nats > self.share:
                        self.stopped[r] = cycle + c
                    else:
                        expect["measured"][c, r], expect["record_nats"][c, r] = True, nats
                        self.tape[r] += nats
                        if self.erase:
                            queue.append(int(ones[c, r]))
                if queue:
                    self._pay(expect, c, r, int(lifted[c, r]), int(battery[c, r]))
                expect["tape"][c, r], expect["stopped"][c, r] = self.tape[r], self.stopped[r]
        for name, values in expect.items():
            exact.equal(name, page[name], values, cycle)

    def _pay(self, expect: dict[str, NDArray[Any]], c: int, r: int, quanta: int, battery: int) -> None:
        queue, paid = self.waiting[r], 0
        while queue:
            price = self._price(quanta, queue[0])
            if price is None or price > battery:
                break
            quanta, battery, paid = quanta + price, battery - price, paid + 1
            expect["erasure"][c, r] += price
            nats = self.nats(queue.popleft())
            expect["erased_nats"][c, r] += nats
            self.tape[r] -= nats
        if paid and not queue:
            self.tape[r] = 0.0

    def _price(self, quanta: int, ones: int) -> int | None:
        energy, certain = special.erasure_quanta_fast(self.sites, quanta, self.nats(ones))
        if certain:
            return None if energy == special.UNREACHABLE else int(energy)
        return entropy.erasure_quanta(self.sites, quanta, ones, self.kind)

    def close(self, page: dict[str, NDArray[Any]]) -> None:
        """Carry the stored balances over (they were checked)."""
        self.quanta, self.battery = page["quanta"][-1].astype(np.int64), page["battery"][-1].astype(np.int64)


@final
class _Lift:
    """Law 2: S_hist(after) + ln C(N, n₁) ≥ S_hist(before), every region, every cycle."""

    def __init__(self) -> None:
        self.worst, self.where, self.exact = math.inf, "", _Exact("lift")

    def check(self, page: dict[str, NDArray[Any]], threshold: int, sites: int, cycle: int) -> None:
        counts = page["counts"].astype(np.int64)
        shifted = counts.copy()
        shifted[:, :, threshold:] = 0
        width = max(counts.shape[2] - threshold, 0)
        if width:
            np.add(shifted[:, :, :width], counts[:, :, threshold:], out=shifted[:, :, :width])
        shifted = np.where(page["measured"][:, :, None], shifted, counts)
        shape = page["ones"].shape
        before, after = np.empty(shape), np.empty(shape)
        for c in range(shape[0]):
            special.ln_multinomial_rows(counts[c], before[c])
            special.ln_multinomial_rows(shifted[c], after[c])
        self.exact.equal("entropy after the lift", page["entropy_lifted"], after, cycle)
        quiet = page["erasure"] == 0
        self.exact.equal(
            "entropy at the cycle's end", np.where(quiet, page["entropy_hist"], 0.0), np.where(quiet, after, 0.0), cycle
        )
        kinds = {int(k): float(special.ln_binomial(sites, int(k))) for k in np.unique(page["ones"])}
        known = np.vectorize(kinds.__getitem__, otypes=[float])(page["ones"])
        slack = 1e-12 * (before + after + known) + 1e-12
        margin = after + known - before + slack
        at = np.unravel_index(int(np.argmin(margin)), shape)
        if margin[at] < self.worst:
            self.worst, self.where = float(margin[at]), f"closest in cycle {cycle + int(at[0])}, region {int(at[1])}"

    def law(self) -> Law:
        exact = self.exact.law()
        if not exact.holds:
            return exact
        worst = self.worst if math.isfinite(self.worst) else 0.0
        return Law("lift", worst >= 0, worst, self.where)


@final
class _Second:
    """Laws 3 and 4, from energies and tapes."""

    def __init__(self, lattice: Lattice, config: Config) -> None:
        self.lattice, self.config = lattice, config
        self.worst_step, self.worst_exergy = math.inf, math.inf
        self.step_where, self.exergy_where = "no cycle yet", "no cycle yet"
        self.cycle = 0
        self.start = self.last = 0.0
        self.quanta0 = self.energy = 0
        self.ln_kinds = _ln_conduction(lattice, config.relax.layers)

    def open(self, opening: dict[str, NDArray[Any]]) -> None:
        self.start = self.last = self._regions(opening["quanta"])
        self.quanta0 = int(opening["quanta"].sum())
        self.energy = self.quanta0 + int(opening["battery"].sum())

    def _regions(self, quanta: NDArray[np.int64]) -> float:
        return math.fsum(special.ln_multiplicity(self.lattice.region_sites, int(q)) for q in quanta)

    def check(self, page: dict[str, NDArray[Any]]) -> None:
        sites = self.lattice.sites
        for quanta, tape in zip(page["quanta"], page["tape"], strict=True):
            self.cycle += 1
            held = math.fsum(tape)
            now = self._regions(quanta) + held
            margin = self.ln_kinds - (self.last - now) - math.log(LEVEL)
            if margin < self.worst_step:
                self.worst_step, self.step_where = (
                    margin,
                    f"closest in cycle {self.cycle}: rose by {now - self.last:.6g} nats",
                )
            self.last = now
            total = int(quanta.sum())
            beyond = self.start - float(special.ln_multiplicity(sites, total)) - held
            slack = 1e-12 * self.start
            margin = math.log(self.energy + 1) - beyond + slack - math.log(LEVEL)
            if margin < self.worst_exergy:
                self.worst_exergy = margin
                self.exergy_where = f"closest in cycle {self.cycle}: work taken {self.quanta0 - total:,} quanta"

    def laws(self) -> list[Law]:
        step = self.worst_step if math.isfinite(self.worst_step) else 0.0
        exergy = self.worst_exergy if math.isfinite(self.worst_exergy) else 0.0
        return [
            Law("second law", step >= 0, step, self.step_where),
            Law("exergy", exergy >= 0, exergy, self.exergy_where),
        ]


def _ln_conduction(lattice: Lattice, layers: int) -> float:
    """Log of a bound on the macrostates that relaxation can reach in a cycle.

    Records count themselves: Σ over n₁ of C(N, n₁) / e^{record nats} ≤ 1.
    """
    if lattice.adiabatic or lattice.region_count == 1:
        return 0.0
    faces = sum(2 * lattice.region_sites // size for size in lattice.region_shape)
    return (lattice.region_count - 1) * math.log(2 * lattice.q_max * faces * max(layers, 1) + 1)


def _series(first: _Exact, store: RunStore, config: Config, lattice: Lattice, reached: int) -> None:
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
    for name, account in (("gross", "lift"), ("ones", "ones"), ("record_nats", "record_nats"), ("erasure", "erasure")):
        values = np.asarray(books[account][: ends[-1]])  # type: ignore[index]
        first.equal(f"series: {name}", series[name], np.add.reduceat(values, starts, axis=0))
    for name in ("quanta", "battery", "entropy_hist"):
        first.equal(f"series: {name}", series[name], np.asarray(books[name][:])[ends - 1])  # type: ignore[index]
    n = lattice.region_sites
    region = np.vectorize(lambda q: special.ln_multiplicity(n, int(q)), otypes=[float])(series["quanta"])
    warmth = np.vectorize(lambda q: special.temperature(n, int(q)), otypes=[float])(series["quanta"])
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


def _field(first: _Exact, store: RunStore, lattice: Lattice, state: _Replay, reached: int) -> None:
    """The newest checkpoint against the books."""
    generation = newest_sound(store.checkpoints)
    first.equal("cycle of the checkpoint", np.int64(generation.cycle), np.int64(reached))
    array = zarr.open_group(generation.field, mode="r")["quanta"]
    regions = zarr.open_group(generation.path / "regions.zarr", mode="r")
    first.equal("field: batteries", np.asarray(regions["battery"][:]), state.battery)  # type: ignore[index]
    first.equal("field: tapes", np.asarray(regions["tape"][:]), state.tape)  # type: ignore[index]
    first.equal("field: stops", np.asarray(regions["stopped"][:]), state.stopped)  # type: ignore[index]
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
