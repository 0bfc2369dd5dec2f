"""`entropic.kernels` against the plain twins of ``reference.py``, bit for bit, and exact laws of the exchange move."""

from __future__ import annotations

import math
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

import reference
from entropic import kernels
from entropic.kernels import exchange
from entropic.kernels.exchange import CHUNK

Array = NDArray[Any]
Quad = tuple[int, int, int, int]

drawn = settings(deadline=None, max_examples=150)  # the first draw may wait for the compiler

# (dtype, q_max): the program's two, and small caps, for which shells above the cap are common.
CAPS: list[tuple[Any, int]] = [(np.uint8, 255), (np.uint16, 65535), (np.uint8, 3), (np.uint8, 40), (np.uint16, 1000)]
KINDS = ("cold", "byte route's edge", "hot", "uniform", "extremes", "mixed")
caps = st.sampled_from(CAPS)
kinds = st.sampled_from(KINDS)
numbers = st.integers(0, 2**32 - 1)  # seeds of the fields: NumPy fills, hypothesis chooses
seeds = st.one_of(st.just(0), st.integers(0, 2**64 - 1))
layers = st.one_of(st.integers(0, 20), st.integers(2**32 - 2, 2**56 - 1))
bases = st.one_of(st.integers(0, 200), st.integers(2**34 - 100, 2**34 + 100), st.integers(0, 2**47))


def quanta(kind: str, shape: tuple[int, ...], dtype: Any, q_max: int, number: int) -> Array:
    """A field of some kind; "hot" and "extremes" press against the cap."""
    draw = np.random.default_rng(number)
    uniform = draw.integers(0, q_max, shape, endpoint=True)
    if kind == "cold":
        field = np.minimum(draw.geometric(0.3, shape) - 1, q_max)
    elif kind == "byte route's edge":
        field = np.minimum(draw.integers(120, 131, shape), q_max)
        if number % 2:
            field = np.minimum(field, 127)
    elif kind == "hot":
        field = q_max - np.minimum(draw.geometric(0.4, shape) - 1, q_max)
    elif kind == "extremes":
        field = draw.choice([0, 1, q_max - 1, q_max], shape)
    elif kind == "mixed":
        field = np.where(draw.random(shape) < 0.5, uniform, draw.choice([0, q_max], shape))
    else:
        field = uniform
    return np.asarray(field, dtype)


def view_of(kind: str, shape: Quad, dtype: Any, q_max: int, number: int) -> Array:
    """A box inside a larger array whose other sites hold rubbish: a non-contiguous view, as regions are."""
    draw = np.random.default_rng(number)
    before, after = draw.integers(0, 3, 4), draw.integers(0, 3, 4)
    outer = tuple(int(a + n + b) for a, n, b in zip(before, shape, after, strict=True))
    whole = quanta("uniform", outer, dtype, q_max, number + 1)
    box = whole[tuple(slice(int(a), int(a) + n) for a, n in zip(before, shape, strict=True))]
    box[...] = quanta(kind, shape, dtype, q_max, number)
    return box


def surroundings(view: Array) -> Array:
    """Copy of the array behind a view with the view's own sites zeroed."""
    whole = view.base
    assert whole is not None
    own = view.copy()
    view[...] = 0
    rest: Array = whole.copy()
    view[...] = own
    return rest


def word(index: int, layer: int, seed: int) -> int:
    return reference.word(index, layer, reference.PURPOSE_EXCHANGE, seed)


def pair(array: Array, i: Any, j: Any, u: int, q_max: int, inverse: bool) -> None:
    """Mix two places of an array by the twin."""
    array[i], array[j] = reference.exchange_pair(int(array[i]), int(array[j]), u, q_max, inverse)


def lowers(extent: int, number: int, full: bool) -> Array:
    """Lower coordinates of disjoint pairs: a parity class, or one with gaps (walls)."""
    draw = np.random.default_rng(number)
    lower = np.arange(number % 2, extent - 1, 2, dtype=np.int64)
    return lower if full else lower[draw.random(lower.size) < 0.6]


def test_purpose_is_the_twin_s() -> None:
    from entropic import randomness

    assert reference.PURPOSE_EXCHANGE == randomness.PURPOSE_EXCHANGE
    assert tuple(int(s) for s in kernels.digest.DIGEST_SALT) == reference.DIGEST_SALT


# --- exchange: kernels against twins ------------------------------------------------------------------------------


@drawn
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 3), st.integers(1, 150)),
    caps,
    kinds,
    st.one_of(st.integers(1, 64), st.integers(1, 2**30)),
    st.booleans(),
    st.booleans(),
    layers,
    seeds,
    numbers,
)
def test_runs(
    shape: Quad, cap: tuple[Any, int], kind: str, stride: int, inverse: bool, full: bool, layer: int, seed: int, n: int
) -> None:
    dtype, q_max = cap
    array = quanta(kind, shape, dtype, q_max, n)
    draw = np.random.default_rng(n)
    outer = draw.integers(0, 2**46, shape[0])
    middle = draw.integers(0, 2**40, shape[2])
    lower = lowers(shape[1], n, full)
    expected = array.copy()
    for o, x, m, i in product(range(shape[0]), lower, range(shape[2]), range(shape[3])):
        u = word(int(outer[o]) + int(x) * stride + int(middle[m]) + i, layer, seed)
        pair(expected, (o, x, m, i), (o, x + 1, m, i), u, q_max, inverse)
    start, buffers = array.copy(), kernels.scratch()
    args = (outer, middle, stride, lower, np.uint64(seed), layer, q_max)
    kernels.exchange_runs(array, *args, inverse, *buffers)
    assert np.array_equal(array, expected)
    anew = np.full_like(start, 77)
    kernels.exchange_runs_anew(start, anew, *args, inverse, *buffers)
    assert np.array_equal(anew, expected)
    kernels.exchange_runs(array, *args, not inverse, *buffers)
    assert np.array_equal(array, start)


