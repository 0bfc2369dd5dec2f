"""Initial states, drawn by place: the same field for every cut into blocks.

Real numbers never decide a draw: a thermal site compares 64 random bits with a table of integers, a
microcanonical region draws exact integers below exact bounds.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

from entropic import special
from entropic.config import FieldSection
from entropic.kernels import add_heat, region_total
from entropic.lattice import Block, Lattice
from entropic.randomness import (
    GROUP_WORDS,
    PURPOSE_BATH,
    PURPOSE_DEPOSIT,
    PURPOSE_INITIAL,
    PURPOSE_MICROCANONICAL,
    fill_words,
    random_u64,
)

__all__ = ["draw_bath", "draw_block", "lattice_of", "region_quanta", "start_nats", "thermal_table"]

_BITS = 256
_GUIDE_BITS = 12
_GROUPS = 32  # groups of words made at a time
_S16, _S32, _S48 = np.uint64(16), np.uint64(32), np.uint64(48)
_HALF = np.uint64(0xFFFF)


def lattice_of(section: FieldSection) -> Lattice:
    """Geometry of a configured field."""
    return Lattice(
        section.shape, section.regions, section.edges == "periodic", section.walls == "adiabatic", section.q_max
    )


def region_quanta(mean: float, sites: int) -> int:
    """⌊mean · N⌋, of the float's exact value."""
    return int(Fraction(mean) * sites)


def thermal_table(mean: float, q_max: int) -> NDArray[np.uint64]:
    """Integer thresholds of the geometric law of mean ``mean``.

    Returns
    -------
    uint64[k]
        ⌊2⁶⁴ P(q ≤ i)⌋, P(q ≤ i) = 1 − x^{i+1}, x = mean / (1 + mean), in 256-bit fixed point.  A site holds as many
        quanta as there are thresholds not above its 64 random bits.
    """
    ratio = Fraction(mean) / (1 + Fraction(mean))
    x = int(ratio * (1 << _BITS))
    tail = x
    table: list[int] = []
    while len(table) < q_max and (tail >> (_BITS - 64)) > 0:
        table.append((1 << 64) + (-tail >> (_BITS - 64)))  # exact for dyadic x too
        tail = (tail * x) >> _BITS
    return np.array(table, np.uint64)


def _guide(table: NDArray[np.uint64]) -> NDArray[np.int64]:
    """For every value of the top 12 of 64 bits, how many thresholds no number with these bits can miss."""
    edges = np.arange(1 << _GUIDE_BITS, dtype=np.uint64) << np.uint64(64 - _GUIDE_BITS)
    return np.searchsorted(table, edges, side="right").astype(np.int64)


@njit(nogil=True, cache=True)
def _thermal_run(row, high, low, table, guide):  # type: ignore[no-untyped-def]
    for x in range(row.size):
        h = np.uint64(high[x])
        w = np.uint64(low[x])
        u = (h >> _S16) << _S48 | (w >> _S16) << _S32 | (h & _HALF) << _S16 | (w & _HALF)
        q = guide[u >> np.uint64(64 - _GUIDE_BITS)]
        while q < table.size and table[q] <= u:
            q += 1
        row[x] = q


