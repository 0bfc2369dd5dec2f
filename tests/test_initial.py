"""Initial states: the same for any cut, exact laws, exact totals."""

from __future__ import annotations

import math
from itertools import product

import mpmath
import numpy as np
import pytest
from scipy import stats

from entropic.config import Config, FieldSection
from entropic.initial import draw_block, lattice_of, region_quanta, thermal_table
from entropic.lattice import BlockGrid, regular_cuts
from test_lattice import draw_grid

FALSE_ALARM = 1e-6  # of each statistical test; seeds are fixed, so a pass stays a pass


def section(**field: object) -> FieldSection:
    return Config.from_mapping({"field": field, "battery": {"initial": 0.0}}).field


def whole(given: FieldSection) -> np.ndarray:
    lattice = lattice_of(given)
    (block,) = BlockGrid(lattice, regular_cuts(lattice, lattice.boxes)).blocks
    return draw_block(given, block)


SECTIONS = {
    "thermal": {"shape": [6, 5, 9], "regions": [3, 1, 3], "mean": 5.0},
    "thermal uint16": {"shape": [12, 10], "regions": [4, 2], "mean": 40.0, "dtype": "uint16"},
    "microcanonical": {"shape": [6, 15], "regions": [3, 5], "mean": 2.75, "initial": "microcanonical"},
    "uniform": {"shape": [4, 6, 4, 3], "regions": [2, 3, 2, 1], "mean": 2.6, "initial": "uniform"},
    "hot-cold": {"shape": [10, 6], "regions": [5, 2], "initial": "hot-cold", "hot": 6.0, "cold": 1.0},
    "hot-cold odd": {"shape": [15], "regions": [5], "initial": "hot-cold", "hot": 6.0, "cold": 1.0},
    "hot-cold 4": {"shape": [6, 2, 3, 4], "regions": [6, 2, 1, 2], "initial": "hot-cold", "hot": 5.0, "cold": 0.5},
}


@pytest.mark.parametrize("name", SECTIONS)
def test_same_for_any_cut(name: str) -> None:
    given = section(**SECTIONS[name], seed=7)
    expected = whole(given)
    rng = np.random.default_rng(11)
    for _ in range(12):
        grid = draw_grid(lattice_of(given), rng)
        found = np.zeros_like(expected)
        for block in grid.blocks:
            found[block.sites.slices] = draw_block(given, block)
        assert np.array_equal(found, expected)
    assert not np.array_equal(whole(section(**SECTIONS[name], seed=8)), expected)


@pytest.mark.parametrize("mean", [0.01, 0.1, 0.5, 1.0, 2.6, 3.0, 5.0, 7.0, 8.5])
def test_thermal_table_is_exact(mean: float) -> None:
    """⌊2⁶⁴ P(q ≤ k)⌋ to the last bit, also where x is a dyadic number (means 1, 3, 7)."""
    table = thermal_table(mean, 255)
    with mpmath.workprec(1024):
        x = mpmath.mpf(mean) / (1 + mpmath.mpf(mean))
        for k, threshold in enumerate(table):
            assert int(threshold) == int(mpmath.floor(mpmath.ldexp(1 - x ** (k + 1), 64))), k
        if table.size < 255:
            assert x ** (table.size + 1) < mpmath.ldexp(1, -64)
    assert (np.diff(table.astype(object)) >= 0).all()


def test_thermal_table_stops_at_the_cap() -> None:
    assert thermal_table(8.5, 255).size == 255
    assert thermal_table(0.0, 255).size == 0
    assert thermal_table(400.0, 65535).size > 255


@pytest.mark.parametrize("mean", [0.3, 5.0])
def test_thermal_frequencies(mean: float) -> None:
    given = section(shape=[400, 500], regions=[4, 5], mean=mean, seed=3)
    counts = np.bincount(whole(given).ravel(), minlength=256).astype(float)
    x = mean / (1 + mean)
    levels = int(math.log(20 / counts.sum()) / math.log(x))
    expected = counts.sum() * np.append((1 - x) * x ** np.arange(levels), x**levels)
    found = np.append(counts[:levels], counts[levels:].sum())
    assert stats.chisquare(found, expected).pvalue > FALSE_ALARM