@drawn
@given(
    st.integers(1, 4),
    st.one_of(st.integers(1, 20), st.integers(1, 200)),
    caps,
    kinds,
    st.booleans(),
    st.booleans(),
    st.lists(bases, min_size=4, max_size=4),
    st.integers(0, 3),
    layers,
    seeds,
    numbers,
)
def test_touching(
    rows: int,
    extent: int,
    cap: tuple[Any, int],
    kind: str,
    full: bool,
    inverse: bool,
    base: list[int],
    following: int,
    layer: int,
    seed: int,
    n: int,
) -> None:
    """Rows anywhere in the lattice; ``following`` of them begin where the one before ends."""
    dtype, q_max = cap
    array = quanta(kind, (rows, extent), dtype, q_max, n)
    lower = lowers(extent, n, full)
    for r in range(1, following + 1):
        base[r] = base[r - 1] + extent
    expected = array.copy()
    for r, x in product(range(rows), lower):
        pair(expected, (r, x), (r, x + 1), word((base[r] + int(x)) >> 1, layer, seed), q_max, inverse)
    start, buffers = array.copy(), kernels.scratch()
    args = (np.array(base[:rows], np.int64), lower, np.uint64(seed), layer, q_max)
    kernels.exchange_touching(array, *args, inverse, *buffers)
    assert np.array_equal(array, expected)
    kernels.exchange_touching(array, *args, not inverse, *buffers)
    assert np.array_equal(array, start)


@drawn
@given(
    st.integers(1, 4),
    st.integers(1, 150),
    caps,
    kinds,
    st.sampled_from([1, 2, 7, 64, 12345]),
    st.booleans(),
    st.booleans(),
    st.lists(bases, min_size=4, max_size=4),
    layers,
    seeds,
    numbers,
)
def test_seam(
    rows: int,
    run: int,
    cap: tuple[Any, int],
    kind: str,
    step: int,
    halve: bool,
    inverse: bool,
    base: list[int],
    layer: int,
    seed: int,
    n: int,
) -> None:
    dtype, q_max = cap
    planes = quanta(kind, (2, rows, run), dtype, q_max, n)
    expected = planes.copy()
    for r, i in product(range(rows), range(run)):
        index = base[r] + i * step
        pair(expected, (0, r, i), (1, r, i), word(index >> 1 if halve else index, layer, seed), q_max, inverse)
    lower, upper, buffers = planes[0].copy(), planes[1].copy(), kernels.scratch()
    args = (np.array(base[:rows], np.int64), step, halve, np.uint64(seed), layer, q_max)
    kernels.exchange_seam(lower, upper, *args, inverse, *buffers)
    assert np.array_equal([lower, upper], expected)
    kernels.exchange_seam(lower, upper, *args, not inverse, *buffers)
    assert np.array_equal([lower, upper], planes)