@njit(nogil=True, cache=True)
def _thermal_rows(array, base, table, guide, time, purpose, seed):  # type: ignore[no-untyped-def]
    """Site of index g takes the 64 bits ``random_u64(g, time, purpose, seed)``: words 2g and 2g + 1."""
    sites = GROUP_WORDS // 2  # of one group
    high = np.empty(_GROUPS * sites, np.uint32)
    low = np.empty(_GROUPS * sites, np.uint32)
    for r in range(array.shape[0]):
        done = 0
        while done < array.shape[1]:
            first = base[r] + done
            group = first // sites
            skip = first - group * sites
            count = min(array.shape[1] - done, _GROUPS * sites - skip)
            fill_words(high, low, group, (skip + count + sites - 1) // sites, time, purpose, seed)
            _thermal_run(array[r, done : done + count], high[skip:], low[skip:], table, guide)
            done += count


@njit(nogil=True, cache=True)
def _microcanonical(region, quanta, number, seed, q_max):  # type: ignore[no-untyped-def]
    """A uniform composition of ``quanta`` into the sites: stars and bars, drawn one by one without bias."""
    stars = np.int64(quanta)
    bars = np.int64(region.size - 1)
    draw = 0
    for i in range(region.shape[0]):
        for j in range(region.shape[1]):
            for k in range(region.shape[2]):
                for x in range(region.shape[3]):
                    q = 0
                    while stars > 0:
                        if bars > 0:
                            total = np.uint64(stars + bars)
                            shift = np.uint64(0)
                            while (total >> (np.uint64(63) - shift)) == np.uint64(0):
                                shift += np.uint64(1)
                            u = random_u64(draw, number, PURPOSE_MICROCANONICAL, seed) >> shift
                            draw += 1
                            while u >= total:
                                u = random_u64(draw, number, PURPOSE_MICROCANONICAL, seed) >> shift
                                draw += 1
                            if u < np.uint64(bars):
                                break
                        q += 1
                        stars -= 1
                    bars -= 1
                    if q > q_max:
                        return False
                    region[i, j, k, x] = q
    return True


def _thermal(rows: NDArray[np.generic], base: NDArray[np.int64], mean: float, q_max: int, seed: np.uint64) -> None:
    table = thermal_table(mean, q_max)
    _thermal_rows(rows, base, table, _guide(table), 0, PURPOSE_INITIAL, seed)


@lru_cache(maxsize=8)
def _tables(mean: float, q_max: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    table = thermal_table(mean, q_max)
    return table, _guide(table)


def draw_bath(plane: NDArray[np.generic], base: NDArray[np.int64], mean: float, layer: int, seed: int) -> None:
    """Fill a plane with fresh thermal sites of a bath.

    Parameters
    ----------
    plane : uint8 or uint16 [rows, run]
    base : int64[rows]
        Index of each row's first site.
    mean : float
        Quanta a bath site.
    """
    table, guide = _tables(mean, int(np.iinfo(np.dtype(plane.dtype.str)).max))
    _thermal_rows(plane, base, table, guide, layer, PURPOSE_BATH, np.uint64(seed))


def draw_block(section: FieldSection, block: Block) -> NDArray[np.generic]:
    """Initial sites of a block.

    Returns
    -------
    uint8 or uint16 [a, b, c, d]
        Quanta a site.
    """
    lattice = block.lattice
    array = np.zeros(block.sites.shape, lattice.dtype)
    seed = np.uint64(section.seed)
    if section.initial in ("thermal", "hot-cold"):
        base = block.row_bases((0, 1, 2))
        rows = array.reshape(-1, array.shape[3])
        if section.initial == "thermal":
            _thermal(rows, base, section.mean, lattice.q_max, seed)
            return array
        hot, cold = section.hot, section.cold
        assert hot is not None  # the configuration is checked
        assert cold is not None
        axis = 4 - lattice.axes
        middle = min(max(lattice.shape[axis] // 2 - block.sites.start[axis], 0), array.shape[axis])
        for mean, part in ((hot, slice(0, middle)), (cold, slice(middle, array.shape[axis]))):
            if part.start == part.stop:
                continue
            place = (slice(None),) * axis + (part,)
            piece = np.ascontiguousarray(array[place])
            if axis < 3:
                bases = np.ascontiguousarray(base.reshape(array.shape[:3])[place]).ravel()
            else:
                bases = base + part.start
            _thermal(piece.reshape(-1, piece.shape[3]), bases, mean, lattice.q_max, seed)
            array[place] = piece
        return array
    sites = lattice.region_sites
    quanta = region_quanta(section.mean, sites)
    none = np.zeros(lattice.q_max + 1, np.int64)
    for number, view in zip(block.region_ids, block.region_views(array), strict=True):
        if section.initial == "microcanonical":
            sound = _microcanonical(view, quanta, number, seed, lattice.q_max)
        else:
            none[:] = 0
            none[0] = sites
            start = int(random_u64(number, 0, PURPOSE_DEPOSIT, seed)) % sites
            sound = add_heat(view, quanta // sites, quanta % sites, start, lattice.q_max, none)
        if not sound:
            from entropic.machines.landauer import OverflowQuantaError

            raise OverflowQuantaError(int(number), 0, lattice.q_max)
    return array


def start_nats(section: FieldSection, block: Block, array: NDArray[np.generic]) -> NDArray[np.float64]:
    """Entropy of the macrostate from which each region of a block was drawn, nats: float64[regions].

    Parameters
    ----------
    array : uint8 or uint16 [a, b, c, d]
        The block as `draw_block` drew it.

    Returns
    -------
    float64[regions]
        ``S(N, Q)``: given its energy, a region is uniform on its shell.  Where hot meets cold inside a region, both parts
        are, each on its own.  A uniform start is a single microstate: 0.
    """
    lattice = block.lattice
    if section.initial == "uniform":
        return np.zeros(block.region_count)
    axis = 4 - lattice.axes
    extent, middle = lattice.region_shape[axis], lattice.shape[axis] // 2
    cut = middle % extent if section.initial == "hot-cold" else 0
    begins = np.unravel_index(block.region_ids, lattice.regions)[axis] * extent
    nats = np.empty(block.region_count)
    for i, region in enumerate(block.region_views(array)):
        parts = [region]
        if cut and begins[i] < middle < begins[i] + extent:
            parts = np.split(region, [cut], axis)
        nats[i] = sum(special.ln_multiplicity(part.size, region_total(part)) for part in parts)
    return nats
