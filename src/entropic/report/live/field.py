"""A plane of the field, from the newest checkpoint, small enough to be looked at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import zarr
from numpy.typing import NDArray

from entropic.engine.checkpoint import generations
from entropic.reading import reading

__all__ = ["Plane", "newest_plane"]

_MOST = 200  # cells along an axis


@final
@dataclass(frozen=True)
class Plane:
    """Mean quanta a site of the cells of a plane.

    Attributes
    ----------
    cycle : int
    name : str
        Which plane.
    cell : tuple of int
        Sites of a cell along both axes (fewer at the far ends).
    values : float32[rows, columns]
    """

    cycle: int
    name: str
    cell: tuple[int, int]
    values: NDArray[np.float32]


def newest_plane(checkpoints: Path) -> Plane | None:
    """The plane of the last two axes in the middle of the others; None before the first checkpoint.

    Raises
    ------
    StoreError
        The checkpoint is damaged, or was replaced by a newer one just now.
    """
    found = generations(checkpoints)
    if not found:
        return None
    with reading(found[0]):
        array = zarr.open_group(found[0] / "field.zarr", mode="r")["quanta"]
        assert isinstance(array, zarr.Array)
        names = array.metadata.dimension_names or ()  # type: ignore[union-attr]
        fixed = tuple(n // 2 for n in array.shape[:-2])
        sites = np.atleast_2d(np.asarray(array[fixed]))
    cell = (-(-sites.shape[0] // _MOST), -(-sites.shape[1] // _MOST))
    where = ", ".join(f"{name} = {at}" for name, at in zip(names, fixed, strict=False))
    name = f"plane of {' and '.join(map(str, names[-2:]))}" + (f" at {where}" if where else "")
    return Plane(int(found[0].name.split("-")[1]), name, cell, _means(sites, cell))


def _means(sites: NDArray[np.generic], cell: tuple[int, int]) -> NDArray[np.float32]:
    sums, counts = sites.astype(np.int64), np.ones(sites.shape, np.int64)
    for axis, step in enumerate(cell):
        at = np.arange(0, sites.shape[axis], step)
        sums, counts = np.add.reduceat(sums, at, axis=axis), np.add.reduceat(counts, at, axis=axis)
    return (sums / counts).astype(np.float32)
