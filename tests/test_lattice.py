"""Geometry against brute force: pairs of a layer, blocks, neighbours, seams."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from entropic.errors import UsageError
from entropic.lattice import BlockGrid, Lattice, LayoutError, regular_cuts

LATTICES = [
    Lattice((12,), (4,)),
    Lattice((15,), (5,), adiabatic=True),
    Lattice((12,), (4,), periodic=True),
    Lattice((2,), (1,), periodic=True),
    Lattice((2,), (2,), periodic=True, adiabatic=True),
    Lattice((1, 6), (1, 2)),
    Lattice((6, 10), (2, 5), periodic=True),
    Lattice((9, 7), (3, 1), adiabatic=True),
    Lattice((6, 6), (2, 2), periodic=True, adiabatic=True),
    Lattice((4, 3, 6), (2, 1, 2)),
    Lattice((4, 6, 2), (1, 3, 2), periodic=True),
    Lattice((3, 4, 5, 6), (1, 2, 5, 2)),
    Lattice((2, 4, 2, 6), (2, 2, 1, 3), periodic=True, adiabatic=True),
]


def draw_grid(lattice: Lattice, rng: np.random.Generator) -> BlockGrid:
    """A cut of any kind: even, uneven, thin."""
    cuts = []
    for regions in lattice.regions:
        inner = np.flatnonzero(rng.random(max(regions - 1, 0)) < rng.random()) + 1
        cuts.append((0, *(int(c) for c in inner), regions))
    return BlockGrid(lattice, tuple(cuts))


def brute_pairs(lattice: Lattice, layer: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Pairs of sites of the field's own axes, straight from the definition."""
    d = len(lattice.extents)
    axis, parity = layer // 2 % d, layer % 2
    region = [n // r for n, r in zip(lattice.extents, lattice.boxes, strict=True)]
    pairs = []
    for site in product(*(range(n) for n in lattice.extents)):
        if site[axis] % 2 != parity:
            continue
        x = site[axis] + 1
        if x == lattice.extents[axis]:
            if not lattice.periodic or lattice.extents[axis] == 1:
                continue
            x = 0
        partner = (*site[:axis], x, *site[axis + 1 :])
        if lattice.adiabatic and site[axis] // region[axis] != x // region[axis]:
            continue
        pairs.append((site, partner))
    return pairs


@pytest.mark.parametrize("lattice", LATTICES, ids=str)
def test_pairs_of_a_layer(lattice: Lattice) -> None:
    for layer in range(4 * lattice.axes + 2):
        axis = lattice.layer_axis(layer)
        lower = [int(x) for x in lattice.lower_sites(layer)]
        extent = lattice.shape[axis]
        found = set()
        for site in product(*(range(n) for n in lattice.shape)):
            if site[axis] in lower:
                partner = (*site[:axis], (site[axis] + 1) % extent, *site[axis + 1 :])
                found.add((site[4 - lattice.axes :], partner[4 - lattice.axes :]))
        expected = brute_pairs(lattice, layer)
        assert found == set(expected)
        touched = [site for pair in expected for site in pair]
        assert len(touched) == len(set(touched)), "a site is in two pairs of one layer"


@pytest.mark.parametrize("lattice", LATTICES, ids=str)
def test_all_contacts_are_met_once_in_a_turn(lattice: Lattice) -> None:
    """Over two parities of every axis each bond of the lattice is used exactly once."""
    bonds = [frozenset(pair) for layer in range(2 * lattice.axes) for pair in brute_pairs(lattice, layer)]
    twice = len(bonds) - len(set(bonds))
    # A periodic axis of two sites has two bonds between the same two sites.
    double = lattice.periodic and any(n == 2 for n in lattice.extents)
    assert twice == 0 or double


def test_geometry_of_fewer_axes() -> None:
    lattice = Lattice((6, 10), (2, 5), q_max=65535)
    assert lattice.shape == (1, 1, 6, 10)
    assert lattice.regions == (1, 1, 2, 5)
    assert lattice.region_shape == (1, 1, 3, 2)
    assert lattice.strides == (60, 60, 10, 1)
    assert (lattice.sites, lattice.region_count, lattice.region_sites) == (60, 10, 6)
    assert lattice.dtype == np.uint16
    assert lattice.names == ("x", "y")


@pytest.mark.parametrize("lattice", LATTICES, ids=str)
def test_blocks_tile(lattice: Lattice) -> None:
    rng = np.random.default_rng(1)
    index = np.arange(lattice.sites, dtype=np.int64).reshape(lattice.shape)
    a, b, c, d = lattice.region_shape
    place = np.indices(lattice.shape)
    number = np.ravel_multi_index((place[0] // a, place[1] // b, place[2] // c, place[3] // d), lattice.regions)
    for _ in range(8):
        grid = draw_grid(lattice, rng)
        seen = np.zeros(lattice.shape, np.int64)
        for at, block in enumerate(grid.blocks):
            assert block.number == at
            seen[block.sites.slices] += 1
            part = index[block.sites.slices]
            assert block.sites.size == part.size
            assert np.array_equal(block.row_bases((0, 1, 2)), part[:, :, :, 0].ravel())
            assert np.array_equal(block.row_bases((1, 3)), part[0, :, 0, :].ravel())
            views = list(block.region_views(number[block.sites.slices]))
            assert len(views) == block.region_count == block.region_ids.size
            for region, view in zip(block.region_ids, views, strict=True):
                assert view.shape == lattice.region_shape
                assert (view == region).all()
        assert (seen == 1).all()
        ids = np.concatenate([block.region_ids for block in grid.blocks])
        assert np.array_equal(np.sort(ids), np.arange(lattice.region_count))


@pytest.mark.parametrize("lattice", LATTICES, ids=str)
def test_neighbours(lattice: Lattice) -> None:
    rng = np.random.default_rng(2)
    for _ in range(5):
        grid = draw_grid(lattice, rng)
        owner = np.zeros(lattice.shape, np.int64)
        for block in grid.blocks:
            owner[block.sites.slices] = block.number
        for block in grid.blocks:
            for axis in range(4):
                extent = lattice.shape[axis]
                for step, x in ((1, block.sites.stop[axis]), (-1, block.sites.start[axis] - 1)):
                    site = list(block.sites.start)
                    site[axis] = x % extent
                    assert grid.neighbour(block.number, axis, step) == owner[tuple(site)]


@pytest.mark.parametrize("lattice", LATTICES, ids=str)
def test_owners_and_partners_that_are_split(lattice: Lattice) -> None:
    rng = np.random.default_rng(4)
    for _ in range(5):
        grid = draw_grid(lattice, rng)
        block_of = {int(region): block.number for block in grid.blocks for region in block.region_ids}
        assert grid.owner.tolist() == [block_of[region] for region in range(lattice.region_count)]
        pairs = zip(range(0, lattice.region_count, 2), range(1, lattice.region_count, 2), strict=False)
        assert grid.split_partners == tuple((a, b) for a, b in pairs if block_of[a] != block_of[b])


@pytest.mark.parametrize("lattice", LATTICES, ids=str)
def test_seams_are_the_pairs_between_blocks(lattice: Lattice) -> None:
    rng = np.random.default_rng(3)
    for _ in range(5):
        grid = draw_grid(lattice, rng)
        owner = np.zeros(lattice.shape, np.int64)
        for block in grid.blocks:
            owner[block.sites.slices] = block.number
        owner = owner.reshape(lattice.extents)
        for layer in range(2 * lattice.axes):
            axis = layer // 2 % lattice.axes
            crossing = [(low, high) for low, high in brute_pairs(lattice, layer) if owner[low] != owner[high]]
            assert grid.seam_sites(layer) == {low[axis] for low, _ in crossing}
            crossed = grid.crossed(layer)
            assert set(crossed) == {(owner[low], owner[high]) for low, high in crossing}
            assert len(crossed) == len(set(crossed))


@pytest.mark.parametrize(
    "axis_cuts",
    [(0, 3), (1, 4), (0, 2, 2, 4), (0, 3, 2, 4), (0, 5), (0,), (), (0, -1, 4), (0, 4, 4)],
    ids=str,
)
def test_bad_cuts(axis_cuts: tuple[int, ...]) -> None:
    lattice = Lattice((8, 8), (2, 4))
    with pytest.raises(LayoutError) as caught:
        BlockGrid(lattice, ((0, 1), (0, 1), (0, 2), axis_cuts))
    assert caught.value.exit_code == UsageError.exit_code == 2
    assert caught.value.remedy


@pytest.mark.parametrize("extents", [(), (1,), (1, 1, 1), (0, 1), (2, -1)], ids=str)
def test_bad_block_shapes(extents: tuple[int, ...]) -> None:
    with pytest.raises(LayoutError):
        regular_cuts(Lattice((8, 8), (2, 4)), extents)


def test_regular_cuts() -> None:
    lattice = Lattice((10, 14), (5, 7))
    assert regular_cuts(lattice, (2, 3)) == ((0, 1), (0, 1), (0, 2, 4, 5), (0, 3, 6, 7))
    assert regular_cuts(lattice, (9, 7)) == ((0, 1), (0, 1), (0, 5), (0, 7))