@pytest.mark.parametrize("first", [0, 1, 63, 64, 2**34 - 65])
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("hot_chunk", [-1, 0, 1, 2])
def test_chunks_of_long_runs(first: int, inverse: bool, hot_chunk: int) -> None:
    """Runs of several chunks, of which one leaves the byte route: every chunk begins at its own word."""
    n = 2 * CHUNK + 37
    lower, upper = (quanta("cold", (n,), np.uint8, 255, number) for number in (1, 2))
    if hot_chunk >= 0:
        upper[min(hot_chunk * CHUNK + 5, n - 1)] = 200
    words = [word(first + i, 4, 9) for i in range(n)]
    expected = np.array(
        [reference.exchange_pair(int(a), int(b), u, 255, inverse) for a, b, u in zip(lower, upper, words, strict=True)],
        np.uint8,
    ).T
    key, buffers = np.uint64(9), kernels.scratch()
    block = np.stack([lower, upper]).reshape(1, 2, 1, n)
    zero, base = np.zeros(1, np.int64), np.array([first], np.int64)
    kernels.exchange_runs(block, base, zero, n, zero, key, 4, 255, inverse, *buffers)
    assert np.array_equal(block[0, :, 0], expected)

    row = np.zeros((1, 2 * n + 1), np.uint8)
    row[0, 1::2], row[0, 2::2] = lower, upper
    places = np.arange(1, 2 * n, 2, dtype=np.int64)
    sites = np.array([2 * first], np.int64)
    kernels.exchange_touching(row, sites, places, key, 4, 255, inverse, *buffers)
    assert row[0, 0] == 0
    assert np.array_equal([row[0, 1::2], row[0, 2::2]], expected)

    planes = np.stack([lower, upper])[:, None, :].copy()
    kernels.exchange_seam(planes[0], planes[1], base, 1, False, key, 4, 255, inverse, *buffers)
    assert np.array_equal(planes[:, 0], expected)


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("values", list(product([0, 127, 128, 255], repeat=2)))
def test_edge_of_the_byte_route(values: tuple[int, int], inverse: bool) -> None:
    """Nothing but the one pair of values in the run: 128 and 128 make 256, which a byte does not hold."""
    a, b = values
    lower, upper = np.full((1, 200), a, np.uint8), np.full((1, 200), b, np.uint8)
    zero = np.zeros(1, np.int64)
    kernels.exchange_seam(lower, upper, zero, 1, False, np.uint64(8), 1, 255, inverse, *kernels.scratch())
    expected = [reference.exchange_pair(a, b, word(i, 1, 8), 255, inverse) for i in range(200)]
    assert list(zip(lower[0].tolist(), upper[0].tolist(), strict=True)) == expected


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize(("run", "stride"), [(1, 1), (8, 8), (20, 20), (20, 25), (48, 48), (48, 49)])
def test_short_runs_fill_many_chunks(run: int, stride: int, inverse: bool) -> None:
    """Runs that lie close share a fill of words; here there are more of them than one fill serves."""
    extent = 5 * CHUNK // (2 * stride) if stride > 1 else 3 * CHUNK
    array = quanta("cold", (2, extent, 1, run), np.uint8, 255, 3)
    outer = np.array([77, 2**34 - 500])
    lower = lowers(extent, 7, False)
    expected = array.copy()
    for o, x, i in product(range(2), lower, range(run)):
        u = word(int(outer[o]) + int(x) * stride + 3 + i, 6, 12)
        pair(expected, (o, x, 0, i), (o, x + 1, 0, i), u, 255, inverse)
    middle, buffers = np.array([3]), kernels.scratch()
    kernels.exchange_runs(array, outer, middle, stride, lower, np.uint64(12), 6, 255, inverse, *buffers)
    assert np.array_equal(array, expected)


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("kind", ["cold", "hot", "mixed", "byte route's edge"])
@pytest.mark.parametrize("run", [CHUNK - 1, CHUNK, 3 * CHUNK + 5])
def test_long_runs_go_anew_piece_by_piece(run: int, kind: str, inverse: bool) -> None:
    """A piece whose pairs could overflow a byte is told from its old values, though it was mixed as bytes."""
    old = quanta(kind, (2, 7, 2, run), np.uint8, 255, 8)
    outer, middle, lower = np.array([3, 10**9]), np.array([0, 5 * run]), np.array([1, 5])
    rest = (outer, middle, 11 * run, lower, np.uint64(4), 9, 255, inverse, *kernels.scratch())
    expected, anew, before = old.copy(), np.full_like(old, 77), old.copy()
    kernels.exchange_runs(expected, *rest)
    kernels.exchange_runs_anew(old, anew, *rest)
    assert np.array_equal(anew, expected) and np.array_equal(old, before)
    assert not np.array_equal(anew, old)


