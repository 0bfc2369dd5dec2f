"""The kernels against their peers, on one core: nanoseconds a site."""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from benchmarks import peers
from benchmarks.timing import rows_of, take_turns
from entropic import special
from entropic.kernels import (
    block_histograms,
    drop_ones_where,
    exchange_runs,
    exchange_seam,
    exchange_touching,
    field_digest,
    scratch,
)

__all__ = ["measure_kernels", "thermal_field"]

Bytes = NDArray[np.uint8]
MEAN = 5.0  # quanta a site, as in the demonstration
THRESHOLD = 50
SEED = np.uint64(1)


def thermal_field(sites: int, regions: int, seed: int = 1) -> Bytes:
    """Thermal sites, uint8[regions, sites / regions], no two of which hold more than 255 quanta together."""
    draw = np.random.default_rng(seed)
    field = np.empty(sites, np.uint8)
    for start in range(0, sites, 1 << 22):
        piece = field[start : start + (1 << 22)]
        piece[:] = np.minimum(draw.geometric(1 / (MEAN + 1), piece.size) - 1, 127)
    return field.reshape(regions, -1)


def _planes(field: Bytes, layer: int = 0, inverse: bool = False) -> None:
    """Our layer along an axis that is not the fastest: planes 0 and 1, 2 and 3, …"""
    planes = field.shape[0]
    view, none = field.reshape(1, planes, 1, -1), np.zeros(1, np.int64)
    lower = np.arange(0, planes - 1, 2, dtype=np.int64)
    exchange_runs(view, none, none, view.shape[3], lower, SEED, layer, 255, inverse, *scratch())


def _rows(field: Bytes, walls: int = 0) -> None:
    """Our layer along the fastest axis, pairs cut by a wall every ``walls`` sites (0: none)."""
    rows = field.reshape(-1, 1024)
    base = np.arange(rows.shape[0], dtype=np.int64) * rows.shape[1]
    lower = np.arange(1, rows.shape[1] - 1, 2, dtype=np.int64)
    if walls:
        lower = lower[(lower + 1) % walls != 0]
    exchange_touching(rows, base, lower, SEED, 0, 255, False, *scratch())


def exchange(field: Bytes, repeats: int) -> list[dict[str, Any]]:
    """One exchange layer over the whole field; every rival leaves a lawful field behind for the next."""
    generator = np.random.Generator(np.random.SFC64(1))
    spare = np.empty_like(field)
    planes = field.reshape(64, -1)
    before = int(field.sum(dtype=np.int64))
    rivals: dict[str, Callable[[], object]] = {
        "entropic, layer across planes": partial(_planes, planes),
        "entropic, its inverse": partial(_planes, planes, 0, True),
        "entropic, along the fastest axis": partial(_rows, field),
        "entropic, the same with a wall every 64 sites": partial(_rows, field, 64),
        "numba loop, splitmix64": partial(peers.loop_splitmix, planes, 1),
        "numba loop, Philox block a pair": partial(peers.loop_philox, planes, 1),
        "NumPy": partial(peers.numpy_layer, planes, generator),
        "dask.array": partial(peers.dask_layer, planes, 1, 2),
        "copy of the field": partial(np.copyto, spare, field),
    }
    rows = rows_of(take_turns(rivals, repeats), field.size)
    assert int(field.sum(dtype=np.int64)) == before  # nobody lost a quantum
    return rows


