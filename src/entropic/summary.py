"""The JSON object of a finished run: totals, entropies, laws."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from entropic import special
from entropic.audit import audit
from entropic.engine.checkpoint import newest_sound
from entropic.initial import lattice_of
from entropic.reading import reading
from entropic.store import RunStore

__all__ = ["efficiencies", "entropies", "summarise"]

_TOTALS = {
    "lift": ("lift",),
    "gross": ("lift", "gear"),
    "erasure": ("erasure",),
    "losses": ("stored_loss", "line_loss"),
    "delivered": ("compute", "delivered_out"),
    "imported": ("left_in", "right_in"),
    "exported": ("left_out", "right_out", "delivered_out"),
}


def entropies(sites: int, quanta: np.ndarray[Any, Any], hist: np.ndarray[Any, Any], tape: float) -> dict[str, float]:
    """The ladder's ends, nats: histogram, regions, equilibrium; and the tape."""
    regions = math.fsum(special.ln_multiplicities(sites, quanta))
    return {
        "hist": math.fsum(hist),
        "region": regions,
        "equilibrium": float(special.ln_multiplicity(sites * quanta.size, int(quanta.sum()))),
        "tape": tape,
    }


def efficiencies(books: Mapping[str, np.ndarray[Any, Any]], sites: int) -> dict[str, float | None]:
    """Efficiencies of a run, named apart; None where there is nothing to divide by.

    Parameters
    ----------
    books : dict
        Account → [cycle, region].
    sites : int
        Of a region.

    Returns
    -------
    dict
        ``thermal``: work of the gears over the heat that left hot sides, W/Q_h.  ``information``: work of the lifts over
        what all records, those of sorts too, are worth at their regions' temperatures before the lift, W/(T·I).
    """
    found: dict[str, float | None] = {"thermal": None, "information": None}
    if not books:
        return found
    if "gear" in books and (heat := -books["gear_heat"][books["hot"]].sum()) > 0:
        found["thermal"] = float(books["gear"].sum() / heat)
    waste = sum(books[name] for name in ("stored_loss", "compute", "line_loss") if name in books)
    held = books["quanta"] + books["lift"] - books["erasure"] - waste
    nats = sum(books[name] for name in ("record_nats", "sort_nats") if name in books)
    if (held < 0).any():  # books that no law holds for
        return found
    if sites > 1 and (worth := math.fsum((nats / np.log1p((sites - 1) / (held + 1.0))).ravel())) > 0:
        found["information"] = float(books["lift"].sum() / worth)
    return found


def summarise(store: RunStore, performance: dict[str, Any]) -> dict[str, Any]:
    """Summary of a run from its store; ``performance`` is added as given.

    Raises
    ------
    StoreError
        The store is damaged.
    """
    with reading(store.path):
        return _summarise(store, performance)


def _summarise(store: RunStore, performance: dict[str, Any]) -> dict[str, Any]:
    config = store.config()
    lattice = lattice_of(config.field)
    opening = store.opening()
    books = store.books() if (store.path / "books.zarr").exists() else {}
    generation = newest_sound(store.checkpoints)
    laws = audit(store.path, initial=False, files=False)
    total = {name: sum(int(books[n].sum()) for n in parts if n in books) for name, parts in _TOTALS.items()}
    gross, erasure = total["gross"], total["erasure"]
    last = {n: v[-1] for n, v in books.items()} if books else {**opening, "tape": np.zeros(lattice.region_count)}
    begun = int(opening["quanta"].sum() + opening["battery"].sum())
    stopped = np.asarray(last.get("stopped", np.zeros(1, np.int64)))
    return {
        "digest": {
            "field": generation.digest,
            "series": store.series_digest() if (store.path / "series.zarr").exists() else "",
        },
        "totals": {
            "cycles": generation.cycle,
            "sites": lattice.sites,
            "regions": lattice.region_count,
            "gross": gross,
            "erasure": erasure,
            "net": gross - erasure,
            "losses": total["losses"],
            "delivered": total["delivered"],
            "imported": total["imported"],
            "exported": total["exported"],
            "lift": total["lift"],
            "gears": gross - total["lift"],
            "battery": int(last["battery"].sum()),
            "record_nats": math.fsum(math.fsum(books[n].ravel()) for n in ("record_nats", "sort_nats") if n in books),
            "first_law_residual": int(last["quanta"].sum() + last["battery"].sum())
            + total["exported"]
            - total["imported"]
            - begun,
        },
        "demon": {
            "regions_stopped": int((stopped > 0).sum()),
            "first_stop_cycle": int(stopped[stopped > 0].min()) if (stopped > 0).any() else None,
            "last_stop_cycle": int(stopped.max()) if (stopped > 0).all() else None,
            "gradient": int(books["gradient"][-1].sum()) if "gradient" in books else None,
        },
        "efficiency": efficiencies(books, lattice.region_sites),
        "entropy": {
            "initial": entropies(lattice.region_sites, opening["quanta"], opening["entropy_hist"], 0.0),
            "final": entropies(
                lattice.region_sites, last["quanta"], last["entropy_hist"], math.fsum(np.asarray(last["tape"]))
            ),
        },
        "laws": [law.to_dict() for law in laws],
        "performance": performance,
        "store": str(store.path),
    }
