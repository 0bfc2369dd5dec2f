"""What a page shows of a run's books: sums cycle by cycle, and the regions at some moments.  Reads pages, never the field."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import zarr
from numpy.typing import NDArray

from entropic import special
from entropic.engine.checkpoint import generations
from entropic.errors import StoreError
from entropic.initial import lattice_of
from entropic.lattice import Lattice
from entropic.ledger import accounts
from entropic.reading import reading
from entropic.report.cells import Cells, cells_of
from entropic.store import RunStore

__all__ = ["Books", "read_books", "sampled", "temperature"]

MOMENTS = 240  # points of a series on the page
FRAMES = 24  # states of the lattice on the page
_READ = 1 << 22  # entries of an account read together
_EVALUATED = 20_000_000  # entropies of regions evaluated for a page
FLOWS = (
    *("lift", "erasure", "stored_loss", "line_loss", "compute", "delivered_out"),
    *("left_in", "right_in", "left_out", "right_out"),
)
_NATS = ("record_nats", "sort_nats", "erased_nats")
QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


@final
@dataclass(frozen=True)
class Books:
    """Sums and samples of a run's books.

    Attributes
    ----------
    cycles : int
        Cycles done, by the newest checkpoint.
    field, battery : int64[cycles + 1]
        Quanta in the field and in the batteries, first of all before the first cycle.
    flows : dict of int64[cycles]
        Quanta by account; ``gear_out`` is work that gears brought to batteries, ``gear_back`` what they took from them.
    nats : dict of float64[cycles]
        Information recorded and erased.
    moments : int64[k]
        Cycles (0: before the first) of what follows.
    entropy : dict of float64[k]
        ``hist``, ``region``, ``equilibrium`` of the field, ``tape``: nats.
    warmth : float64[k, 5]
        Least, quartiles and greatest temperature of the regions, quanta/nat.
    cells : Cells
        Boxes of regions, few enough to be drawn.
    frames : int64[f]
        Cycles of the states of the cells.
    cell_quanta, cell_battery : int64[f, cells]
    first_ones : int64[regions]
        Ones that the lift of the first cycle found in each region; empty where there was none.
    """

    cycles: int
    field: NDArray[np.int64]
    battery: NDArray[np.int64]
    flows: Mapping[str, NDArray[np.int64]]
    nats: Mapping[str, NDArray[np.float64]]
    moments: NDArray[np.int64]
    entropy: Mapping[str, NDArray[np.float64]]
    warmth: NDArray[np.float64]
    cells: Cells
    frames: NDArray[np.int64]
    cell_quanta: NDArray[np.int64]
    cell_battery: NDArray[np.int64]
    first_ones: NDArray[np.int64]

    def total(self, *names: str) -> int:
        """Sum of accounts over the run; what was not booked counts nothing."""
        return sum(int(self.flows[name].sum()) for name in names if name in self.flows)

    @property
    def gross(self) -> NDArray[np.int64]:
        """Work that lifts and gears delivered, by cycle."""
        return self.flows["lift"] + self.flows.get("gear_out", np.int64(0)) - self.flows.get("gear_back", np.int64(0))

    @property
    def residual(self) -> int:
        """What the first law says is 0."""
        held = int(self.field[-1] + self.battery[-1]) - int(self.field[0] + self.battery[0])
        return held + self.total("left_out", "right_out", "delivered_out") - self.total("left_in", "right_in")


def sampled(cycles: int, most: int) -> NDArray[np.int64]:
    """At most ``most`` + 1 cycles from 0 to the last, evenly."""
    return np.unique(np.round(np.linspace(0, cycles, min(cycles, most) + 1)).astype(np.int64))


def temperature(sites: Any, quanta: NDArray[np.int64]) -> NDArray[np.float64]:
    """Temperature of macrostates, quanta/nat; infinite for a single site."""
    with np.errstate(divide="ignore"):
        warm: NDArray[np.float64] = 1 / np.log1p((sites - 1) / (quanta + 1.0))
    return warm


def read_books(store: RunStore) -> Books:
    """Books of a run, finished or not, up to its newest checkpoint.

    Raises
    ------
    StoreError
        The store is damaged.
    """
    place = store.path / "books.zarr"
    with reading(store.path):
        opening, lattice = store.opening(), lattice_of(store.config().field)
        if any(values.shape != (lattice.region_count,) for values in opening.values()):
            raise StoreError(
                f"{store.path}/opening.zarr is not of this lattice.", "restore it from a copy, or run again"
            )
        cycles = _reached(store)
        names = [name for name in accounts(store.config()) if name in _wanted()]
        group = zarr.open_group(place, mode="r", use_consolidated=False) if cycles else None
        if group is not None:
            short = [n for n in (*names, "cycle") if group[n].shape[0] < cycles]  # type: ignore[union-attr]
            if short:
                raise StoreError(
                    f"{place}: {', '.join(short)} end before cycle {cycles}, which the checkpoint has.",
                    "restore it from a copy, or run again",
                )
        return _gather(_pages(group, names, cycles, lattice.region_count), opening, lattice, cycles)


def _reached(store: RunStore) -> int:
    found = generations(store.checkpoints)
    if not found:
        raise StoreError(f"{store.checkpoints} holds no checkpoint.", "run again from the configuration")
    return int(found[0].name.split("-")[1])


def _wanted() -> tuple[str, ...]:
    return (*FLOWS, *_NATS, "gear", "ones", "measured", "quanta", "battery", "tape", "entropy_hist")


def _pages(
    group: zarr.Group | None, names: list[str], cycles: int, regions: int
) -> Iterator[tuple[int, dict[str, NDArray[Any]]]]:
    """First cycle of a page, and its accounts: [cycles, regions]."""
    step = max(1, min(256, _READ // regions))
    for start in range(0, cycles, step):
        stop = min(cycles, start + step)
        yield start + 1, {name: np.asarray(group[name][start:stop]) for name in names}  # type: ignore[index]


def _gather(
    pages: Iterator[tuple[int, dict[str, NDArray[Any]]]],
    opening: Mapping[str, NDArray[Any]],
    lattice: Lattice,
    cycles: int,
) -> Books:
    cells = cells_of(lattice)
    most = int(np.clip(_EVALUATED // lattice.region_count, 12, MOMENTS))
    moments, frames = sampled(cycles, most), sampled(cycles, min(FRAMES, most))
    start = {**{name: values[np.newaxis] for name, values in opening.items()}}
    states, pictures = [_state(start, lattice)], [_picture(start, cells)]
    held = [start["quanta"].sum(axis=1)], [start["battery"].sum(axis=1)]
    sums: dict[str, list[NDArray[Any]]] = {}
    first_ones = np.zeros(0, np.int64)
    for first, page in pages:
        if first == 1 and page["measured"][0].all():
            first_ones = page["ones"][0].astype(np.int64)
        for name, values in _summed(page).items():
            sums.setdefault(name, []).append(values)
        for kept, name in zip(held, ("quanta", "battery"), strict=True):
            kept.append(page[name].sum(axis=1))
        last = first + len(page["quanta"]) - 1
        states.append(_state(_rows(page, moments, first, last), lattice))
        pictures.append(_picture(_rows(page, frames, first, last), cells))
    whole = {name: np.concatenate(parts) for name, parts in sums.items()}
    return Books(
        cycles=cycles,
        field=np.concatenate(held[0]).astype(np.int64),
        battery=np.concatenate(held[1]).astype(np.int64),
        flows={n: v for n, v in whole.items() if n not in _NATS} or {n: np.zeros(0, np.int64) for n in FLOWS},
        nats={n: v for n, v in whole.items() if n in _NATS},
        moments=moments,
        entropy={name: np.concatenate([state[name] for state in states]) for name in states[0] if name != "warmth"},
        warmth=np.concatenate([state["warmth"] for state in states]),
        cells=cells,
        frames=frames,
        cell_quanta=np.concatenate([quanta for quanta, _ in pictures]),
        cell_battery=np.concatenate([battery for _, battery in pictures]),
        first_ones=first_ones,
    )


def _summed(page: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Sums over regions: integers exactly, nats rounded once."""
    found: dict[str, NDArray[Any]] = {name: page[name].sum(axis=1) for name in FLOWS if name in page}
    found.update({name: np.array([math.fsum(row) for row in page[name]]) for name in _NATS if name in page})
    if "gear" in page:
        found["gear_out"] = np.maximum(page["gear"], 0).sum(axis=1)
        found["gear_back"] = np.maximum(-page["gear"], 0).sum(axis=1)
    return found


