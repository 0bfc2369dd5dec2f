"""Lays the cells of a lattice of up to four axes on a plane, slice beside slice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Mosaic", "mosaic"]

_ROW = 64  # cells of a one-dimensional lattice, or slices, side by side at most
_ASPECT = 2.5


@final
@dataclass(frozen=True)
class Mosaic:
    """Where cells lie.

    Attributes
    ----------
    x, y : float64[cells]
        Centres, in cells, y downwards.
    width, height : float
    columns, rows : dict of float → str
        Where a label stands below the mosaic, and left of it.
    within : str
        What runs where within a slice.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    width: float
    height: float
    columns: dict[float, str]
    rows: dict[float, str]
    within: str


def mosaic(shape: tuple[int, ...], names: tuple[str, ...]) -> Mosaic:
    """Lay out a lattice: its first two axes within slices; the third and the fourth, slice by slice."""
    kept = [axis for axis, extent in enumerate(shape) if extent > 1] or [len(shape) - 1]
    sizes, labels = [shape[axis] for axis in kept], [names[axis] for axis in kept]
    at = [part.ravel() for part in np.indices(sizes)]
    if len(kept) == 1:
        return _strip(at[0], sizes[0], labels[0])
    inner = (sizes[0], sizes[1])
    gap = max(0.5, 0.06 * max(inner)) if len(kept) > 2 else 0.0
    if len(kept) == 2:
        grid, tile, columns, rows = (1, 1), (np.zeros(at[0].size, int),) * 2, [""], [""]
    elif len(kept) == 3:
        grid, tile, columns, rows = _wrapped(at[2], sizes[2], labels[2], inner)
    else:
        grid, tile = (sizes[2], sizes[3]), (at[2], at[3])
        columns, rows = ([f"{labels[i]} {n}" for n in range(sizes[i])] for i in (3, 2))
    down, across = inner[0] + gap, inner[1] + gap
    return Mosaic(
        x=at[1] + 0.5 + tile[1] * across,
        y=at[0] + 0.5 + tile[0] * down,
        width=grid[1] * across - gap,
        height=grid[0] * down - gap,
        columns={i * across + inner[1] / 2: label for i, label in enumerate(columns) if label},
        rows={i * down + inner[0] / 2: label for i, label in enumerate(rows) if label},
        within=f"{labels[0]} runs down, {labels[1]} to the right" + (" within a slice" if len(kept) > 2 else ""),
    )


def _strip(at: NDArray[np.int64], size: int, name: str) -> Mosaic:
    wide = min(size, _ROW)
    rows = -(-size // wide)
    labels = {i + 0.5: f"{name} {i * wide}" for i in range(rows)} if rows > 1 else {}
    within = f"{name} runs to the right" + (", line after line" if rows > 1 else "")
    return Mosaic((at % wide).astype(float) + 0.5, (at // wide).astype(float) + 0.5, wide, rows, {}, labels, within)


def _wrapped(
    at: NDArray[np.int64], size: int, name: str, inner: tuple[int, int]
) -> tuple[tuple[int, int], tuple[NDArray[np.int64], NDArray[np.int64]], list[str], list[str]]:
    """Slices line after line: full lines if that can be, about two and a half times as wide as high."""

    def ill(wide: int) -> tuple[bool, float]:
        lines = -(-size // wide)
        aspect = wide * inner[1] / (lines * inner[0])
        return lines > 1 and size % wide > 0 and lines * wide - size > wide // 4, abs(math.log(aspect / _ASPECT))

    wide = min(range(1, min(size, _ROW) + 1), key=ill)
    rows = -(-size // wide)
    ends = [(i * wide, min(size, (i + 1) * wide) - 1) for i in range(rows)]
    labels = [f"{name} {a}–{b}" if b > a else f"{name} {a}" for a, b in ends]
    columns = [f"{name} {i}" for i in range(wide)] if rows == 1 else []
    return (rows, wide), (at // wide, at % wide), columns, labels if rows > 1 else []
