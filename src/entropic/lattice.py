"""Where things are: lattice, regions, blocks, and which pairs of sites a layer joins.  Pure geometry, no sites.

Inside the program every lattice has four axes; one of fewer axes has leading axes of extent 1.  Regions are
physics, blocks are computation: no function here lets a block change which pairs there are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise, product
from typing import final

import numpy as np
from numpy.typing import NDArray

from entropic.errors import UsageError

__all__ = ["AXIS_NAMES", "Block", "BlockGrid", "Box", "Lattice", "LayoutError", "Quad", "regular_cuts"]

Quad = tuple[int, int, int, int]
AXIS_NAMES = ("x", "y", "z", "w")
_KEPT_ROWS = 1 << 20  # of which the first sites are kept for the next layer: 8 MiB


@final
class LayoutError(UsageError):
    """Blocks that do not fit the regions."""


def _quad(values: tuple[int, ...]) -> Quad:
    a, b, c, d = (1,) * (4 - len(values)) + tuple(values)
    return (a, b, c, d)


@final
@dataclass(frozen=True)
class Lattice:
    """A field's geometry.

    Parameters
    ----------
    extents : tuple of int
        Sites along each of the 1 to 4 axes.
    boxes : tuple of int
        Regions along each axis; each divides the extent.
    periodic, adiabatic : bool
        Edges and walls.
    q_max : int
        Most quanta that a site holds: 255 (uint8) or 65535 (uint16).
    """

    extents: tuple[int, ...]
    boxes: tuple[int, ...]
    periodic: bool = False
    adiabatic: bool = False
    q_max: int = 255

    @property
    def axes(self) -> int:
        return len(self.extents)

    @cached_property
    def shape(self) -> Quad:
        """Sites along each of four axes."""
        return _quad(self.extents)

    @cached_property
    def regions(self) -> Quad:
        """Regions along each of four axes."""
        return _quad(self.boxes)

    @cached_property
    def region_shape(self) -> Quad:
        return _quad(tuple(n // r for n, r in zip(self.extents, self.boxes, strict=True)))

    @cached_property
    def strides(self) -> Quad:
        """What a step along each axis adds to the global (C-order) index of a site."""
        _, b, c, d = self.shape
        return (b * c * d, c * d, d, 1)

    @property
    def sites(self) -> int:
        return math.prod(self.shape)

    @property
    def region_count(self) -> int:
        return math.prod(self.regions)

    @property
    def region_sites(self) -> int:
        return math.prod(self.region_shape)

    @property
    def dtype(self) -> np.dtype[np.uint8] | np.dtype[np.uint16]:
        return np.dtype(np.uint8) if self.q_max == 255 else np.dtype(np.uint16)

    @property
    def names(self) -> tuple[str, ...]:
        return AXIS_NAMES[: self.axes]

    def layer_axis(self, layer: int) -> int:
        """Axis (of four) on which a layer works."""
        return 4 - self.axes + layer // 2 % self.axes

    def lower_sites(self, layer: int) -> NDArray[np.int64]:
        """Coordinates, along the layer's axis, of the lower site of each of its pairs.

        The partner of x is x + 1, or 0 for the last site of a periodic axis.
        """
        axis = self.layer_axis(layer)
        extent, region = self.shape[axis], self.region_shape[axis]
        lower = np.arange(layer % 2, extent, 2, dtype=np.int64)
        if not self.periodic or extent < 2:
            lower = lower[lower + 1 < extent]
        if self.adiabatic:
            lower = lower[lower // region == (lower + 1) % extent // region]
        return lower


@final
@dataclass(frozen=True)
class Box:
    """A half-open box, in sites or in regions."""

    start: Quad
    stop: Quad

    @property
    def shape(self) -> Quad:
        a, b, c, d = (e - s for s, e in zip(self.start, self.stop, strict=True))
        return (a, b, c, d)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def slices(self) -> tuple[slice, slice, slice, slice]:
        a, b, c, d = (slice(s, e) for s, e in zip(self.start, self.stop, strict=True))
        return (a, b, c, d)


@final
@dataclass(frozen=True)
class Block:
    """A box of whole regions: what one task works on."""

    lattice: Lattice
    number: int
    box: Box  # in regions

    @cached_property
    def sites(self) -> Box:
        r = self.lattice.region_shape
        s, e = self.box.start, self.box.stop
        return Box(
            (s[0] * r[0], s[1] * r[1], s[2] * r[2], s[3] * r[3]),
            (e[0] * r[0], e[1] * r[1], e[2] * r[2], e[3] * r[3]),
        )

    @property
    def region_count(self) -> int:
        return self.box.size

    @cached_property
    def region_ids(self) -> NDArray[np.int64]:
        """Global numbers of the block's regions, in the block's C order."""
        grid = np.arange(self.lattice.region_count, dtype=np.int64).reshape(self.lattice.regions)
        return np.ascontiguousarray(grid[self.box.slices]).ravel()

    def region_views(self, array: NDArray[np.generic]) -> Iterator[NDArray[np.generic]]:
        """Views of the block's regions, in the order of `region_ids`."""
        r = self.lattice.region_shape
        for i, j, k, m in product(*(range(n) for n in self.box.shape)):
            yield array[
                i * r[0] : (i + 1) * r[0],
                j * r[1] : (j + 1) * r[1],
                k * r[2] : (k + 1) * r[2],
                m * r[3] : (m + 1) * r[3],
            ]

    def row_bases(self, axes: tuple[int, ...], start: Quad | None = None) -> NDArray[np.int64]:
        """Global index of the first site of each row, rows running over ``axes`` in C order.

        ``start`` replaces the block's first site.  Not to be written to: every layer asks for the same ones.
        """
        origin = self.sites.start if start is None else start
        extents = tuple(self.sites.shape[axis] for axis in axes)
        rows = _row_bases if math.prod(extents) > _KEPT_ROWS else _kept_row_bases
        return rows(self.lattice, axes, extents, origin)