def _rows(
    page: Mapping[str, NDArray[Any]], wanted: NDArray[np.int64], first: int, last: int
) -> dict[str, NDArray[Any]]:
    at = wanted[(wanted >= first) & (wanted <= last)] - first
    return {name: page[name][at] for name in ("quanta", "battery", "tape", "entropy_hist")}


def _state(rows: Mapping[str, NDArray[Any]], lattice: Lattice) -> dict[str, NDArray[np.float64]]:
    """Entropies and temperatures of some moments: nats, quanta/nat."""
    quanta = rows["quanta"].astype(np.int64)
    region = np.empty(quanta.size)
    special.ln_multiplicity_rows(np.full(quanta.size, lattice.region_sites), quanta.ravel(), region)
    whole = [float(special.ln_multiplicity(lattice.sites, int(row.sum()))) for row in quanta]
    tape = rows["tape"] if "tape" in rows else np.zeros((len(quanta), 1))
    warm = temperature(lattice.region_sites, quanta)
    return {
        "hist": np.array([math.fsum(row) for row in rows["entropy_hist"]]),
        "region": np.array([math.fsum(row) for row in region.reshape(quanta.shape)]),
        "equilibrium": np.array(whole),
        "tape": np.array([math.fsum(row) for row in tape]),
        "warmth": np.quantile(warm, QUANTILES, axis=1, method="nearest").T,
    }


def _picture(rows: Mapping[str, NDArray[Any]], cells: Cells) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return cells.merged(rows["quanta"]), cells.merged(rows["battery"])
