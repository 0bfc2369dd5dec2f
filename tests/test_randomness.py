"""`entropic.randomness` against Random123's known answers, the plain twin, and elementary statistics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

import reference
from entropic import randomness
from entropic.randomness import GROUP_WORDS, fill_words, philox4x32, random_u64, word

drawn = settings(deadline=None, max_examples=100)  # the first draw may wait for the compiler

# From Random123's kat_vectors: philox4x32, 10 rounds.
KNOWN = [
    ((0,) * 4, (0,) * 2, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]
PURPOSES = (
    randomness.PURPOSE_EXCHANGE,
    randomness.PURPOSE_INITIAL,
    randomness.PURPOSE_MICROCANONICAL,
    randomness.PURPOSE_DEPOSIT,
)
seeds = st.integers(0, 2**64 - 1)
times = st.integers(0, 2**56 - 1)
purposes = st.integers(0, 255)
# The second word of the counter moves at index 2**34: four words a block.
groups = st.one_of(st.integers(0, 100), st.integers(2**28 - 3, 2**28 + 3), st.integers(2**32 - 3, 2**56))


def filled(first_group: int, count: int, time: int, purpose: int, seed: int) -> NDArray[np.uint32]:
    """Words of some groups by `fill_words`."""
    high, low = (np.zeros(count * GROUP_WORDS // 2, np.uint32) for _ in range(2))
    fill_words(high, low, np.int64(first_group), count, np.int64(time), purpose, np.uint64(seed))
    return high.view(np.uint16).astype(np.uint32) << np.uint32(16) | low.view(np.uint16)


def one(index: int, time: int, purpose: int, seed: int) -> int:
    return int(word(np.int64(index), np.int64(time), purpose, np.uint64(seed)))


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_known_answers(counter: Any, key: Any, answer: Any) -> None:
    out = np.zeros(4, np.uint32)
    philox4x32(np.array(counter, np.uint32), np.array(key, np.uint32), out)
    assert tuple(out.tolist()) == answer
    assert reference.philox4x32(counter, key) == answer


@drawn
@given(st.tuples(*[st.integers(0, 2**32 - 1)] * 4), st.tuples(*[st.integers(0, 2**32 - 1)] * 2))
def test_block_agrees_with_twin(counter: tuple[int, int, int, int], key: tuple[int, int]) -> None:
    out = np.zeros(4, np.uint32)
    philox4x32(np.array(counter, np.uint32), np.array(key, np.uint32), out)
    assert tuple(out.tolist()) == reference.philox4x32(counter, key)


@drawn
@given(
    st.lists(st.one_of(st.integers(0, 200), st.integers(2**34 - 100, 2**34 + 100), st.integers(0, 2**60)), max_size=50),
    times,
    purposes,
    seeds,
)
def test_scattered_words_agree_with_twin(indices: list[int], time: int, purpose: int, seed: int) -> None:
    high, low = (np.full(len(indices) + 1, 7, np.uint16) for _ in range(2))
    randomness.words(np.array(indices, np.int64), high, low, np.int64(time), purpose, np.uint64(seed))
    got = high.astype(np.uint32) << np.uint32(16) | low
    assert got[:-1].tolist() == [reference.word(i, time, purpose, seed) for i in indices]
    assert (high[-1], low[-1]) == (7, 7)


@drawn
@given(groups, st.integers(1, 4), times, purposes, seeds)
@example(2**28 - 1, 2, 2**32, 1, 2**63)  # a carry into the second word of the counter, both halves of time and seed
@example(2**28 - 1, 2, 2**56 - 1, 255, 2**64 - 1)
def test_filled_words_agree_with_twin(group: int, count: int, time: int, purpose: int, seed: int) -> None:
    words = filled(group, count, time, purpose, seed)
    first = group * GROUP_WORDS
    expected = [reference.word(first + i, time, purpose, seed) for i in range(count * GROUP_WORDS)]
    assert words.tolist() == expected


@drawn
@given(st.integers(0, 2**62), times, purposes, seeds)
@example(2**34 - 1, 0, 1, 0)
@example(2**34, 0, 1, 0)
@example(2**34 + 63, 2**32 - 1, 1, 2**32)
def test_single_words_agree_with_twin(index: int, time: int, purpose: int, seed: int) -> None:
    expected = reference.word(index, time, purpose, seed)
    assert one(index, time, purpose, seed) == expected
    assert int(filled(index // GROUP_WORDS, 1, time, purpose, seed)[index % GROUP_WORDS]) == expected
    pair = random_u64(np.int64(index // 2), np.int64(time), purpose, np.uint64(seed))
    assert int(pair) == reference.random_u64(index // 2, time, purpose, seed)
    assert int(pair) >> (32 if index % 2 else 0) & 0xFFFFFFFF == expected


def test_python_integers_and_numpy_integers_draw_alike() -> None:
    for seed in (0, 5, 2**63 - 1):  # numba refuses larger Python integers (OverflowError): pass np.uint64
        for index in (0, 77, 2**40 + 1):
            expected = reference.word(index, 3, 2, seed)
            assert int(word(index, 3, 2, seed)) == expected
            assert one(index, 3, 2, seed) == expected
            assert int(random_u64(index, 3, 2, seed)) == reference.random_u64(index, 3, 2, seed)


def test_fill_leaves_the_rest_of_the_buffers_alone() -> None:
    high, low = (np.full(3 * GROUP_WORDS // 2, 7, np.uint32) for _ in range(2))
    fill_words(high, low, np.int64(4), 2, np.int64(9), 1, np.uint64(11))
    assert (high[GROUP_WORDS:] == 7).all()
    assert (low[GROUP_WORDS:] == 7).all()


def test_every_part_of_the_address_matters() -> None:
    """Streams that differ in one bit of time, purpose, seed or place share no more words than chance allows.

    Two streams of 128 words agree at a given place with probability 2**-32; one agreement anywhere among the
    pairs of streams below has probability below 2e-3, and the seeds are fixed.
    """
    streams = {"origin": (0, 0, 1, 0)}
    streams |= {f"time bit {b}": (0, 1 << b, 1, 0) for b in range(56)}
    streams |= {f"seed bit {b}": (0, 0, 1, 1 << b) for b in range(64)}
    streams |= {f"purpose {p}": (0, 0, p, 0) for p in range(256) if p != 1}
    streams |= {f"group bit {b}": (1 << b, 0, 1, 0) for b in range(1, 56)}
    words = np.stack([filled(g, 2, t, p, s) for g, t, p, s in streams.values()])
    ordered = np.sort(words, axis=0)
    assert (ordered[1:] != ordered[:-1]).all()


def test_uses_have_their_own_domains() -> None:
    assert len(set(PURPOSES)) == len(PURPOSES)
    assert all(0 < purpose < 256 for purpose in PURPOSES)


def test_no_counter_is_used_twice() -> None:
    """The map (purpose, time, number) → counter is injective where the bounds say so: fields do not overlap."""
    seen = set()
    for number in (0, 1, 2**32 - 1, 2**32, 2**60):
        for time in (0, 1, 2**32 - 1, 2**32, 2**56 - 1):
            for purpose in (0, 1, 2, 255):
                counter = (number & 0xFFFFFFFF, number >> 32, time & 0xFFFFFFFF, purpose << 24 | time >> 32)
                assert max(counter) < 2**32
                seen.add(counter)
    assert len(seen) == 5 * 5 * 4


# --- statistics: fixed seeds, so each holds or fails for ever; the rate is that of a seed chosen at random -------

WORDS = 1 << 20
RATE = 1e-6  # false alarms a test, split evenly among its parts


@pytest.fixture(scope="module", params=[(0, 0), (20250101, 2**40)])
def sample(request: pytest.FixtureRequest) -> NDArray[np.uint32]:
    seed, first = request.param
    return filled(first, WORDS // GROUP_WORDS, 12345, 1, seed)


def test_each_bit_is_fair(sample: NDArray[np.uint32]) -> None:
    for bit in range(32):
        ones = int((sample >> np.uint32(bit) & np.uint32(1)).sum())
        assert stats.binomtest(ones, WORDS, 0.5).pvalue > RATE / 32


def test_bits_are_uncorrelated(sample: NDArray[np.uint32]) -> None:
    """Bits of one word, and of words 1, 2, 32 and 64 apart (neighbours, lanes, halves and groups)."""
    bits = np.stack([(sample >> np.uint32(b) & np.uint32(1)).astype(np.uint8) for b in range(32)])
    cases = [(a, b, 0) for a in range(32) for b in range(a)]
    cases += [(a, b, lag) for a in (0, 15, 16, 31) for b in (0, 15, 16, 31) for lag in (1, 2, 32, 64)]
    for a, b, lag in cases:
        odd = int((bits[a, lag:] ^ bits[b, : WORDS - lag]).sum())
        # A normal tail: at 2**20 trials its error is far below what the split of the rate leaves open.
        z = (odd - (WORDS - lag) / 2) / np.sqrt((WORDS - lag) / 4)
        assert 2 * stats.norm.sf(abs(z)) > RATE / len(cases)


def test_words_are_equidistributed(sample: NDArray[np.uint32]) -> None:
    for shift, places in ((24, 256), (16, 256), (8, 256), (0, 256)):
        counts = np.bincount((sample >> np.uint32(shift)) & np.uint32(255), minlength=places)
        assert stats.chisquare(counts).pvalue > RATE / 5
    pairs = (sample[::2] >> np.uint32(28)) * np.uint32(16) + (sample[1::2] >> np.uint32(28))
    assert stats.chisquare(np.bincount(pairs, minlength=256)).pvalue > RATE / 5


def test_every_place_of_a_group_is_uniform(sample: NDArray[np.uint32]) -> None:
    table = sample.reshape(-1, GROUP_WORDS) >> np.uint32(28)
    for place in range(GROUP_WORDS):
        assert stats.chisquare(np.bincount(table[:, place], minlength=16)).pvalue > RATE / GROUP_WORDS
