"""Initial states, drawn by place: the same field for every cut into blocks.

Real numbers never decide a draw: a thermal site compares 64 random bits with a table of integers, a
microcanonical region draws exact integers below exact bounds.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numba import njit
from numpy.typing import NDArray

from entropic.config import FieldSection
from entropic.kernels import add_heat
from entropic.lattice import Block, Lattice
from entropic.randomness import PURPOSE_DEPOSIT, PURPOSE_INITIAL, PURPOSE_MICROCANONICAL, random_u64

__all__ = ["draw_block", "lattice_of", "region_quanta", "thermal_table"]

_BITS = 256


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


@njit(nogil=True, cache=True)
def _thermal_rows(array, base, table, seed):  # type: ignore[no-untyped-def]
    for r in range(array.shape[0]):
        for x in range(array.shape[1]):
            u = random_u64(base[r] + x, 0, PURPOSE_INITIAL, seed)
            low = 0
            high = table.size
            while low < high:
                middle = (low + high) >> 1
                if table[middle] <= u:
                    low = middle + 1
                else:
                    high = middle
            array[r, x] = low


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
            _thermal_rows(rows, base, thermal_table(section.mean, lattice.q_max), seed)
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
            _thermal_rows(piece.reshape(-1, piece.shape[3]), bases, thermal_table(mean, lattice.q_max), seed)
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
