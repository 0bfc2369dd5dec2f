"""One exchange layer on one block: planes inside it, planes across its seams, heat through region walls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
from numpy.typing import NDArray

from entropic.initial import draw_bath
from entropic.kernels import exchange_runs, exchange_runs_anew, exchange_seam, exchange_touching, face_totals, scratch
from entropic.lattice import Block
from entropic.randomness import BEYOND

__all__ = ["exchange_block", "take_face"]

Sites = NDArray[np.generic]


def _rows(axis: int, chosen: slice) -> tuple[slice, ...]:
    return tuple(chosen if a == axis else slice(None) for a in range(4))


def _plane(axis: int, x: int) -> tuple[slice, ...]:
    return _rows(axis, slice(x, x + 1))


def take_face(array: Sites, axis: int, last: bool) -> Sites:
    """A copy of the first or last plane of a block."""
    return array[_plane(axis, array.shape[axis] - 1 if last else 0)].copy()  # a view would keep the whole block alive


def exchange_block(
    old: Sites,
    array: Sites,
    block: Block,
    layer: int,
    seed: int,
    inverse: bool,
    before: Sites | None,
    after: Sites | None,
    baths: tuple[float, float] | None = None,
) -> NDArray[np.int64]:
    """Apply a layer (or undo it) to a block.

    Parameters
    ----------
    old : uint8 or uint16 [a, b, c, d]
        The block's sites.
    array : uint8 or uint16 [a, b, c, d]
        Where they go; ``old`` itself for a layer in place.
    before, after : array or None
        The neighbours' planes, where pairs cross a seam.
    baths : (float, float) or None
        Means of the baths before and behind the field's first axis.

    Returns
    -------
    int64[5, regions of the block]
        Heat that came into each region through its walls; energy of the left bath's sites before and after they met the
        region; likewise of the right bath's.
    """
    lattice = block.lattice
    axis = lattice.layer_axis(layer)
    extent, region = lattice.shape[axis], lattice.region_shape[axis]
    start, stop = block.sites.start[axis], block.sites.stop[axis]
    lower = lattice.lower_sites(layer)
    inside = lower[(lower >= start) & (lower + 1 < stop)] - start
    walls = inside[(inside + 1) % region == 0]
    flows = np.zeros((5, *block.box.shape), np.int64)
    heat = flows[0]
    upward = np.zeros(block.box.shape, np.int64)  # what each row of regions along the axis gives to the row above it
    tile = np.array([1 if a == axis else n for a, n in enumerate(lattice.region_shape)], np.int64)

    def tally(plane: Sites, row: int, sign: int, into: NDArray[np.int64] = heat) -> None:
        """Count quanta of a plane as coming into the regions of row ``row`` along the axis."""
        face_totals(plane, axis, np.zeros(1, np.int64), np.array([row]), tile, sign, into)

    # A pair keeps its sum, so its lower site tells what both sides of the wall got.
    face_totals(old, axis, walls, walls // region, tile, 1, upward)
    _inside(old, array, block, axis, inside, layer, seed, inverse)
    face_totals(array, axis, walls, walls // region, tile, -1, upward)
    heat -= upward
    heat[_rows(axis, slice(1, None))] += upward[_rows(axis, slice(-1))]

    last = (stop - 1) in lower
    first = (start - 1) % extent in lower
    whole = stop - start == extent
    top, bottom = _plane(axis, stop - start - 1), _plane(axis, 0)
    end = (stop - start) // region - 1
    mix = partial(_seam, block=block, axis=axis, layer=layer, seed=seed, inverse=inverse)
    if last and whole:
        with _own(array, top) as low, _own(array, bottom) as high:
            tally(low, end, -1)
            tally(high, 0, -1)
            mix(low, high, stop - 1)
            tally(low, end, 1)
            tally(high, 0, 1)
    elif last and after is not None:
        with _own(array, top) as low:
            tally(low, end, -1)
            mix(low, after.copy(), stop - 1)
            tally(low, end, 1)
    if first and not whole:
        assert before is not None
        with _own(array, bottom) as high:
            tally(high, 0, -1)
            mix(before.copy(), high, (start - 1) % extent)
            tally(high, 0, 1)
    if baths is not None and axis == 4 - lattice.axes:
        for end, (mean, x, alone) in enumerate(
            ((baths[0], 0, layer % 2 == 1), (baths[1], extent - 1, (extent - 1) % 2 == layer % 2))
        ):
            if alone and start <= x < stop:
                fresh, used = _bath(array, block, axis, end, mean, layer, seed)
                tally(fresh, (x - start) // region, 1, flows[1 + 2 * end])
                tally(used, (x - start) // region, 1, flows[2 + 2 * end])
    return flows.reshape(5, -1)


def _bath(array: Sites, block: Block, axis: int, end: int, mean: float, layer: int, seed: int) -> tuple[Sites, Sites]:
    """Let an end face exchange with fresh bath sites, in place; returns these before and after.

    Bath sites, and the pairs of the left end (whose lower site is the bath's), are named by the index of the site
    that they stand beside, plus BEYOND.
    """
    lattice = block.lattice
    x = 0 if end == 0 else lattice.shape[axis] - 1
    at = _plane(axis, x - block.sites.start[axis])
    own = np.ascontiguousarray(array[at])
    base = _face_bases(block, axis, x)
    width = own.shape[3]
    fresh = np.empty_like(own)
    draw_bath(fresh.reshape(-1, width), base + (end + 1) * BEYOND, mean, layer, seed)
    used, new = fresh.copy(), own.copy()
    low, high = (used, new) if end == 0 else (new, used)
    exchange_seam(
        low.reshape(-1, width),
        high.reshape(-1, width),
        base + (BEYOND if end == 0 else 0),
        1,
        lattice.strides[axis] == 1,
        np.uint64(seed),
        layer,
        lattice.q_max,
        False,
        *scratch(),
    )
    array[at] = new
    return fresh, used


def _face_bases(block: Block, axis: int, coordinate: int) -> NDArray[np.int64]:
    """Global index of the first site of each row of a plane."""
    a, b, c, d = block.sites.start
    start = (coordinate if axis == 0 else a, coordinate if axis == 1 else b, coordinate if axis == 2 else c, d)
    if axis == 3:
        start = (a, b, c, coordinate)
    return block.row_bases(tuple(n for n in range(3) if n != axis), start)


def _inside(
    old: Sites, array: Sites, block: Block, axis: int, lower: NDArray[np.int64], layer: int, seed: int, inverse: bool
) -> None:
    """Pairs whose sites are both in the block; the other sites stay as they are."""
    lattice, shape, key = block.lattice, array.shape, np.uint64(seed)
    high, low = scratch()
    if lattice.strides[axis] == 1:
        # Axes after this one, if any, have extent 1.
        if old is not array:
            np.copyto(array, old)
        rows = array.reshape(-1, shape[axis])
        base = block.row_bases(tuple(range(axis)))
        exchange_touching(rows, base, lower, key, layer, lattice.q_max, inverse, high, low)
        return
    # The longest run of sites, ending at the last axis, that is contiguous in the lattice too.
    cut = 3
    while cut > axis + 1 and shape[cut] == lattice.shape[cut]:
        cut -= 1
    outer, middle = tuple(range(axis)), tuple(range(axis + 1, cut))
    seen = (int(np.prod(shape[:axis])), shape[axis], int(np.prod(shape[axis + 1 : cut])), -1)
    start = block.sites.start
    within = block.row_bases(middle) - sum(o * s for o, s in zip(start, lattice.strides, strict=True))
    places = block.row_bases(outer), within, lattice.strides[axis], lower
    given = *places, key, layer, lattice.q_max, inverse, high, low
    if old is array:
        exchange_runs(array.reshape(seen), *given)
    else:
        exchange_runs_anew(old.reshape(seen), array.reshape(seen), *given)


@contextmanager
def _own(array: Sites, at: tuple[slice, ...]) -> Iterator[Sites]:
    """A plane of a block to be changed: contiguous, the plane itself where it is."""
    plane = np.ascontiguousarray(array[at])
    yield plane
    if not np.may_share_memory(plane, array):
        array[at] = plane


def _seam(
    low: Sites, high: Sites, coordinate: int, block: Block, axis: int, layer: int, seed: int, inverse: bool
) -> None:
    """Mix two contiguous planes in place; ``coordinate`` is that of the lower one."""
    lattice = block.lattice
    base = _face_bases(block, axis, coordinate)
    width = low.shape[3]
    halve = lattice.strides[axis] == 1
    exchange_seam(
        low.reshape(-1, width),
        high.reshape(-1, width),
        base,
        1,
        halve,
        np.uint64(seed),
        layer,
        lattice.q_max,
        inverse,
        *scratch(),
    )