@pytest.mark.parametrize("mean", [0.0, 0.1, 1 / 3, 2.5, 4.99])
def test_microcanonical_totals_are_exact(mean: float) -> None:
    given = section(shape=[21, 20], regions=[7, 5], mean=mean, initial="microcanonical", seed=4)
    lattice = lattice_of(given)
    (block,) = BlockGrid(lattice, regular_cuts(lattice, lattice.boxes)).blocks
    array = draw_block(given, block)
    expected = region_quanta(mean, lattice.region_sites)
    with mpmath.workprec(200):
        assert expected == int(mpmath.floor(mpmath.mpf(mean) * lattice.region_sites))
    for view in block.region_views(array):
        assert int(view.sum()) == expected


def compositions(sites: int, quanta: int) -> list[tuple[int, ...]]:
    return [c for c in product(range(quanta + 1), repeat=sites) if sum(c) == quanta]


@pytest.mark.parametrize(("sites", "quanta"), [(2, 1), (2, 5), (3, 2), (3, 4), (4, 3), (5, 2), (1, 4)])
def test_microcanonical_is_uniform_over_compositions(sites: int, quanta: int) -> None:
    regions = 40000
    found: dict[tuple[int, ...], int] = dict.fromkeys(compositions(sites, quanta), 0)
    assert len(found) == math.comb(sites + quanta - 1, quanta)
    given = section(
        shape=[regions, sites],
        regions=[regions, 1],
        mean=quanta / sites,
        initial="microcanonical",
        seed=sites + 10 * quanta,
    )
    assert region_quanta(given.mean, sites) in (quanta, quanta - 1)
    if region_quanta(given.mean, sites) < quanta:  # quanta / sites was rounded down
        given = section(**{**given.model_dump(), "mean": math.nextafter(quanta / sites, math.inf)})
    for row in whole(given).reshape(regions, sites):
        found[tuple(int(q) for q in row)] += 1  # a KeyError is a wrong total
    if len(found) > 1:
        assert stats.chisquare(list(found.values())).pvalue > FALSE_ALARM


@pytest.mark.parametrize("mean", [0.0, 0.1, 1.0, 2.6])
def test_uniform(mean: float) -> None:
    given = section(shape=[15, 14], regions=[3, 2], mean=mean, initial="uniform", seed=5)
    lattice = lattice_of(given)
    (block,) = BlockGrid(lattice, regular_cuts(lattice, lattice.boxes)).blocks
    total = region_quanta(mean, lattice.region_sites)
    for view in block.region_views(draw_block(given, block)):
        assert int(view.sum()) == total
        assert set(np.unique(view)) <= {total // lattice.region_sites, total // lattice.region_sites + 1}


@pytest.mark.parametrize("extent", [10, 15])
def test_hot_and_cold_halves(extent: int) -> None:
    """Each half has the very sites that a thermal field of its mean has there."""
    common = {"shape": [extent, 400], "regions": [5, 4], "seed": 6}
    found = whole(section(**common, initial="hot-cold", hot=6.0, cold=0.5))
    hot, cold = whole(section(**common, mean=6.0)), whole(section(**common, mean=0.5))
    middle = extent // 2
    assert np.array_equal(found[:, :, :middle], hot[:, :, :middle])
    assert np.array_equal(found[:, :, middle:], cold[:, :, middle:])
    for part, mean in ((found[:, :, :middle], 6.0), (found[:, :, middle:], 0.5)):
        deviation = abs(float(part.mean()) - mean) / math.sqrt(mean * (1 + mean) / part.size)
        assert 2 * stats.norm.sf(deviation) > FALSE_ALARM