def _row_bases(lattice: Lattice, axes: tuple[int, ...], extents: tuple[int, ...], origin: Quad) -> NDArray[np.int64]:
    base = np.zeros(1, np.int64)
    for axis, extent in zip(axes, extents, strict=True):
        steps = np.arange(extent, dtype=np.int64) * lattice.strides[axis]
        base = (base[:, None] + steps[None, :]).ravel()
    base += sum(o * s for o, s in zip(origin, lattice.strides, strict=True))
    return base


_kept_row_bases = lru_cache(maxsize=8)(_row_bases)


@final
@dataclass(frozen=True)
class BlockGrid:
    """A cut of the lattice into blocks.

    Parameters
    ----------
    lattice : Lattice
    cuts : four tuples of int
        Boundaries of the blocks along each of four axes, in regions: 0 … regions, ascending.
    """

    lattice: Lattice
    cuts: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        for cuts, regions in zip(self.cuts, self.lattice.regions, strict=True):
            if not cuts or cuts[0] != 0 or cuts[-1] != regions or any(b <= a for a, b in pairwise(cuts)):
                raise LayoutError(
                    f"block boundaries {cuts} do not go from 0 to {regions} regions in ascending order.",
                    "give block extents of at least one region that add up to the regions along the axis",
                )

    @property
    def shape(self) -> Quad:
        a, b, c, d = (len(cuts) - 1 for cuts in self.cuts)
        return (a, b, c, d)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        made = []
        for number, place in enumerate(product(*(range(n) for n in self.shape))):
            a, b, c, d = (self.cuts[axis][i] for axis, i in enumerate(place))
            e, f, g, h = (self.cuts[axis][i + 1] for axis, i in enumerate(place))
            made.append(Block(self.lattice, number, Box((a, b, c, d), (e, f, g, h))))
        return tuple(made)

    @cached_property
    def owner(self) -> NDArray[np.int64]:
        """Number of each region's block: int64[regions]."""
        owner = np.zeros(self.lattice.region_count, np.int64)
        for block in self.blocks:
            owner[block.region_ids] = block.number
        return owner

    @cached_property
    def split_partners(self) -> tuple[tuple[int, int], ...]:
        """Partners, regions 2k and 2k + 1, that lie in different blocks."""
        half = self.lattice.region_count // 2
        hot, cold = self.owner[: 2 * half].reshape(half, 2).T
        return tuple((2 * k, 2 * k + 1) for k in np.flatnonzero(hot != cold).tolist())

    def neighbour(self, number: int, axis: int, step: int) -> int:
        """Number of the next block along an axis (round the edge if need be)."""
        place = list(np.unravel_index(number, self.shape))
        place[axis] = (place[axis] + step) % self.shape[axis]
        return int(np.ravel_multi_index(tuple(place), self.shape))

    def seam_sites(self, layer: int) -> frozenset[int]:
        """Lower coordinates of the layer's pairs whose sites lie in different blocks."""
        axis = self.lattice.layer_axis(layer)
        if self.shape[axis] == 1:
            return frozenset()
        region, extent = self.lattice.region_shape[axis], self.lattice.shape[axis]
        if self.lattice.adiabatic:  # blocks are of whole regions, and no pair straddles two of them
            return frozenset()
        ends = ((cut * region - 1) % extent for cut in self.cuts[axis])
        wraps = self.lattice.periodic
        return frozenset(x for x in ends if x % 2 == layer % 2 and (x + 1 < extent or wraps))

    def crossed(self, layer: int) -> list[tuple[int, int]]:
        """Blocks below and above each seam that the layer's pairs cross."""
        axis, seams = self.lattice.layer_axis(layer), self.seam_sites(layer)
        ends = ((block.number, block.sites.stop[axis] - 1) for block in self.blocks)
        return [(number, self.neighbour(number, axis, 1)) for number, end in ends if end in seams]


def regular_cuts(lattice: Lattice, extents: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Boundaries of equal blocks (the last of an axis may be smaller).

    Parameters
    ----------
    extents : tuple of int
        Regions a block along each axis of the field.
    """
    if len(extents) != lattice.axes or any(e < 1 for e in extents):
        raise LayoutError(
            f"block shape {extents} does not fit a field of {lattice.axes} axes.",
            f"give {lattice.axes} numbers of regions, each at least 1",
        )
    quad = _quad(extents)
    return tuple((*range(0, regions, e), regions) for e, regions in zip(quad, lattice.regions, strict=True))
