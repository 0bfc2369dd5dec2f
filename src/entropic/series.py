"""The published series: what it holds, and what its flows are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

__all__ = ["FLOWS", "SERIES", "flow"]

SERIES: dict[str, tuple[str, str, str]] = {
    "quanta": ("int64", "quanta", "energy of the region"),
    "gross": ("int64", "quanta", "work delivered by lifts and gear swaps since the last entry"),
    "ones": ("int64", "1", "bits set in the records since the last entry"),
    "record_nats": ("float64", "nat", "information recorded since the last entry"),
    "erasure": ("int64", "quanta", "battery energy paid for erasure since the last entry"),
    "battery": ("int64", "quanta", "energy of the region's battery"),
    "entropy_hist": ("float64", "nat", "entropy of the region's histogram macrostate"),
    "entropy_region": ("float64", "nat", "entropy of the region's energy macrostate"),
    "temperature": ("float64", "quanta/nat", "temperature of the region"),
}
# what each flow of the series is made of, where these accounts are in the books
FLOWS: dict[str, tuple[str, ...]] = {
    "gross": ("lift", "gear"),
    "ones": ("ones", "sort_ones"),
    "record_nats": ("record_nats", "sort_nats"),
    "erasure": ("erasure",),
}


def flow(books: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
    """A flow of the series, cycle by cycle, from the books that there are: [cycles, regions]."""
    first, *others = (books[part] for part in FLOWS[name] if part in books)
    for other in others:
        first = first + other
    return first
