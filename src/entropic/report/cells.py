"""Boxes of regions that are few enough to be drawn one by one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from entropic.lattice import Lattice

__all__ = ["MOST_CELLS", "Cells", "cells_of"]

MOST_CELLS = 4096


@final
@dataclass(frozen=True)
class Cells:
    """A coarser lattice: ``merge`` regions along each axis make a cell (fewer at the far end).

    Attributes
    ----------
    regions : tuple of int
        Regions along each axis.
    merge : tuple of int
    sites : int64[cells]
        Sites of each cell.
    axes : tuple of str
        Names of the axes.
    """

    regions: tuple[int, ...]
    merge: tuple[int, ...]
    sites: NDArray[np.int64]
    axes: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(-(-n // m) for n, m in zip(self.regions, self.merge, strict=True))

    @property
    def whole(self) -> bool:
        """Whether a cell is a region."""
        return math.prod(self.merge) == 1

    @property
    def places(self) -> NDArray[np.int64]:
        """Coordinates of the cells, C order: [cells, axes]."""
        return np.stack(np.unravel_index(np.arange(math.prod(self.shape)), self.shape), axis=1).astype(np.int64)

    def merged(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """Sums over the regions of each cell: [rows, regions] → [rows, cells]."""
        rows: NDArray[np.int64] = values.astype(np.int64).reshape(len(values), *self.regions)
        for axis, step in enumerate(self.merge):
            if step > 1:
                rows = np.add.reduceat(rows, np.arange(0, self.regions[axis], step), axis=axis + 1)
        return rows.reshape(len(values), -1)


def cells_of(lattice: Lattice, most: int = MOST_CELLS) -> Cells:
    """The finest cells of which there are at most ``most``: the longest axis is halved until there are."""
    regions, merge = lattice.boxes, [1] * lattice.axes
    shape = list(regions)
    while math.prod(shape) > most:
        axis = int(np.argmax(shape))
        merge[axis] *= 2
        shape[axis] = -(-regions[axis] // merge[axis])
    cells = Cells(regions, tuple(merge), np.zeros(0, np.int64), lattice.names)
    sites = cells.merged(np.full((1, lattice.region_count), lattice.region_sites))[0]
    return Cells(regions, tuple(merge), sites, lattice.names)