@pytest.mark.parametrize("walls", [False, True])
@pytest.mark.parametrize("parity", [0, 1])
def test_short_rows_fill_many_chunks(parity: int, walls: bool) -> None:
    """Rows that follow each other are mixed as one run, of more pairs than are handled at a time."""
    extent, rows = 18, CHUNK // 3
    array = quanta("cold", (rows, extent), np.uint8, 255, 3)
    base = np.arange(rows, dtype=np.int64) * extent + 6 * extent
    base[rows // 2 :] += 5 * extent  # another run
    lower = np.array([x for x in range(parity, extent - 1, 2) if not walls or (x + 1) % 6], np.int64)
    expected = array.copy()
    for r, x in product(range(rows), lower):
        pair(expected, (r, x), (r, x + 1), word((int(base[r]) + int(x)) >> 1, 5, 11), 255, False)
    kernels.exchange_touching(array, base, lower, np.uint64(11), 5, 255, False, *kernels.scratch())
    assert np.array_equal(array, expected)


def test_layer_of_no_pairs_changes_nothing() -> None:
    array, none, buffers = np.full((1, 3, 1, 4), 9, np.uint8), np.empty(0, np.int64), kernels.scratch()
    zero = np.zeros(1, np.int64)
    kernels.exchange_runs(array, zero, zero, 4, none, np.uint64(1), 0, 255, False, *buffers)
    kernels.exchange_touching(array.reshape(1, 12), zero, none, np.uint64(1), 0, 255, False, *buffers)
    assert (array == 9).all()


# --- exchange: a whole layer from kernels, cut into blocks --------------------------------------------------------


def cut_layer(
    field: Array,
    region: Quad,
    cuts: tuple[list[int], ...],
    axis: int,
    parity: int,
    adiabatic: bool,
    periodic: bool,
    q_max: int,
    seed: int,
    layer: int,
    inverse: bool,
) -> Array:
    """A layer done block by block, seams apart: what the program does, written here anew."""
    shape, extent = field.shape, field.shape[axis]
    index = np.arange(field.size, dtype=np.int64).reshape(shape)
    stride = math.prod(shape[axis + 1 :])
    lower = [x for x in range(parity, extent, 2) if extent > 1 and (x + 1 < extent or periodic)]
    if adiabatic:
        lower = [x for x in lower if x // region[axis] == (x + 1) % extent // region[axis]]
    new, key, buffers = field.copy(), np.uint64(seed), kernels.scratch()
    ranges = [list(pairwise(c)) for c in cuts]
    for box in product(*ranges):
        start, stop = box[axis]
        slices = tuple(slice(a, b) for a, b in box)
        block, places = field[slices].copy(), index[slices]
        own = np.array([x - start for x in lower if start <= x and x + 1 < stop], np.int64)
        if stride == 1:
            rows = block.reshape(-1, stop - start)
            base = np.ascontiguousarray(places.reshape(rows.shape)[:, 0])
            kernels.exchange_touching(rows, base, own, key, layer, q_max, inverse, *buffers)
        elif own.size:
            view = (math.prod(block.shape[:axis]), stop - start, math.prod(block.shape[axis + 1 : 3]), block.shape[3])
            at = places.reshape(view)
            outer = np.ascontiguousarray(at[:, 0, 0, 0])
            middle = np.ascontiguousarray(at[0, 0, :, 0] - at[0, 0, 0, 0])
            runs = block.reshape(view)
            kernels.exchange_runs(runs, outer, middle, stride, own, key, layer, q_max, inverse, *buffers)
        planes = {x for y in own for x in (start + y, start + y + 1)}
        for x in planes:
            at_x = tuple(slice(x, x + 1) if a == axis else s for a, s in enumerate(slices))
            new[at_x] = block.take([x - start], axis=axis)
        if stop - 1 in lower:  # the pair across the block's last plane
            low, high = stop - 1, stop % extent
            at_low, at_high = (
                tuple(slice(x, x + 1) if a == axis else s for a, s in enumerate(slices)) for x in (low, high)
            )
            run = 1 if stride == 1 else block.shape[3]
            a, b = field[at_low].reshape(-1, run).copy(), field[at_high].reshape(-1, run).copy()
            base = np.ascontiguousarray(index[at_low].reshape(-1, run)[:, 0])
            kernels.exchange_seam(a, b, base, 1, stride == 1, key, layer, q_max, inverse, *buffers)
            new[at_low], new[at_high] = a.reshape(new[at_low].shape), b.reshape(new[at_high].shape)
    return new


@st.composite
def lattices(draw: st.DrawFn) -> tuple[Quad, Quad, tuple[list[int], ...], int]:
    """Shape, region, cuts into blocks (in sites, at region walls) and axis of a layer."""
    axes = draw(st.integers(1, 4))
    most = {1: 40, 2: 12, 3: 6, 4: 4}[axes]
    region, shape, cuts = [], [], []
    for a in range(4):
        box = draw(st.integers(1, max(1, most // 2))) if a >= 4 - axes else 1
        count = draw(st.integers(1, most // box)) if a >= 4 - axes else 1
        inner = draw(st.sets(st.integers(1, count - 1))) if count > 1 else set()
        region.append(box)
        shape.append(box * count)
        cuts.append([0, *(c * box for c in sorted(inner)), box * count])
    a, b, c, d = shape
    e, f, g, h = region
    return (a, b, c, d), (e, f, g, h), tuple(cuts), draw(st.integers(4 - axes, 3))


@settings(deadline=None, max_examples=300)
@given(lattices(), caps, kinds, st.booleans(), st.booleans(), st.integers(0, 1), layers, seeds, numbers)
def test_whole_layer_in_any_blocks(
    lattice: tuple[Quad, Quad, tuple[list[int], ...], int],
    cap: tuple[Any, int],
    kind: str,
    adiabatic: bool,
    periodic: bool,
    parity: int,
    layer: int,
    seed: int,
    n: int,
) -> None:
    shape, region, cuts, axis = lattice
    dtype, q_max = cap
    periodic = periodic and shape[axis] % 2 == 0
    field = quanta(kind, shape, dtype, q_max, n)
    forward = reference.exchange_layer(
        field, region, axis, parity, adiabatic=adiabatic, periodic=periodic, q_max=q_max, seed=seed, layer=layer
    )
    args = (region, cuts, axis, parity, adiabatic, periodic, q_max, seed, layer)
    assert np.array_equal(cut_layer(field, *args, inverse=False), forward)
    back = reference.exchange_layer(
        forward,
        region,
        axis,
        parity,
        adiabatic=adiabatic,
        periodic=periodic,
        q_max=q_max,
        seed=seed,
        layer=layer,
        inverse=True,
    )
    assert np.array_equal(back, field)
    assert np.array_equal(cut_layer(forward, *args, inverse=True), field)
    if adiabatic:
        assert np.array_equal(reference.region_totals(field, region), reference.region_totals(forward, region))


@drawn
@given(lattices(), st.booleans(), st.booleans(), st.integers(0, 1))
def test_pairs_of_a_layer_are_disjoint_and_have_their_own_words(
    lattice: tuple[Quad, Quad, tuple[list[int], ...], int], adiabatic: bool, periodic: bool, parity: int
) -> None:
    shape, region, _, axis = lattice
    periodic = periodic and shape[axis] % 2 == 0
    pairs = list(reference.layer_pairs(shape, region, axis, parity, adiabatic=adiabatic, periodic=periodic))
    sites = [site for i, j, _ in pairs for site in (i, j)]
    assert len(set(sites)) == len(sites)
    assert len({index for _, _, index in pairs}) == len(pairs)
    if not adiabatic:
        per_line = shape[axis] // 2 if periodic else (shape[axis] - parity) // 2
        assert len(pairs) == per_line * math.prod(shape) // shape[axis]


# --- exchange: exact laws of the move ------------------------------------------------------------------------------


def edge_words(size: int) -> list[int]:
    """Least and greatest word of every shift on a shell of ``size``."""
    cuts = [-(-s * 2**32 // size) for s in range(size + 1)]
    return [u for s in range(size) for u in (cuts[s], cuts[s + 1] - 1)]


@pytest.mark.parametrize("q_max", [1, 2, 3, 7])
def test_pair_update_is_a_bijection(q_max: int) -> None:
    """Exhaustive: every shell, every shift (by its least and greatest word), and nothing outside the cap."""
    everything = set(product(range(q_max + 1), repeat=2))
    for u in sorted({u for size in range(1, q_max + 2) for u in edge_words(size)} | {0, 2**32 - 1}):
        images = {(a, b): reference.exchange_pair(a, b, u, q_max) for a, b in everything}
        assert set(images.values()) == everything
        for (a, b), (c, d) in images.items():
            assert a + b == c + d
            assert reference.exchange_pair(c, d, u, q_max, inverse=True) == (a, b)


@pytest.mark.parametrize("q_max", [1, 2, 3, 7])
def test_each_place_of_the_shell_has_its_share_of_words(q_max: int) -> None:
    """From any start, a place of a shell of n is the image of ⌊2³²/n⌋ or ⌈2³²/n⌉ of the 2³² words: no more bias."""
    for t in range(2 * q_max + 1):
        shell = range(max(0, t - q_max), min(t, q_max) + 1)
        edges = edge_words(len(shell))
        for a in shell:
            share = dict.fromkeys(shell, 0)
            for first, last in zip(edges[::2], edges[1::2], strict=True):
                ends = {reference.exchange_pair(a, t - a, u, q_max)[0] for u in (first, last)}
                assert len(ends) == 1  # the shift is monotone in the word, so it is the same in between
                share[ends.pop()] += last - first + 1
            assert sum(share.values()) == 2**32
            assert max(share.values()) - min(share.values()) <= 1


@pytest.mark.parametrize("inverse", [False, True])
def test_both_routes_at_every_edge_of_the_words(inverse: bool) -> None:
    """The least and greatest word of every shift of every shell of the byte route (carries are hardest there)."""
    draw = np.random.default_rng(3)
    cases = []
    for t in range(255):
        for u in [*edge_words(t + 1), 0, 2**32 - 1, *(int(v) for v in draw.integers(0, 2**32, 8))]:
            a = int(draw.integers(max(0, t - 127), min(t, 127) + 1))
            cases.append((a, t - a, u, *reference.exchange_pair(a, t - a, u, 255, inverse)))
    table, n = np.array(cases, np.int64), len(cases)
    high, low = (table[:, 2] >> 16).astype(np.uint16), (table[:, 2] & 0xFFFF).astype(np.uint16)
    lower, upper = table[:, 0].astype(np.uint8), table[:, 1].astype(np.uint8)
    anew = np.zeros((2, n), np.uint8)
    assert exchange._rows_bytes_anew(lower, upper, anew[0], anew[1], high, low, n, inverse)
    assert np.array_equal(anew, table[:, 3:].T)
    exchange._rows_bytes(lower, upper, high, low, n, inverse)
    assert np.array_equal(np.stack([lower, upper]), table[:, 3:].T)
    lower, upper = table[:, 0].astype(np.uint8), table[:, 1].astype(np.uint8)
    exchange._rows_general(lower, upper, high, low, n, 255, inverse)
    assert np.array_equal(np.stack([lower, upper]), table[:, 3:].T)


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize(("dtype", "q_max"), CAPS)
def test_general_route_at_the_edges_of_the_words(dtype: Any, q_max: int, inverse: bool) -> None:
    draw = np.random.default_rng(4)
    cases = []
    for _ in range(4000):
        a, b = (int(q) for q in quanta("mixed", (2,), dtype, q_max, int(draw.integers(2**31))))
        size = min(a + b, q_max) - max(0, a + b - q_max) + 1
        s = int(draw.integers(0, size + 1))
        u = min(max(-(-s * 2**32 // size) - int(draw.integers(0, 2)), 0), 2**32 - 1)
        cases.append((a, b, u, *reference.exchange_pair(a, b, u, q_max, inverse)))
    table = np.array(cases, np.int64)
    high, low = (table[:, 2] >> 16).astype(np.uint16), (table[:, 2] & 0xFFFF).astype(np.uint16)
    lower, upper = table[:, 0].astype(dtype), table[:, 1].astype(dtype)
    exchange._rows_general(lower, upper, high, low, len(cases), q_max, inverse)
    assert np.array_equal(np.stack([lower, upper]), table[:, 3:].T)


@pytest.mark.parametrize("start", ["cold", "hot", "middle"])
@pytest.mark.parametrize(
    ("dtype", "q_max", "t"),
    [
        (np.uint8, 255, 1),
        (np.uint8, 255, 6),
        (np.uint8, 255, 100),
        (np.uint8, 255, 254),
        (np.uint8, 255, 255),
        (np.uint8, 255, 400),
        (np.uint8, 255, 509),
        (np.uint16, 65535, 9),
        (np.uint16, 65535, 131060),
        (np.uint8, 3, 4),
    ],
)
def test_pair_update_is_uniform_on_its_shell(dtype: Any, q_max: int, t: int, start: str) -> None:
    """Whatever the start, the kernel's image is uniform on the shell of the fixed t.

    Exact test: given ideal words the count of each place is binomial, with probability the exact share of words;
    the joint false-alarm rate, by the union bound over places and over this test's 30 cases, is below 1e-6.
    The seed is fixed, so the test passes or fails for ever.
    """
    n = 1 << 16
    bottom, top = max(0, t - q_max), min(t, q_max)
    size = top - bottom + 1
    first = {"cold": bottom, "hot": top, "middle": bottom + size // 2}[start]
    planes = np.empty((2, 1, n), dtype)
    planes[0], planes[1] = first, t - first
    base = np.zeros(1, np.int64)
    kernels.exchange_seam(
        planes[0], planes[1], base, 1, False, np.uint64(20250101), 7, q_max, False, *kernels.scratch()
    )
    places = planes[0, 0].astype(np.int64)
    assert (places + planes[1, 0] == t).all()
    assert bottom <= places.min() <= places.max() <= top
    counts = np.bincount(places - bottom, minlength=size)
    words = np.diff([-(-s * 2**32 // size) for s in range(size + 1)])  # how many words give each shift
    shares = np.roll(words, first - bottom) / 2**32
    assert shares.sum() == 1
    tails = np.minimum(stats.binom.cdf(counts, n, shares), stats.binom.sf(counts - 1, n, shares))
    assert tails.min() > 1e-6 / (2 * size * 30)


def test_two_sites_forget_their_start() -> None:
    """Exact multinomial: 40 pairs of t = 3, four places; the counts' probability rank is no rarer than 1e-4."""
    n, places = 40, 4
    planes = np.zeros((2, 1, n), np.uint8)
    planes[1] = places - 1
    kernels.exchange_seam(
        planes[0], planes[1], np.zeros(1, np.int64), 1, False, np.uint64(1), 3, 255, False, *kernels.scratch()
    )
    counts = np.bincount(planes[0, 0], minlength=places)
    law = stats.multinomial(n, [1 / places] * places)
    every = [(a, b, c, n - a - b - c) for a in range(n + 1) for b in range(n + 1 - a) for c in range(n + 1 - a - b)]
    chances = law.pmf(np.array(every))
    assert math.isclose(chances.sum(), 1, rel_tol=1e-9)
    assert chances[chances <= law.pmf(counts) * (1 + 1e-9)].sum() > 1e-4  # false-alarm rate of a random seed


# --- reductions ---------------------------------------------------------------------------------------------------

boxes = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(1, 40))


# From 2**14 sites on the histogram counts pairs: boxes on either side of it.
long_rows = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(60, 200))
large = st.tuples(st.integers(1, 2), st.integers(4, 6), st.integers(6, 9), st.integers(300, 420))


@drawn
@given(st.one_of(boxes, long_rows, large), caps, kinds, numbers)
@example((1, 2, 1, 63), (np.uint8, 255), "uniform", 0)
@example((1, 1, 1, 2**14 - 1), (np.uint8, 255), "uniform", 0)
@example((1, 1, 1, 2**14), (np.uint8, 255), "uniform", 0)
@example((1, 1, 1, 2**14 + 7), (np.uint8, 255), "cold", 0)
@example((2, 3, 50, 101), (np.uint8, 255), "mixed", 0)
@example((1, 1, 1, 70_001), (np.uint8, 255), "hot", 0)  # totals: more words than are added up in one go
@example((1, 1, 1, 70_001), (np.uint16, 65535), "hot", 0)
def test_histogram_and_total_of_a_view(shape: Quad, cap: tuple[Any, int], kind: str, n: int) -> None:
    dtype, q_max = cap
    view = view_of(kind, shape, dtype, q_max, n)
    if q_max == 65535:
        expected = np.bincount(view.ravel(), minlength=q_max + 1)  # the twin would pass 65536 times over the region
        values = np.unique(view)
        assert [int(expected[q]) for q in values] == [np.count_nonzero(view == q) for q in values]
    else:
        expected = reference.histogram(view, q_max)
    counts = np.full(q_max + 1, 99, np.int64)
    kernels.region_histogram(view, counts)
    assert np.array_equal(counts, expected)
    assert kernels.region_total(view) == reference.region_totals(view, shape)[0, 0, 0, 0]
    assert kernels.region_total(view) == int(counts @ np.arange(q_max + 1))


@drawn
@given(
    st.tuples(*[st.integers(1, 3)] * 4),
    st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.one_of(st.integers(1, 9), st.just(70))),
    st.sampled_from([(np.uint8, 255), (np.uint16, 65535), (np.uint8, 40)]),
    kinds,
    st.integers(1, 65535),
    numbers,
)
def test_regions_of_a_block(
    counts: Quad, region: Quad, cap: tuple[Any, int], kind: str, threshold: int, n: int
) -> None:
    """Histograms and lift of all regions at once: the same as one by one, in the regions' C order."""
    dtype, q_max = cap
    threshold = (threshold - 1) % q_max + 1
    a, b, c, d = (i * j for i, j in zip(counts, region, strict=True))
    block = quanta(kind, (a, b, c, d), dtype, q_max, n)
    shape, total = np.array(region, np.int64), math.prod(counts)
    chosen = np.random.default_rng(n).random(total) < 0.5
    expected = block.copy()
    histograms = np.full((total, q_max + 1), 99, np.int64)
    kernels.block_histograms(block, shape, histograms)
    for number, place in enumerate(product(*(range(i) for i in counts))):
        box = tuple(slice(i * m, (i + 1) * m) for i, m in zip(place, region, strict=True))
        assert np.array_equal(histograms[number], np.bincount(block[box].ravel(), minlength=q_max + 1))
        if chosen[number]:
            expected[box] = reference.lift(block[box], threshold)[0]
    kernels.drop_ones_where(block, shape, dtype(threshold), chosen)
    assert np.array_equal(block, expected)


@pytest.mark.parametrize("axis", range(4))
@pytest.mark.parametrize("kind", ["cold", "uniform"])
def test_large_regions_of_a_block(axis: int, kind: str) -> None:
    """Regions that are counted by pairs, cut along each axis: whole runs, planes and rows in turn."""
    region = (2, 3, 30, 101)
    a, b, c, d = (3 * n if k == axis else n for k, n in enumerate(region))
    block = quanta(kind, (a, b, c, d), np.uint8, 255, axis)
    block[..., -1] = 0  # levels differ between regions: counters must start from 0 in each
    block[tuple(slice(n) if k == axis else slice(None) for k, n in enumerate(region))] = 255
    counts = np.full((3, 256), 99, np.int64)
    kernels.block_histograms(block, np.array(region, np.int64), counts)
    for number, part in enumerate(np.split(block, 3, axis)):
        assert np.array_equal(counts[number], np.bincount(part.ravel(), minlength=256))


def test_counters_do_not_overflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A box of more sites than a counter holds is counted in pieces (the limits lowered, in plain Python)."""
    monkeypatch.setattr(kernels.reduce, "_FULL", 1000)
    monkeypatch.setattr(kernels.reduce, "_PIECE", 300)
    monkeypatch.setattr(kernels.reduce, "_PAIRED_SITES", 100)
    sites = quanta("uniform", (2, 3, 5, 700), np.uint8, 255, 1)
    counts, moved = np.zeros(256, np.int64), []
    add = kernels.reduce._add_pairs
    monkeypatch.setattr(kernels.reduce, "_add_pairs", lambda *given: (moved.append(given[0].sum()), add(*given)))
    pairs, tables = np.zeros(65536 * 2 + 64, np.uint32), np.zeros(1024, np.uint32)
    steps, rows = (sites.strides[0], sites.strides[1], sites.strides[2]), (2, 3, 5)
    kernels.reduce._count_bytes.py_func(sites.ravel(), 0, steps, rows, 700, tables, pairs, counts)
    assert np.array_equal(counts, np.bincount(sites.ravel(), minlength=256))
    assert len(moved) > sites.size // 1000 and max(moved) <= 500
    assert not pairs.any()


@drawn
@given(
    st.tuples(*[st.integers(1, 3)] * 4),
    st.tuples(*[st.integers(1, 4)] * 4),
    st.integers(0, 3),
    caps,
    kinds,
    st.sampled_from([-1, 1]),
    numbers,
)
def test_face_totals(counts: Quad, region: Quad, axis: int, cap: tuple[Any, int], kind: str, sign: int, n: int) -> None:
    dtype, q_max = cap
    a, b, c, d = (i * j for i, j in zip(counts, region, strict=True))
    field = quanta(kind, (a, b, c, d), dtype, q_max, n)
    planes = np.random.default_rng(n).integers(0, field.shape[axis], 3)
    rows = np.array([2, 0, 2])
    shape = [3 if k == axis else m for k, m in enumerate(counts)]
    out = np.arange(np.prod(shape), dtype=np.int64).reshape(shape)
    expected = out.copy()
    for x, row in zip(planes.tolist(), rows.tolist(), strict=True):
        at = tuple(slice(row, row + 1) if k == axis else slice(None) for k in range(4))
        expected[at] += sign * reference.face_totals(field, region, axis, x)
    tile = np.array([1 if k == axis else m for k, m in enumerate(region)], np.int64)
    kernels.face_totals(field, axis, planes, rows, tile, sign, out)
    assert np.array_equal(out, expected)


@drawn
@given(boxes, caps, kinds, st.one_of(st.just(0), st.integers(0, 2**47)), numbers)
@example((1, 1, 1, 1), (np.uint16, 65535), "hot", 2**48 - 1, 0)
def test_digest(shape: Quad, cap: tuple[Any, int], kind: str, first: int, n: int) -> None:
    dtype, q_max = cap
    field = quanta(kind, shape, dtype, q_max, n)
    rows = field.reshape(-1, shape[3])
    base = first + np.arange(rows.shape[0], dtype=np.int64) * shape[3]
    out = np.array([5, 2**64 - 1], np.uint64)
    kernels.field_digest(rows, base, out)
    one, two = reference.digest(field, first)
    assert tuple(out.tolist()) == ((one + 5) % 2**64, (two - 1) % 2**64)


@drawn
@given(boxes, caps, kinds, st.lists(st.integers(1, 3), max_size=4, unique=True), st.integers(0, 3), numbers)
def test_digest_knows_nothing_of_blocks(
    shape: Quad, cap: tuple[Any, int], kind: str, cuts: list[int], axis: int, n: int
) -> None:
    dtype, q_max = cap
    field = quanta(kind, shape, dtype, q_max, n)
    index = np.arange(field.size, dtype=np.int64).reshape(shape)
    out = np.zeros(2, np.uint64)
    edges = sorted({0, *(c for c in cuts if c < shape[axis]), shape[axis]})
    for a, b in reversed(list(pairwise(edges))):
        box = tuple(slice(a, b) if k == axis else slice(None) for k in range(4))
        block = np.ascontiguousarray(field[box])
        base = np.ascontiguousarray(index[box][..., 0]).ravel()
        kernels.field_digest(block.reshape(-1, block.shape[3]), base, out)
    assert tuple(out.tolist()) == reference.digest(field)


@drawn
@given(boxes, numbers)
def test_digest_sees_every_site_and_its_place(shape: Quad, n: int) -> None:
    field = quanta("uniform", shape, np.uint8, 255, n)
    rows = field.reshape(1, -1)
    origin = np.zeros(1, np.int64)

    def digest(array: Array) -> tuple[int, ...]:
        out = np.zeros(2, np.uint64)
        kernels.field_digest(array, origin, out)
        return tuple(out.tolist())

    i, j = n % field.size, n // 7 % field.size
    other = rows.copy()
    other[0, i] ^= 1
    assert digest(other) != digest(rows)
    swapped = rows.copy()
    swapped[0, [i, j]] = swapped[0, [j, i]]
    assert (digest(swapped) == digest(rows)) == bool((swapped == rows).all())


# --- lift -----------------------------------------------------------------------------------------------------------


@drawn
@given(boxes, caps, kinds, st.integers(1, 65535), numbers)
def test_lift(shape: Quad, cap: tuple[Any, int], kind: str, threshold: int, n: int) -> None:
    dtype, q_max = cap
    threshold = (threshold - 1) % q_max + 1
    view = view_of(kind, shape, dtype, q_max, n)
    rest, before = surroundings(view), view.copy()
    lifted, expected = reference.lift(view, threshold)
    theta = dtype(threshold)

    bits = np.full(view.size, 7, np.uint8)
    assert kernels.measure(view, theta, bits) == int(expected.sum())
    assert np.array_equal(bits, expected)
    assert np.array_equal(view, before)
    kernels.lift(view, theta, bits, False)
    assert np.array_equal(view, lifted)
    kernels.lift(view, theta, bits, True)
    assert np.array_equal(view, before)
    assert np.array_equal(reference.lift_inverse(lifted, threshold, bits), before)

    kernels.drop_ones(view, theta)
    assert np.array_equal(view, lifted)
    assert np.array_equal(surroundings(view), rest)


# --- deposit --------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=200)
@given(boxes, caps, kinds, st.integers(0, 6), st.integers(0, 10**6), st.integers(0, 10**6), numbers)
def test_deposit(shape: Quad, cap: tuple[Any, int], kind: str, each: int, rest: int, start: int, n: int) -> None:
    """What fits is deposited, ``counts`` stays true and the inverse undoes it; what does not is refused."""
    dtype, q_max = cap
    view = view_of(kind, shape, dtype, q_max, n)
    around, before, sites = surroundings(view), view.copy(), view.size
    rest, start = rest % sites, start % sites
    energy = each * sites + rest
    counts = np.bincount(view.ravel(), minlength=q_max + 1).astype(np.int64)
    expected = reference.deposit(before, energy, start, q_max)
    assert kernels.add_heat(view, each, rest, start, q_max, counts) == (expected is not None)
    assert np.array_equal(surroundings(view), around)
    if expected is None:
        return
    assert np.array_equal(view, expected)
    assert np.array_equal(counts, np.bincount(view.ravel(), minlength=q_max + 1))
    assert kernels.region_total(view) == int(before.sum(dtype=np.int64)) + energy
    back = reference.deposit_inverse(expected, energy, start)
    assert back is not None
    assert np.array_equal(back, before)
    assert kernels.remove_heat(view, each, rest, start)
    assert np.array_equal(view, before)
    assert np.array_equal(surroundings(view), around)


@settings(deadline=None, max_examples=200)
@given(boxes, caps, kinds, st.integers(0, 4), st.integers(0, 10**6), st.integers(0, 10**6), numbers)
def test_removing_what_never_was_deposited(
    shape: Quad, cap: tuple[Any, int], kind: str, each: int, rest: int, start: int, n: int
) -> None:
    dtype, q_max = cap
    view = view_of(kind, shape, dtype, q_max, n)
    sites = view.size
    rest, start = rest % sites, start % sites
    expected = reference.deposit_inverse(view, each * sites + rest, start)
    assert kernels.remove_heat(view, each, rest, start) == (expected is not None)
    if expected is not None:
        assert np.array_equal(view, expected)


@pytest.mark.parametrize(("dtype", "q_max"), CAPS)
@pytest.mark.parametrize("place", [0, 4, 11])
def test_a_deposit_never_wraps(dtype: Any, q_max: int, place: int) -> None:
    """One site at the cap (or one quantum below it) decides, wherever it stands and whatever the share."""

    def outcome(q: int, each: int, rest: int, start: int) -> bool:
        region = np.zeros((1, 2, 2, 3), dtype)
        region.reshape(-1)[place] = q
        counts = np.bincount(region.ravel(), minlength=q_max + 1).astype(np.int64)
        return bool(kernels.add_heat(region, each, rest, start, q_max, counts))

    assert not outcome(q_max, 0, 1, place)
    assert outcome(q_max, 0, 11, (place + 1) % 12)  # the run goes round and stops just short of it
    assert not outcome(q_max, 0, 11, (place + 2) % 12)
    assert not outcome(q_max, 1, 0, 0)
    assert outcome(q_max - 1, 1, 0, 0)
    assert not outcome(q_max - 1, 1, 1, place)
    assert outcome(q_max - 1, 1, 11, (place + 1) % 12)
    assert outcome(0, q_max, 0, 0)
    assert not outcome(0, q_max, 1, 5)
    for each in (q_max + 1, 256, 65536, 2**40):
        assert outcome(0, each, 0, 0) == (each <= q_max)
