"""Maxwell's demon: kernels against twins, the bijection exhaustively, and the laws of sorted thermal pairs."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

import reference_machines as reference
from entropic import entropy, kernels
from entropic.machines.demon import MaxwellDemon, RecordMismatchError
from test_kernels import CAPS, quanta, surroundings, view_of

Array = NDArray[Any]
Quad = tuple[int, int, int, int]

drawn = settings(deadline=None, max_examples=150)  # the first draw may wait for the compiler
caps = st.sampled_from(CAPS)
kinds = st.sampled_from(["cold", "hot", "uniform", "extremes", "mixed"])
numbers = st.integers(0, 2**32 - 1)
# Rows on both sides of the kernel's two routes, halves that end inside a row, odd sizes, one site.
boxes = st.one_of(
    st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 90)),
    st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(1, 7), st.integers(1, 3)),
)


# --- contact: a run of sites, out and in again ------------------------------------------------------------------


@drawn
@given(boxes, caps, kinds, numbers, numbers, numbers)
def test_runs_are_taken_and_put(shape: Quad, cap: tuple[Any, int], kind: str, start: int, count: int, n: int) -> None:
    dtype, q_max = cap
    view = view_of(kind, shape, dtype, q_max, n)
    start, count = start % view.size, count % (view.size + 1)
    rest, before = surroundings(view), view.copy()
    out = np.full(count, 77, dtype)
    kernels.take_run(view, start, out)
    assert out.tolist() == reference.run_of(before, start, count)
    assert np.array_equal(view, before)

    values = quanta("uniform", (count,), dtype, q_max, n + 2)
    expected = reference.with_run(before, start, values.tolist())
    change = kernels.put_run(view, start, values)
    assert change == int(expected.sum(dtype=np.int64)) - int(before.sum(dtype=np.int64))
    assert np.array_equal(view, expected)
    assert np.array_equal(surroundings(view), rest)
    assert kernels.put_run(view, start, out) == -change
    assert np.array_equal(view, before)


# --- sort: kernels against twins --------------------------------------------------------------------------------


@drawn
@given(boxes, caps, kinds, numbers)
def test_sort_of_a_region(shape: Quad, cap: tuple[Any, int], kind: str, n: int) -> None:
    dtype, q_max = cap
    view = view_of(kind, shape, dtype, q_max, n)
    rest, before, pairs = surroundings(view), view.copy(), view.size // 2
    expected, expected_bits = reference.sort_pairs(before)
    bits = np.full(pairs, 7, np.uint8)
    ones, gradient = kernels.sort_pairs(view, bits)
    assert bits.tolist() == expected_bits
    assert np.array_equal(view, expected)
    assert np.array_equal(surroundings(view), rest)
    flat = expected.ravel().astype(np.int64)
    assert (ones, gradient) == (sum(expected_bits), int(flat[:pairs].sum() - flat[pairs : 2 * pairs].sum()))
    kernels.unsort_pairs(view, bits)
    assert np.array_equal(view, before)
    assert np.array_equal(surroundings(view), rest)


@drawn
@given(st.integers(0, 300), caps, kinds, numbers)
def test_sort_of_two_runs(size: int, cap: tuple[Any, int], kind: str, n: int) -> None:
    dtype, q_max = cap
    hot, cold = quanta(kind, (size,), dtype, q_max, n), quanta("mixed", (size,), dtype, q_max, n + 1)
    before = hot.copy(), cold.copy()
    larger, smaller, expected_bits = reference.sort_runs(hot.tolist(), cold.tolist())
    bits = np.full(size, 7, np.uint8)
    ones, gradient = kernels.sort_runs(hot, cold, bits)
    assert (hot.tolist(), cold.tolist(), bits.tolist()) == (larger, smaller, expected_bits)
    assert (ones, gradient) == (sum(expected_bits), sum(larger) - sum(smaller))
    kernels.unsort_runs(hot, cold, bits)
    assert np.array_equal(hot, before[0])
    assert np.array_equal(cold, before[1])


@drawn
@given(boxes, boxes, caps, kinds, numbers, numbers, numbers, numbers)
def test_sort_of_two_regions(
    shape: Quad, other: Quad, cap: tuple[Any, int], kind: str, start: int, begin: int, count: int, n: int
) -> None:
    """Cyclic runs of two regions, in place: what taking them out, sorting and putting them back would do."""
    dtype, q_max = cap
    hot, cold = view_of(kind, shape, dtype, q_max, n), view_of("mixed", other, dtype, q_max, n + 7)
    rest = surroundings(hot), surroundings(cold)
    before = hot.copy(), cold.copy()
    pairs = 1 + count % min(hot.size, cold.size)
    start, begin = start % hot.size, begin % cold.size
    runs = reference.run_of(before[0], start, pairs), reference.run_of(before[1], begin, pairs)
    larger, smaller, expected_bits = reference.sort_runs(*runs)
    record, moved = MaxwellDemon().sort_contact(hot, start, cold, begin, pairs)
    assert record.bits().tolist() == expected_bits
    assert np.array_equal(hot, reference.with_run(before[0], start, larger))
    assert np.array_equal(cold, reference.with_run(before[1], begin, smaller))
    expected = (sum(expected_bits), pairs, sum(larger) - sum(smaller), sum(larger) - sum(runs[0]))
    assert (record.ones, record.pairs, record.gradient, moved) == expected
    assert np.array_equal(surroundings(hot), rest[0]) and np.array_equal(surroundings(cold), rest[1])
    MaxwellDemon().undo_contact(hot, start, cold, begin, pairs, record.packed)
    assert np.array_equal(hot, before[0]) and np.array_equal(cold, before[1])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_long_run_does_not_overflow_its_counters(dtype: Any) -> None:
    """200,000 pairs (0, cap): the summed differences pass 2^32 for uint16."""
    size, top = 200_000, int(np.iinfo(dtype).max)
    hot, cold, bits = np.zeros(size, dtype), np.full(size, top, dtype), np.empty(size, np.uint8)
    assert kernels.sort_runs(hot, cold, bits) == (size, size * top)
    halves = np.zeros((1, 1, 1, size), dtype), np.full((1, 1, 1, size), top, dtype)
    assert kernels.sort_contact(halves[0], 3, halves[1], size - 5, bits) == (size, size * top, size * top)
    region = np.zeros((1, 2, 1, size), dtype)
    region[0, 1] = top
    assert kernels.sort_pairs(region, bits) == (size, size * top)
    assert (region[0, 0] == top).all()
    assert not region[0, 1].any()


def test_sort_with_its_bit_is_a_bijection() -> None:
    """Exhaustive for every cap to 24: no two pairs share (q', p', bit), and equal pairs carry no bit."""
    for q_max in range(1, 25):
        before = np.array(list(product(range(q_max + 1), repeat=2)), np.uint8)
        hot, cold = before[:, 0].copy(), before[:, 1].copy()
        bits = np.empty(hot.size, np.uint8)
        kernels.sort_runs(hot, cold, bits)
        assert len(set(zip(hot.tolist(), cold.tolist(), bits.tolist(), strict=True))) == (q_max + 1) ** 2
        assert (hot >= cold).all()
        assert not bits[before[:, 0] == before[:, 1]].any()
        kernels.unsort_runs(hot, cold, bits)
        assert np.array_equal(np.stack([hot, cold], axis=1), before)


# --- the laws of sorted thermal pairs ---------------------------------------------------------------------------

X = Fraction(3, 8)  # mean 0.6; beyond 255 quanta lies less than 1e-108
TAIL = 4 * 300 * X**256 / (1 - X) ** 2  # what all pairs with a site above 255 can add to a mean of values up to q + p


def thermal_mean(values: Array, x: Fraction = X) -> Fraction:
    """Σ P(q) P(p) values[q, p] over 0 … 255, exactly (values: int64 [256, 256])."""
    over = np.array([x.numerator**q * x.denominator ** (255 - q) for q in range(256)], object)
    return Fraction(over @ values.astype(object) @ over, x.denominator ** (2 * 255)) * (1 - x) ** 2


def sorted_grid() -> tuple[Array, Array, Array]:
    """Larger, smaller and bit of every pair of bytes, from the kernel: int64 [256, 256] each."""
    grid = np.arange(256, dtype=np.uint8)
    hot, cold = np.repeat(grid, 256), np.tile(grid, 256)
    bits = np.empty(hot.size, np.uint8)
    kernels.sort_runs(hot, cold, bits)
    larger, smaller, bit = (array.astype(np.int64).reshape(256, 256) for array in (hot, cold, bits))
    return larger, smaller, bit


def test_laws_of_a_sorted_pair() -> None:
    """P(bit), E[min], E[max] over all pairs of bytes, exact rationals but for a tail bounded by 1e-100."""
    larger, smaller, bit = sorted_grid()
    least = X**2 / (1 - X**2)
    assert float(TAIL) < 1e-100
    assert 0 <= X / (1 + X) - thermal_mean(bit) <= TAIL
    assert 0 <= least - thermal_mean(smaller) <= TAIL
    assert 0 <= 2 * X / (1 - X) - least - thermal_mean(larger) <= TAIL


@pytest.mark.parametrize("shape", [(4, 5, 50, 100), (2, 3, 701, 7)])
def test_a_thermal_region_sorted(shape: Quad) -> None:
    """Ones are Bin(P, x/(1+x)): two-sided binomial test, false alarm 1e-9.  The gradient by Chernoff's bound, 2e-9."""
    draw = np.random.default_rng(20261)
    region = np.minimum(draw.geometric(float(1 - X), shape) - 1, 255).astype(np.uint8)
    total = int(region.sum(dtype=np.int64))
    demon = MaxwellDemon()
    before = region.copy()
    record = demon.sort(region)
    assert int(region.sum(dtype=np.int64)) == total
    chance = float(X / (1 + X))
    assert stats.binomtest(record.ones, record.pairs, chance).pvalue > 1e-9
    law = (1 - float(X)) * float(X) ** np.arange(256)
    differences = np.abs(np.subtract.outer(np.arange(256), np.arange(256)))
    spread = np.bincount(differences.ravel(), np.outer(law, law).ravel())
    sizes = np.arange(256.0)
    assert reference.chernoff(sizes, spread, record.gradient, record.pairs) > 1e-9
    assert reference.chernoff(sizes, spread, record.gradient + record.pairs // 10, record.pairs) < 1e-9  # it has power
    demon.undo(region, record)
    assert np.array_equal(region, before)


# --- the machine ------------------------------------------------------------------------------------------------


def test_what_a_record_costs() -> None:
    assert MaxwellDemon().nats(10, 3) == pytest.approx(math.log(120) + math.log(11), rel=1e-14)
    assert MaxwellDemon("raw").nats(10, 3) == pytest.approx(10 * math.log(2), rel=1e-15)
    assert MaxwellDemon().nats(10, 3) == entropy.record_nats(10, 3)
    assert MaxwellDemon().nats(0, 0) == 0.0


@drawn
@given(boxes, kinds, numbers)
def test_the_demon_undoes_what_it_did(shape: Quad, kind: str, n: int) -> None:
    region = view_of(kind, shape, np.uint8, 255, n)
    before, demon = region.copy(), MaxwellDemon()
    record = demon.sort(region)
    assert record.pairs == region.size // 2
    assert record.packed.size == (record.pairs + 7) // 8
    assert record.ones == int(record.bits().sum())
    demon.undo(region, record)
    assert np.array_equal(region, before)


def test_the_demon_between_two_regions() -> None:
    draw = np.random.default_rng(3)
    hot, cold = draw.integers(0, 9, 77).astype(np.uint16), draw.integers(0, 9, 77).astype(np.uint16)
    before, demon = (hot.copy(), cold.copy()), MaxwellDemon("raw")
    record = demon.sort_between(hot, cold)
    assert (hot >= cold).all()
    assert record.gradient == int(hot.sum()) - int(cold.sum())
    demon.undo_between(hot, cold, record)
    assert np.array_equal(hot, before[0])
    assert np.array_equal(cold, before[1])


def test_a_foreign_record_is_refused() -> None:
    demon, region = MaxwellDemon(), np.zeros((1, 1, 2, 5), np.uint8)
    record = demon.sort(region)
    with pytest.raises(RecordMismatchError, match="5 pairs"):
        demon.undo(np.zeros((1, 1, 2, 6), np.uint8), record)
    with pytest.raises(RecordMismatchError, match="uint16"):
        demon.sort_between(np.zeros(5, np.uint8), np.zeros(5, np.uint16))
    with pytest.raises(RecordMismatchError, match=r"\[5\] and uint8\[6\]"):
        demon.undo_between(np.zeros(5, np.uint8), np.zeros(6, np.uint8), record)
    with pytest.raises(RecordMismatchError, match="11 pairs of regions of 10 and 12 sites"):
        demon.sort_contact(region, 0, np.zeros((1, 1, 2, 6), np.uint8), 0, 11)