def seam(field: Bytes, repeats: int) -> list[dict[str, Any]]:
    """Pairs across a seam between blocks, where their words lie far apart or side by side."""
    pairs = field.size // 128
    low, high = (field.ravel()[i * pairs : (i + 1) * pairs].copy() for i in range(2))
    far = np.arange(pairs, dtype=np.int64) * 1000
    near = np.arange(pairs // 64, dtype=np.int64) * 64
    rivals: dict[str, Callable[[], object]] = {
        "entropic, seam of rows of 64": lambda: exchange_seam(
            low.reshape(-1, 64), high.reshape(-1, 64), near, 1, False, SEED, 0, 255, False, *scratch()
        ),
        "entropic, seam on the fastest axis": lambda: exchange_seam(
            low.reshape(-1, 1), high.reshape(-1, 1), far, 1, True, SEED, 0, 255, False, *scratch()
        ),
    }
    return rows_of(take_turns(rivals, repeats), 2 * pairs)


def histogram(field: Bytes, repeats: int) -> list[dict[str, Any]]:
    """Histograms of every region, each of which is one contiguous run."""
    block = field.reshape(field.shape[0], 1, 1, -1)
    shape = np.array([1, 1, 1, block.shape[3]])
    counts = np.zeros((field.shape[0], 256), np.int64)
    spare = np.empty_like(field)
    found: dict[str, NDArray[np.int64]] = {}

    def keep(name: str, function: Callable[[Bytes], NDArray[np.int64]]) -> Callable[[], None]:
        def call() -> None:
            found[name] = function(field)

        return call

    rivals: dict[str, Callable[[], object]] = {
        "entropic": lambda: block_histograms(block, shape, counts),
        "numpy.bincount": keep("bincount", peers.histogram_bincount),
        "scipy.ndimage.histogram": keep("ndimage", peers.histogram_ndimage),
        "dask.array.histogram": keep("dask", peers.histogram_dask),
        "flox": keep("flox", peers.histogram_flox),
        "xhistogram": keep("xhistogram", peers.histogram_xhistogram),
        "copy of the field": lambda: np.copyto(spare, field),
    }
    rows = rows_of(take_turns(rivals, repeats), field.size)
    for name, theirs in found.items():
        assert np.array_equal(counts, theirs), name
    return rows


SHAPES = (  # block, region: rows of 1000, 100, 64, 20 and 8 sites that do not follow each other
    ((20, 20, 20, 1000), (10, 10, 10, 1000)),
    ((40, 40, 20, 200), (20, 20, 10, 100)),
    ((16, 32, 128, 128), (8, 16, 64, 64)),
    ((40, 40, 40, 40), (20, 20, 20, 20)),
    ((25, 25, 25, 64), (5, 5, 5, 8)),
)


def histogram_shapes(field: Bytes, repeats: int) -> list[dict[str, Any]]:
    """Regions whose rows lie scattered in their block, against bincount of the same sites laid out in one run."""
    rows = []
    for extents, region in SHAPES:
        sites = math.prod(extents)
        if sites > field.size:
            continue
        block = np.ascontiguousarray(field.ravel()[:sites]).reshape(extents)
        shape, size = np.array(region), math.prod(region)
        counts = np.zeros((sites // size, 256), np.int64)
        rivals: dict[str, Callable[[], object]] = {
            "entropic": partial(block_histograms, block, shape, counts),
            "numpy.bincount": partial(peers.histogram_bincount, block.reshape(-1, size)),
        }
        ours, theirs = rows_of(take_turns(rivals, 3 * repeats), sites)
        name = f"entropic, regions of {' × '.join(map(str, region))}"
        rows += [{**ours, "name": name}, {**theirs, "name": f"numpy.bincount, runs of {size}"}]
    return rows


def lift(field: Bytes, repeats: int) -> list[dict[str, Any]]:
    """q −= θ wherever q ≥ θ, in every region."""
    block = field.reshape(field.shape[0], 1, 1, -1)
    shape, chosen = np.array([1, 1, 1, block.shape[3]]), np.ones(field.shape[0], np.bool_)
    spare = np.empty_like(field)
    rivals: dict[str, Callable[[], object]] = {
        "entropic": lambda: drop_ones_where(block, shape, np.uint8(THRESHOLD), chosen),
        "NumPy, where=": lambda: np.subtract(field, np.uint8(THRESHOLD), out=field, where=field >= THRESHOLD),
        "copy of the field": lambda: np.copyto(spare, field),
    }
    return rows_of(take_turns(rivals, repeats), field.size)


def digest(field: Bytes, repeats: int) -> list[dict[str, Any]]:
    """The field's digest, which knows of no layout; and usual digests, which do."""
    base = np.arange(field.shape[0], dtype=np.int64) * field.shape[1]
    found: dict[str, Any] = {}

    def ours() -> None:
        found["ours"] = out = np.zeros(2, np.uint64)
        field_digest(field, base, out)

    def numpy() -> None:
        found["numpy"] = peers.digest_numpy(field)

    rivals: dict[str, Callable[[], object]] = {
        "entropic": ours,
        "the same in NumPy": numpy,
        "hashlib.sha256": lambda: hashlib.sha256(field.data).digest(),
        "hashlib.blake2b": lambda: hashlib.blake2b(field.data).digest(),
        "zlib.crc32": lambda: zlib.crc32(field.data),
    }
    rows = rows_of(take_turns(rivals, repeats), field.size)
    assert tuple(found["ours"].tolist()) == found["numpy"]
    return rows


def _worst(values: NDArray[np.float64], sites: NDArray[np.int64], quanta: NDArray[np.int64]) -> float:
    """Largest relative error of some entropies, by mpmath."""
    worst = 0.0
    with mpmath.workdps(40):
        for value, n, q in zip(values[:100].tolist(), sites.tolist(), quanta.tolist(), strict=False):
            exact = mpmath.log(mpmath.binomial(q + n - 1, q))
            worst = max(worst, float(abs(value - exact) / exact))
    return worst


def entropy(repeats: int, evaluations: int = 100_000) -> list[dict[str, Any]]:
    """ln C(Q + N − 1, Q) of many regions of a million sites, and ln N!/Π n_q! of many histograms; ns an evaluation."""
    draw = np.random.default_rng(1)
    sites = np.full(evaluations, 10**6)
    quanta = draw.integers(10**6, 10**7, evaluations)
    ours, theirs = np.empty(evaluations), np.empty(evaluations)

    def scipy() -> None:
        theirs[:] = gammaln(quanta + sites) - gammaln(quanta + 1) - gammaln(sites)

    rivals: dict[str, Callable[[], object]] = {
        "entropic, ln C(Q+N−1, Q)": lambda: special.ln_multiplicity_rows(sites, quanta, ours),
        "scipy.special.gammaln": scipy,
    }
    rows = rows_of(take_turns(rivals, repeats), evaluations)
    for row, values in zip(rows, (ours, theirs), strict=True):
        row["relative_error"] = _worst(values, sites, quanta)
    counts = draw.multinomial(10**6, (1 - 5 / 6) * (5 / 6) ** np.arange(63) / (1 - (5 / 6) ** 63), evaluations // 100)
    nats = np.empty(len(counts))
    rivals = {
        "entropic, histogram of 63 levels": lambda: special.ln_multinomial_rows(counts, nats),
        "scipy.special.gammaln": lambda: gammaln(counts.sum(axis=1) + 1) - gammaln(counts + 1).sum(axis=1),
    }
    return rows + rows_of(take_turns(rivals, repeats), len(counts))


def measure_kernels(sites: int, repeats: int) -> dict[str, list[dict[str, Any]]]:
    """All tables; rows have ``name``, ``ns`` (median), ``least_ns`` and ``ratio`` to the table's first row.

    Parameters
    ----------
    sites : int
        Rounded down to a multiple of 65536.
    """
    sites = max(sites // 65536, 1) * 65536
    regions = max(1, min(64, sites >> 20))
    field = thermal_field(sites, regions)
    return {
        "exchange layer": exchange(field, repeats),
        "seam": seam(field, repeats),
        "histogram": histogram(field, repeats),
        "histogram, scattered rows": histogram_shapes(field, repeats),
        "lift": lift(field, repeats),
        "digest": digest(field, repeats),
        "entropy": entropy(repeats),
    }
